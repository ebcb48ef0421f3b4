"""The offset of a frame by cross-correlation: for fields whose light is not in stars."""

from __future__ import annotations

import functools
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
_SMOOTH = 1.2
_SIGNIFICANT = 9.0
_COHERENT = 0.4
_RINGS = 256
_SPIKE_REACH = 64


@dataclass(frozen=True)
class Correlated:
    """The shift at which two frames are most alike, and its error (one standard deviation); pixels."""

    dx: float
    dy: float
    uncertainty: float


def prepared(pixels: NDArray[Any]) -> Image:
    """A frame made ready: flat, without hot pixels and bad lines."""
    frame = flatten(pixels)
    image = np.clip(frame.pixels, -_CLIP * frame.noise, _CLIP * frame.noise)
    step = max(1, min(image.shape) // 512)
    image -= np.median(image[::step], axis=0)[None, :]
    image -= np.median(image[:, ::step], axis=1)[:, None]
    return np.asarray(image)


class Transformed:
    """The Fourier transform of a prepared image that is faded out at its edge."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        faded = image * _faded(image.shape[0])[:, None] * _faded(image.shape[1])[None, :]
        self.spectrum: Spectrum = np.asarray(np.fft.rfft2(faded))
        self.power = _rings(self.shape).mean(self.spectrum.real**2 + self.spectrum.imag**2)
        """By rings of spatial frequency."""
        # The finest structure that pixels can show is noise.
        self.signal = _rings(self.shape).smooth_sum(self.power - self.power[-_RINGS // 8 :].mean())


def correlate(reference: Transformed, frame: Transformed, max_offset: float | None) -> Correlated | None:
    """The shift of a frame, or None if the two are not alike beyond doubt at any shift up to `max_offset`."""
    rings = _rings(reference.shape)
    product = _without_spike(frame.spectrum * reference.spectrum.conj(), reference.shape, (0, 0))
    likeness = np.fft.irfft2(product * rings.smoothing[rings.index], s=reference.shape)
    row, column = _highest(likeness, max_offset)
    peak = float(likeness[row, column])
    noise = 1.4826 * float(np.median(np.abs(likeness[:: max(1, likeness.shape[0] // 256)])))
    if peak < _SIGNIFICANT * noise or peak**2 < _COHERENT**2 * max(reference.signal, 0.0) * max(frame.signal, 0.0):
        return None
    rows, columns = reference.shape
    dx, dy = (column + columns // 2) % columns - columns // 2, (row + rows // 2) % rows - rows // 2
    return _common(reference, frame, dx, dy)


def _common(reference: Transformed, frame: Transformed, dx: int, dy: int) -> Correlated | None:
    """Measure what both frames show, cut out so that it hardly is off: their edges, alike in both, would pull at it."""
    rows, columns = reference.shape
    height, width = (rows - abs(dy)) // 32 * 32, (columns - abs(dx)) // 32 * 32
    if min(height, width) < 64:
        return None
    low, left = max(0, -dy), max(0, -dx)
    mine = Transformed(reference.image[low : low + height, left : left + width])
    theirs = Transformed(frame.image[low + dy : low + dy + height, left + dx : left + dx + width])
    product = theirs.spectrum * mine.spectrum.conj()
    if max(abs(dx), abs(dy)) < _SPIKE_REACH:
        product = _without_spike(product, mine.shape, (-dx, -dy))
    rings = _rings(mine.shape)
    rough = _finely(product * rings.smoothing[rings.index], mine.shape, (0.0, 0.0))
    found = rough and _weighted(mine, theirs, product, rough)
    return Correlated(found.dx + dx, found.dy + dy, found.uncertainty) if found else None


def _weighted(
    reference: Transformed, frame: Transformed, product: Spectrum, rough: tuple[float, float]
) -> Correlated | None:
    """The shift with each frequency weighted by how much more than noise it has (Knapp and Carter 1976)."""
    rings = _rings(reference.shape)
    common = rings.mean((product * rings.ramp(*rough)).real)
    noise = np.maximum(reference.power * frame.power - common**2, 1e-6 * reference.power * frame.power)
    weight = np.where(common > 0, common, 0) / noise
    weight /= max(weight.max(), 1e-30)
    found = _finely(product * weight.astype(np.float32)[rings.index], reference.shape, rough)
    if found is None:
        return None
    push = rings.count * rings.frequency**2 / 2  # the square of its part along one axis
    error = math.sqrt(float((weight**2 * push * noise).sum()) / 2) / max(float((weight * push * common).sum()), 1e-30)
    return Correlated(*found, error)


class _Rings:
    """The spatial frequencies of a frame's half spectrum, sorted into rings."""

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, columns = shape
        self.up = np.fft.fftfreq(rows).astype(np.float32)
        self.along = np.fft.rfftfreq(columns).astype(np.float32)
        radius = np.hypot(self.up[:, None], self.along[None, :])
        self.index = np.minimum(radius * (2 * _RINGS), _RINGS - 1).astype(np.uint8)
        self.count = np.bincount(self.index.ravel(), minlength=_RINGS).astype(np.float64)
        self.frequency = 2 * np.pi * (np.arange(_RINGS) + 0.5) / (2 * _RINGS)
        self.smoothing = np.exp(-((_SMOOTH * self.frequency) ** 2)).astype(np.float32)
        self.size = rows * columns

    def mean(self, values: Image) -> NDArray[np.float64]:
        """Of values over each ring."""
        sums = np.bincount(self.index.ravel(), values.ravel(), minlength=_RINGS)
        return np.asarray(sums / np.maximum(self.count, 1))

    def smooth_sum(self, power: NDArray[np.float64]) -> float:
        """What power makes at shift 0 of the smoothed correlation."""
        return float(2 * (power * self.count * self.smoothing).sum() / self.size)

    def ramp(self, dx: float, dy: float) -> Spectrum:
        """What takes a shift out of a spectrum."""
        up, along = np.exp(2j * np.pi * self.up * dy), np.exp(2j * np.pi * self.along * dx)
        return np.asarray(up.astype(np.complex64)[:, None] * along.astype(np.complex64)[None, :])


@functools.lru_cache(maxsize=4)
def _rings(shape: tuple[int, int]) -> _Rings:
    return _Rings(shape)


def _faded(length: int) -> Image:
    """1, and falling to 0 at both ends as a cosine does."""
    width = max(2, int(_EDGE * length))
    window = np.ones(length, dtype=np.float32)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 0.5) / width)).astype(np.float32)
    window[:width], window[-width:] = rise, rise[::-1]
    return window


def _without_spike(product: Spectrum, shape: tuple[int, int], place: tuple[int, int]) -> Spectrum:
    """Without what is alike at a single shift (x, y) and not beside it.

    What is fixed to the pixels, as their sensitivity is, does that: its value there becomes what its neighbours have.
    """
    x, y = place
    near = _interpolated(product, shape, y + np.arange(-1.0, 2.0), x + np.arange(-1.0, 2.0))
    sides = near[0, 1] + near[2, 1] + near[1, 0] + near[1, 2]
    corners = near[0, 0] + near[0, 2] + near[2, 0] + near[2, 2]
    spike = np.float32(near[1, 1] - (sides / 2 - corners / 4))
    return product - spike * _rings(shape).ramp(-x, -y)


def _highest(likeness: NDArray[Any], max_offset: float | None) -> tuple[int, int]:
    rows, columns = likeness.shape
    if max_offset is not None:
        up = np.fft.fftfreq(rows, 1 / rows)[:, None] ** 2
        along = np.fft.fftfreq(columns, 1 / columns)[None, :] ** 2
        likeness = np.where(up + along <= max_offset**2, likeness, -np.inf)
    row, column = (int(place) for place in np.unravel_index(int(likeness.argmax()), likeness.shape))
    return row, column


def _finely(product: Spectrum, shape: tuple[int, int], start: tuple[float, float]) -> tuple[float, float] | None:
    """The peak (dx, dy) of a correlation near a start, or None if there is none."""
    x, y = start
    for step in (0.5, 0.25, 0.1, 0.1):
        steps = step * np.arange(-1.0, 2.0)
        patch = _interpolated(product, shape, np.asarray(y + steps), np.asarray(x + steps))
        gy, gx = (patch[2, 1] - patch[0, 1]) / 2, (patch[1, 2] - patch[1, 0]) / 2
        hy, hx = patch[2, 1] - 2 * patch[1, 1] + patch[0, 1], patch[1, 2] - 2 * patch[1, 1] + patch[1, 0]
        hxy = (patch[2, 2] - patch[2, 0] - patch[0, 2] + patch[0, 0]) / 4
        determinant = hx * hy - hxy**2
        if hx >= 0 or hy >= 0 or determinant <= 0:
            return None
        x -= float(np.clip((hy * gx - hxy * gy) / determinant, -2, 2)) * step
        y -= float(np.clip((hx * gy - hxy * gx) / determinant, -2, 2)) * step
    return (x, y) if math.hypot(x - start[0], y - start[1]) < 2 else None


def _interpolated(
    product: Spectrum, shape: tuple[int, int], y: NDArray[np.float64], x: NDArray[np.float64]
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
