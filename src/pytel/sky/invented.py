"""Faint stars that no bundled catalogue has: invented, but the same in every process and every year.

Each cell of the sky has its own stream of random numbers, seeded by the cell's number. Stars come out of it from bright
to faint, so that a deeper limit only adds some.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytel.sky.cells import COUNTS, FIRST, HEIGHT, zone_of

Array = NDArray[np.float64]

BRIGHTEST = 11.8
"""Where invented stars begin: the bundled Tycho-2 thins out from about V = 11.5 on."""
FAINTEST = 22.0

_SEED = 0x5CA7
_MAGNITUDES = np.arange(11.0, 23.0)
# Decimal logarithms of the stars brighter than these magnitudes in a square degree, at the galactic equator and at the
# poles: roughly what is counted (compare Bahcall and Soneira 1980, ApJS 44, 73).
_PLANE = np.array([1.6, 2.05, 2.5, 2.95, 3.35, 3.72, 4.06, 4.38, 4.66, 4.9, 5.1, 5.26])
_POLE = np.array([0.9, 1.26, 1.6, 1.9, 2.16, 2.4, 2.62, 2.84, 3.04, 3.24, 3.42, 3.6])
_GALACTIC_POLE = np.array([-0.8676661, -0.1980764, 0.4559838])
_GRID = np.round(np.arange(BRIGHTEST, FAINTEST + 0.05, 0.1), 1)


def density(mag: Array, sin_latitude: float) -> Array:
    """Stars brighter than `mag` in a square degree at a galactic latitude (a rough law of the sky without dust)."""
    weight = np.exp(-abs(sin_latitude) / 0.22)
    plane, pole = (10.0 ** np.interp(mag, _MAGNITUDES, counts) for counts in (_PLANE, _POLE))
    return np.asarray(weight * plane + (1.0 - weight) * pole)


def drawn(cell: int, limit: float) -> tuple[Array, Array, NDArray[np.float32]]:
    """The invented stars of a cell brighter than `limit`: (ra, dec, mag), bright ones first."""
    zone = int(zone_of(np.array([cell]))[0])
    south, north = np.sin(np.radians(np.array([zone, zone + 1]) * HEIGHT - 90.0))
    width = 360.0 / int(COUNTS[zone])
    west = (cell - int(FIRST[zone])) * width
    area = width * np.degrees(north - south)
    expected = density(_GRID, _sin_galactic_latitude(west + width / 2, (south + north) / 2)) * area
    expected -= expected[0]
    arrivals, places = _stream(cell, float(np.interp(limit, _GRID, expected)))
    mag = np.interp(arrivals, expected, _GRID).astype(np.float32)
    dec = np.degrees(np.arcsin(south + places[:, 1] * (north - south)))
    kept = mag < limit
    return (west + places[:, 0] * width)[kept], dec[kept], mag[kept]


def _stream(cell: int, expected: float) -> tuple[Array, Array]:
    """Arrivals of a Poisson process of rate one up to `expected`, with two random numbers for each."""
    if expected <= 0.0:
        return np.empty(0), np.empty((0, 2))
    enough = int(expected + 8.0 * expected**0.5 + 16.0)
    numbers = np.random.Generator(np.random.PCG64([_SEED, cell])).random((enough, 3))
    arrivals = np.cumsum(-np.log1p(-numbers[:, 0]))
    count = int(np.searchsorted(arrivals, expected))
    return arrivals[:count], numbers[:count, 1:]


def _sin_galactic_latitude(ra: float, sin_dec: float) -> float:
    across = (1.0 - sin_dec**2) ** 0.5
    longitude = np.radians(ra)
    return float(_GALACTIC_POLE @ np.array([across * np.cos(longitude), across * np.sin(longitude), sin_dec]))
