"""The offset of a frame by cross-correlation: for fields whose light is not in stars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.sources import flatten

Image = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_CLIP = 30.0
_EDGE = 0.06
_SIGNIFICANT = 9.0
_COHERENT = 0.4
_FINE = 8


@dataclass(frozen=True)
class Correlated:
    """The shift at which two frames are most alike, and its error (one standard deviation); pixels."""

    dx: float
    dy: float
    uncertainty: float


class Transformed:
    """A frame made ready: flat, without hot pixels and bad lines, faded out at its edge; and its Fourier transform."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        frame = flatten(pixels)
        self.noise = frame.noise
        image = np.clip(frame.pixels, -_CLIP * frame.noise, _CLIP * frame.noise)
        image -= np.median(image, axis=0)[None, :]
        image -= np.median(image, axis=1)[:, None]
        image *= _faded(image.shape[0])[:, None]
        image *= _faded(image.shape[1])[None, :]
        self.shape = image.shape
        self.spectrum: Spectrum = np.fft.rfft2(image)
        own = np.fft.irfft2(np.abs(self.spectrum) ** 2, s=self.shape)
        self.signal = max(_without_spike(own), 0.0)
        """The sum of the squares of the light without the noise."""


def correlate(reference: Transformed, frame: Transformed, max_offset: float | None) -> Correlated | None:
    """The shift of a frame, or None if the two are not alike beyond doubt at any shift up to `max_offset`."""
    product = frame.spectrum * reference.spectrum.conj()
    likeness = np.fft.irfft2(product, s=reference.shape)
    # What is fixed to the pixels, as their sensitivity is, is alike at shift 0 and at no other: it must not count.
    spike = float(likeness[0, 0]) - _without_spike(likeness)
    likeness[0, 0] -= spike
    product = product - np.float32(spike)
    row, column = _highest(likeness, max_offset)
    peak = float(likeness[row, column])
    noise = 1.4826 * float(np.median(np.abs(likeness[:: max(1, likeness.shape[0] // 512)])))
    if peak < _SIGNIFICANT * noise or peak**2 < _COHERENT**2 * reference.signal * frame.signal:
        return None
    dx, dy, curvature = _finely(product, reference.shape, row, column)
    if curvature <= 0:
        return None
    share = peak / max(reference.signal, 1e-9)
    error = math.hypot(reference.noise * share, frame.noise) / math.sqrt(curvature * max(share, 1e-9))
    return Correlated(dx, dy, error)


def _faded(length: int) -> Image:
    """1, and falling to 0 at both ends as a cosine does."""
    width = max(2, int(_EDGE * length))
    window = np.ones(length, dtype=np.float32)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 0.5) / width)).astype(np.float32)
    window[:width], window[-width:] = rise, rise[::-1]
    return window


def _without_spike(likeness: NDArray[Any]) -> float:
    """The value at shift 0 as its neighbours have it."""
    sides = likeness[0, 1] + likeness[0, -1] + likeness[1, 0] + likeness[-1, 0]
    corners = likeness[1, 1] + likeness[1, -1] + likeness[-1, 1] + likeness[-1, -1]
    return float(sides / 2 - corners / 4)


def _highest(likeness: NDArray[Any], max_offset: float | None) -> tuple[int, int]:
    rows, columns = likeness.shape
    if max_offset is not None:
        up = np.fft.fftfreq(rows, 1 / rows)[:, None] ** 2
        along = np.fft.fftfreq(columns, 1 / columns)[None, :] ** 2
        likeness = np.where(up + along <= max_offset**2, likeness, -np.inf)
    row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
    return int(row), int(column)


def _finely(product: Spectrum, shape: tuple[int, ...], row: int, column: int) -> tuple[float, float, float]:
    """The peak's place between the pixels, and how sharp it is: minus the mean second derivative."""
    rows, columns = shape
    dy, dx = (row + rows // 2) % rows - rows // 2, (column + columns // 2) % columns - columns // 2
    y, x = float(dy), float(dx)
    curvature = 0.0
    for step in (0.5, 0.5 / _FINE, 0.5 / _FINE):
        patch = _interpolated(product, shape, y + step * np.arange(-1, 2), x + step * np.arange(-1, 2))
        gy, gx = (patch[2, 1] - patch[0, 1]) / 2, (patch[1, 2] - patch[1, 0]) / 2
        hy, hx = patch[2, 1] - 2 * patch[1, 1] + patch[0, 1], patch[1, 2] - 2 * patch[1, 1] + patch[1, 0]
        hxy = (patch[2, 2] - patch[2, 0] - patch[0, 2] + patch[0, 0]) / 4
        determinant = hx * hy - hxy**2
        if hx >= 0 or hy >= 0 or determinant <= 0:
            return x, y, 0.0
        x -= float(np.clip((hy * gx - hxy * gy) / determinant, -1, 1)) * step
        y -= float(np.clip((hx * gy - hxy * gx) / determinant, -1, 1)) * step
        curvature = float(-(hx + hy) / 2 / step**2)
    return x, y, curvature


def _interpolated(
    product: Spectrum, shape: tuple[int, ...], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The correlation at shifts between whole pixels, by its Fourier series (Guizar-Sicairos et al. 2008)."""
    rows, columns = shape
    half = product.shape[1]
    up = np.exp(2j * np.pi * np.outer(y, np.fft.fftfreq(rows)))
    along = np.exp(2j * np.pi * np.outer(np.arange(half) / columns, x))
    # Half of the spectrum is kept: all but the first column, and the last of an even width, stand for two.
    twice = np.full(half, 2.0)
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    lines = up.astype(np.complex64) @ product
    return np.asarray(((lines * twice) @ along).real / (rows * columns))
