"""Master frames: many calibration frames combined into one, in bands of rows, so that memory stays bounded.

Combined by a mean that leaves out what is far from the median (in units of the median absolute deviation), as
ccdproc and IRAF do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError
from pytel.imaging.calibration import Image, Mask
from pytel.imaging.frames import Frame, open_frame

Prepare = Callable[[int, int, int, NDArray[Any]], Image]
"""Given the frame's number, its first and last row and these rows in adu: the rows as they are to be combined."""

_THREADS = 2
_BAND = 8 * 2**20
"""Bytes of a band of all frames: what is worked on at a time takes a few times as much."""
_CLIP = 5.0
_SIGMA = 1.4826  # of a normal distribution in units of its median absolute deviation
_MIDDLE = 0.1
_HOT = 8.0
_SUSPICIOUS_RESPONSE = (0.5, 1.6)


class FramesDiffer(PytelError):
    """Frames of different shapes cannot be combined; `data` has the shapes."""


def combine(paths: Sequence[Path], prepare: Prepare | None = None, *, clip: float = _CLIP) -> Image:
    """Combine frames into their clipped mean. Blocking.

    `clip` is how many standard deviations a pixel may be off. Raises `InvalidParams` without frames, `FramesDiffer`,
    `ImageError`.
    """
    if not paths:
        raise InvalidParams("there are no frames to combine")
    with ExitStack() as stack:
        frames = [stack.enter_context(open_frame(path)) for path in paths]
        rows, columns = frames[0].shape
        if any(frame.shape != (rows, columns) for frame in frames):
            raise FramesDiffer("frames of different shapes cannot be combined", shapes=[f.shape for f in frames])
        out = np.empty((rows, columns), np.float32)
        step = max(1, _BAND // (4 * columns * len(frames)))

        def work(first: int) -> None:
            end = min(rows, first + step)
            out[first:end] = clipped_mean(_band(frames, first, end, prepare), clip)

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="pytel-combine") as threads:
            list(threads.map(work, range(0, rows, step)))
    return out


def _band(frames: Sequence[Frame], first: int, end: int, prepare: Prepare | None) -> Image:
    band = np.empty((len(frames), end - first, frames[0].shape[1]), np.float32)
    for number, frame in enumerate(frames):
        rows = frame.rows(first, end)
        band[number] = rows if prepare is None else prepare(number, first, end, rows)
    return band


def clipped_mean(stack: Image, clip: float = _CLIP) -> Image:
    """Mean over the first axis of what is within `clip` standard deviations of the median."""
    count = len(stack)
    if count < 3:
        return np.asarray(stack.mean(axis=0))
    middle = _median(stack)
    away = np.abs(stack - middle)
    # Of few values the deviation is often too small by chance, so that of the whole band is its floor.
    deviation = _median(away) * np.float32(_SIGMA)
    sigma = np.maximum(deviation, np.float32(np.median(deviation)))
    kept = away <= np.float32(clip) * sigma
    number = np.maximum(kept.sum(axis=0, dtype=np.float32), 1)
    return np.asarray(np.where(kept, stack, np.float32(0)).sum(axis=0, dtype=np.float32) / number)


def _median(stack: Image) -> Image:
    """Median over the first axis; in float32 and without a look for NaN, which raw frames do not have."""
    ordered, middle = np.sort(stack, axis=0), len(stack) // 2
    return np.asarray(ordered[middle] if len(stack) % 2 else (ordered[middle - 1] + ordered[middle]) / np.float32(2))


def master_bias(paths: Sequence[Path]) -> Image:
    """Combine bias frames; adu."""
    return combine(paths)


def master_dark(paths: Sequence[Path], exposure_times: Sequence[float], bias: Image | None) -> Image:
    """Combine dark frames into adu per second without bias. Raises `InvalidParams` for darks of no length."""
    if len(exposure_times) != len(paths) or min(exposure_times, default=0.0) <= 0:
        raise InvalidParams("dark frames need an exposure time: EXPTIME above 0 in each")

    def prepare(number: int, first: int, end: int, rows: NDArray[Any]) -> Image:
        level = rows.astype(np.float32)
        if bias is not None:
            level -= bias[first:end]
        return np.asarray(level / np.float32(exposure_times[number]))

    return combine(paths, prepare)


def master_flat(
    paths: Sequence[Path], exposure_times: Sequence[float], bias: Image | None, dark: Image | None
) -> Image:
    """Combine flats, each of its own brightness, into the relative response: 1 in the middle tenth of the detector.

    Stars of twilight flats go when the telescope was moved between them. Raises `InvalidParams` when one has no light.
    """
    levels = [_middle_level(path, seconds, bias, dark) for path, seconds in zip(paths, exposure_times, strict=True)]
    for path, level in zip(paths, levels, strict=True):
        if not level > 0:
            raise InvalidParams(f"the flat {path.name} has no light above the bias: take it out")

    def prepare(number: int, first: int, end: int, rows: NDArray[Any]) -> Image:
        part = slice(first, end)
        return _light(rows, part, exposure_times[number], bias, dark) / np.float32(levels[number])

    flat = combine(paths, prepare)
    rows, columns = _middle(flat.shape)
    flat /= np.float32(np.median(flat[rows, columns]))
    return flat


def middle_counts(path: Path) -> float:
    """Median counts (ADU, with the bias) of the middle tenth of the detector."""
    with open_frame(path) as frame:
        rows, columns = _middle(frame.shape)
        return float(np.median(frame.rows(rows.start, rows.stop)[:, columns]))


def _light(rows: NDArray[Any], part: slice, seconds: float, bias: Image | None, dark: Image | None) -> Image:
    level = rows.astype(np.float32)
    if bias is not None:
        level -= bias[part]
    if dark is not None:
        level -= dark[part] * np.float32(seconds)
    return level


def _middle(shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = (slice(int(size * (0.5 - _MIDDLE / 2)), int(size * (0.5 + _MIDDLE / 2)) + 1) for size in shape[:2])
    return rows, columns


def _middle_level(path: Path, seconds: float, bias: Image | None, dark: Image | None) -> float:
    with open_frame(path) as frame:
        rows, columns = _middle(frame.shape)
        light = _light(frame.rows(rows.start, rows.stop), rows, seconds, bias, dark)
    return float(np.median(light[:, columns]))


def bad_pixels(
    dark: Image | None, flat: Image | None, *, noise: float, exposure_time: float, gain: float = 1.0
) -> Mask:
    """Which pixels tell nothing: so hot that their dark light drowns the sky, or with a response far from others.

    `dark` in adu per second, `exposure_time` (seconds) of the frames to be calibrated, `noise` (adu) of a pixel of
    these. Hot is a pixel whose dark light has more than 8 times the frame's noise in its own shot noise's variance.
    Raises `InvalidParams` without any master.
    """
    one = flat if dark is None else dark
    if one is None:
        raise InvalidParams("bad pixels are found in a master dark or flat: there is neither")
    bad = np.zeros(one.shape, np.bool_)
    if dark is not None:
        hot = (dark - np.float32(np.median(dark[::4, ::4]))) * np.float32(exposure_time / gain)
        bad |= hot > _HOT * noise**2
    if flat is not None:
        low, high = _SUSPICIOUS_RESPONSE
        bad |= (flat < low) | (flat > high)
    return bad
