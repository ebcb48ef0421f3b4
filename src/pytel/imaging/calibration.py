"""From raw pixels to electrons: overscan, bias, dark and flat, bad pixels.

calibrated = calibrate(raw, header, Masters(bias, dark, flat, bad))
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams
from pytel.imaging.headers import CardValue

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Header = Mapping[str, CardValue]
_BAND = 2**20
"""Pixels that are worked on at a time, so that they stay in the processor's cache."""
_LEAST_RESPONSE = 0.1
_SECTION = re.compile(r"\[\s*(\d{1,5}):(\d{1,5})\s*,\s*(\d{1,5}):(\d{1,5})\s*\]")


@dataclass(frozen=True)
class Masters:
    """What a frame is calibrated with; all of the frame's shape.

    `bias` in adu; `dark` in adu per second, without bias; `flat` relative response, 1 in the middle; `bad` is true for
    pixels that tell nothing. What is None is left out.
    """

    bias: Image | None = None
    dark: Image | None = None
    flat: Image | None = None
    bad: Mask | None = None


@dataclass(frozen=True)
class Calibrated:
    """A frame in electrons, which of its pixels are filled in, and where it saturates (electrons)."""

    pixels: Image
    bad: Mask
    gain: float
    read_noise: float
    saturation: float | None


def number(header: Header, keyword: str) -> float | None:
    """The number of a card; None for what is none."""
    value = header.get(keyword)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def section(header: Header, keyword: str) -> tuple[slice, slice] | None:
    """Rows and columns of a section such as BIASSEC `[2049:2080,1:2048]` (NOAO; from 1, both ends included).

    Raises `InvalidParams` for text that is none.
    """
    text = header.get(keyword)
    if text is None or text == "":
        return None
    found = _SECTION.fullmatch(str(text).strip())
    if found is None:
        raise InvalidParams(f"header {keyword}: {str(text)[:40]!r} is no section such as [1:2048,1:2048]")
    x1, x2, y1, y2 = map(int, found.groups())
    if not (1 <= x1 <= x2 and 1 <= y1 <= y2):
        raise InvalidParams(f"header {keyword}: {text} is an empty section")
    return slice(y1 - 1, y2), slice(x1 - 1, x2)


def without_overscan(pixels: NDArray[Any], header: Header) -> NDArray[Any]:
    """Take the overscan (BIASSEC) off each row by its median and cut it away (TRIMSEC); as it is without these cards.

    Raises `InvalidParams` for sections outside of the frame.
    """
    overscan, trim = section(header, "BIASSEC"), section(header, "TRIMSEC")
    for keyword, part in (("BIASSEC", overscan), ("TRIMSEC", trim)):
        if part is not None and (part[0].stop > pixels.shape[0] or part[1].stop > pixels.shape[1]):
            raise InvalidParams(f"header {keyword} tells of pixels outside of the frame, which is {pixels.shape}")
    kept = pixels if trim is None else pixels[trim]
    if overscan is None:
        return kept
    levels = np.full(pixels.shape[0], np.nan, np.float32)
    levels[overscan[0]] = np.median(pixels[overscan].astype(np.float32), axis=1)
    levels = np.where(np.isnan(levels), np.float32(np.nanmedian(levels)), levels)
    rows = levels if trim is None else levels[trim[0]]
    return np.asarray(kept.astype(np.float32) - rows[:, None])


def calibrate(pixels: NDArray[Any], header: Header, masters: Masters) -> Calibrated:
    """Calibrate a raw frame (adu) with the masters that are given.

    Takes GAIN, RDNOISE, EXPTIME and SATURATE of the header. Pixels that are bad are filled from their neighbours in
    the row. Raises `InvalidParams` for masters of another shape, or a header without gain.
    """
    gain, seconds = number(header, "GAIN"), number(header, "EXPTIME") or 0.0
    if not gain or gain <= 0:
        raise InvalidParams("the header has no GAIN (electrons per adu): give the camera its gain")
    raw = without_overscan(pixels, header)
    for name in ("bias", "dark", "flat", "bad"):
        master = getattr(masters, name)
        if master is not None and master.shape != raw.shape:
            raise InvalidParams(f"a {name} of {master.shape} does not fit a frame of {raw.shape}")
    out = np.empty(raw.shape, np.float32)
    step = max(1, _BAND // raw.shape[1])
    for first in range(0, raw.shape[0], step):
        rows = slice(first, first + step)
        _calibrate_band(out[rows], raw[rows], _rows(masters, rows), np.float32(seconds), np.float32(gain))
    bad = np.zeros(raw.shape, np.bool_) if masters.bad is None else masters.bad.copy()
    fill(out, bad)
    return Calibrated(out, bad, gain, number(header, "RDNOISE") or 0.0, _saturation(header, masters, gain))


def _rows(masters: Masters, rows: slice) -> Masters:
    bias, dark, flat = (None if m is None else m[rows] for m in (masters.bias, masters.dark, masters.flat))
    return Masters(bias, dark, flat)


def _calibrate_band(out: Image, raw: NDArray[Any], masters: Masters, seconds: np.float32, gain: np.float32) -> None:
    np.copyto(out, raw, casting="unsafe")
    if masters.bias is not None:
        out -= masters.bias
    if masters.dark is not None and seconds:
        out -= masters.dark * seconds
    out *= gain
    if masters.flat is not None:
        out /= np.maximum(masters.flat, np.float32(_LEAST_RESPONSE))


def _saturation(header: Header, masters: Masters, gain: float) -> float | None:
    """Where the calibrated frame saturates: the darkest saturated pixel counts, at a response of 1."""
    level = number(header, "SATURATE")
    if level is None:
        return None
    pedestal = 0.0 if masters.bias is None else float(np.median(masters.bias[:: max(1, len(masters.bias) // 64)]))
    return (level - pedestal) * gain


def fill(pixels: Image, bad: Mask) -> None:
    """Fill bad pixels from the nearest good ones left and right in their row, in place; a row without any becomes 0."""
    rows, columns = np.nonzero(bad)
    if not len(rows):
        return
    width = pixels.shape[1]
    left, right = _nearest_good(bad, rows, columns, -1), _nearest_good(bad, rows, columns, 1)
    has_left, has_right = left >= 0, right < width
    a = np.where(has_left, pixels[rows, np.maximum(left, 0)], 0.0)
    b = np.where(has_right, pixels[rows, np.minimum(right, width - 1)], 0.0)
    count = np.maximum(has_left.astype(np.float32) + has_right, 1)
    pixels[rows, columns] = (a + b) / count


def _nearest_good(bad: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """The next good column in one direction for each bad pixel; -1 or the width where there is none."""
    width = bad.shape[1]
    found = columns + step
    for _ in range(width):
        inside = (found >= 0) & (found < width)
        still = inside & bad[rows, np.clip(found, 0, width - 1)]
        if not still.any():
            break
        found = np.where(still, found + step, found)
    return np.clip(found, -1, width)
