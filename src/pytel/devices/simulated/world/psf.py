"""Star images: Moffat profiles, integrated over pixels, drawn onto a canvas.

Moffat (1969, A&A 3, 455) with an exponent of 3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Values = NDArray[np.float64]
_PHASES = 20
"""Steps within a pixel to which a star's place is rounded."""
_CORE = 7
"""Half width of the core of bright stars, pixels."""
_SMALL = (4, _CORE, 15)
"""Half widths of the stamps of most stars, which are kept for every place within a pixel."""
_LARGE = (40, 120)
REACH = _LARGE[-1]
"""How far the light of the brightest stars is drawn, pixels."""
MARGIN = 2 * _SMALL[-1] + 1
"""Pixels that a canvas needs around the window."""


class Profile:
    """A star's image of a given full width at half maximum, in pixels."""

    def __init__(self, fwhm: float) -> None:
        self.alpha_squared = (fwhm / 2) ** 2 / (2 ** (1 / 3) - 1)
        self._tables: dict[int, Image] = {}

    def peak(self) -> float:
        """Brightness in the centre of a star of flux 1."""
        return 2.0 / (math.pi * self.alpha_squared)

    def radius(self, flux: Values, level: float) -> Values:
        """Where a star's profile sinks below `level`, pixels."""
        ratio = np.maximum(flux * self.peak() / level, 1.0) ** (1 / 3)
        radius: Values = np.sqrt(self.alpha_squared * (ratio - 1.0))
        return radius

    def values(self, squared_radius: Image) -> Image:
        """The profile at points, for flux 1."""
        inverse: Image = 1.0 / (1.0 + squared_radius / np.float32(self.alpha_squared))
        inverse *= np.float32(self.peak()) * inverse * inverse
        return inverse

    def add(self, canvas: Image, x: Values, y: Values, flux: Values, level: float) -> None:
        """Draw stars at canvas pixels (x, y) (0 is the centre of the first), cut off where they sink below `level`."""
        radius = self.radius(flux, level)
        lower = -1.0
        for limit in _SMALL + _LARGE:
            chosen = (radius > lower) & ((radius <= limit) | (limit == REACH))
            lower = limit
            stars = x[chosen], y[chosen], flux[chosen]
            if limit in _SMALL:
                self._add_small(canvas, *stars, limit)
            else:
                for star in zip(*stars, strict=True):
                    self._add_large(canvas, *star, limit)

    def _add_small(self, canvas: Image, x: Values, y: Values, flux: Values, radius: int) -> None:
        height, width = canvas.shape
        cell_x, phase_x = _cells(x)
        cell_y, phase_y = _cells(y)
        inside = (cell_x >= radius) & (cell_x < width - radius) & (cell_y >= radius) & (cell_y < height - radius)
        if not inside.any():
            return
        cell_x, cell_y = cell_x[inside], cell_y[inside]
        stamps = self._stamps(radius)[phase_y[inside], phase_x[inside]]
        stamps *= flux[inside].astype(np.float32)[:, None, None]
        span = np.arange(-radius, radius + 1)
        rows = (cell_y[:, None] + span) * width
        places = rows[:, :, None] + (cell_x[:, None] + span)[:, None, :]
        np.add.at(canvas.reshape(-1), places.reshape(-1), stamps.reshape(-1))

    def _add_large(self, canvas: Image, x: float, y: float, flux: float, radius: int) -> None:
        """A bright star: its wings from the profile itself, its core from the table."""
        height, width = canvas.shape
        left, right = max(0, math.floor(x) - radius), min(width, math.floor(x) + radius + 1)
        low, high = max(0, math.floor(y) - radius), min(height, math.floor(y) + radius + 1)
        if left >= right or low >= high:
            return
        dx = (np.arange(left, right) - x).astype(np.float32) ** 2
        dy = (np.arange(low, high) - y).astype(np.float32) ** 2
        stamp = self.values(dy[:, None] + dx[None, :]) * np.float32(flux)
        (cell_x, phase_x), (cell_y, phase_y) = _cell(x), _cell(y)
        core = self._stamps(_CORE)[phase_y, phase_x] * np.float32(flux)
        a, b, c, d = cell_y - _CORE - low, cell_y + _CORE + 1 - low, cell_x - _CORE - left, cell_x + _CORE + 1 - left
        if a >= 0 and c >= 0 and b <= stamp.shape[0] and d <= stamp.shape[1]:
            stamp[a:b, c:d] = core
        canvas[low:high, left:right] += stamp

    def _stamps(self, radius: int) -> Image:
        if radius not in self._tables:
            self._tables[radius] = self._table(radius)
        return self._tables[radius]

    def _table(self, radius: int) -> Image:
        """Stamps of flux 1 for every phase: [phase_y, phase_x, y, x], each pixel integrated."""
        size = 2 * radius + 1
        # The fine grid's points are the middles of cells 1/_PHASES wide; a pixel is _PHASES of them.
        points = (np.arange((size + 1) * _PHASES) + 0.5) / _PHASES - (size / 2 + 0.5)
        squared = (points**2).astype(np.float32)
        fine = self.values(squared[:, None] + squared[None, :]) / np.float32(_PHASES**2)
        boxed = _box(_box(fine).T)[1:, 1:]  # symmetric: turning it over changes nothing
        phases = boxed.reshape(size, _PHASES, size, _PHASES)[:, ::-1, :, ::-1]
        return np.ascontiguousarray(phases.transpose(1, 3, 0, 2))


def _box(fine: Image) -> Image:
    """Sum every _PHASES (20) neighbouring rows, by doubling."""
    pairs = fine[:-1] + fine[1:]
    fours = pairs[:-2] + pairs[2:]
    eights = fours[:-4] + fours[4:]
    boxed: Image = (eights[:-12] + eights[8:-4]) + fours[16:]
    return boxed


def _cells(x: Values) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pixel whose lower edge to upper edge holds x, and the step within it."""
    steps = np.rint((x + 0.5) * _PHASES).astype(np.intp)
    return steps // _PHASES, steps % _PHASES


def _cell(x: float) -> tuple[int, int]:
    steps = round((x + 0.5) * _PHASES)
    return steps // _PHASES, steps % _PHASES
