"""A fixed division of the sky: 200 zones of 0.9 degrees, each cut into cells at most 0.9 degrees wide.

The catalogue is stored by cell and the invented stars are drawn by cell, so this division must never change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ZONES = 200
HEIGHT = 180.0 / ZONES


def _cells_in_zone(zone: int) -> int:
    equatorward = min(abs(zone * HEIGHT - 90.0), abs((zone + 1) * HEIGHT - 90.0))
    return math.ceil(round(360.0 * math.cos(math.radians(equatorward)) / HEIGHT, 6))


COUNTS = np.array([_cells_in_zone(zone) for zone in range(ZONES)])
"""Number of cells in each zone, from the south pole on."""
FIRST = np.concatenate([[0], np.cumsum(COUNTS)])
"""Number of each zone's first cell (the one that begins at right ascension 0); the last entry is the number of all."""


def zone_of(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The zone of each cell."""
    return np.asarray(np.searchsorted(FIRST, cells, side="right") - 1, dtype=np.int64)


def cell_of(ra: Array, dec: Array) -> NDArray[np.int64]:
    """The cell that holds each place (degrees; 0 <= ra < 360)."""
    zone = np.clip(np.floor((dec + 90.0) / HEIGHT).astype(np.int64), 0, ZONES - 1)
    column = np.minimum((ra / 360.0 * COUNTS[zone]).astype(np.int64), COUNTS[zone] - 1)
    return np.asarray(FIRST[zone] + column, dtype=np.int64)


def runs_touching(ra: float, dec: float, radius: float) -> Iterator[tuple[int, int]]:
    """Runs (first, last + 1) of neighbouring cells that cover a cone, zone by zone from the south; degrees."""
    low = min(max(0, math.floor((dec - radius + 90.0) / HEIGHT)), ZONES - 1)
    high = min(ZONES - 1, math.floor((dec + radius + 90.0) / HEIGHT))
    half_width = _half_width(dec, radius)
    for zone in range(low, high + 1):
        count, first = int(COUNTS[zone]), int(FIRST[zone])
        west = math.floor((ra - half_width) / 360.0 * count)
        east = math.floor((ra + half_width) / 360.0 * count)
        if east - west + 1 >= count:
            yield first, first + count
        elif west % count <= east % count:
            yield first + west % count, first + east % count + 1
        else:
            yield first, first + east % count + 1
            yield first + west % count, first + count


def _half_width(dec: float, radius: float) -> float:
    """Largest distance in right ascension between a cone's centre and its rim."""
    if abs(dec) + radius >= 90.0 - 1e-9:
        return 180.0
    return math.degrees(math.asin(math.sin(math.radians(radius)) / math.cos(math.radians(dec)))) + 1e-9
