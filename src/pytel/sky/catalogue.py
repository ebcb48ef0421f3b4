"""Which stars are in a field: Tycho-2 out of the bundled file, and invented ones below it.

    stars = cone(83.82, -5.39, radius=0.7, limit=17.0)

Reads a file and computes: from a coroutine, call it by `pytel.base.threads.in_thread`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams
from pytel.sky import invented
from pytel.sky.cells import runs_touching
from pytel.sky.packed import Packed, bundled, opened, unpacked

Array = NDArray[np.float64]
_Columns = tuple[Array, Array, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Stars as columns of equal length; `len(stars)` counts them and `stars[index or mask]` picks some."""

    ra: Array
    """ICRS right ascension, degrees, epoch J2000."""
    dec: Array
    """ICRS declination, degrees, epoch J2000."""
    mag: NDArray[np.float32]
    """V magnitude (Tycho's V_T for real stars, which is some 0.1 mag fainter than Johnson's V for red ones)."""
    invented: NDArray[np.bool_]
    """True for stars that exist in no catalogue."""

    def __len__(self) -> int:
        return len(self.ra)

    def __getitem__(self, index: slice | NDArray[Any]) -> Stars:
        return Stars(self.ra[index], self.dec[index], self.mag[index], self.invented[index])


StarSource = Callable[[float, float, float, float], Stars]
"""Stars of a cone (ra, dec, radius in degrees) that are brighter than a limit, bright ones first, as `cone` has it."""


def star_source(catalogue: Path | None = None, *, invent: bool) -> StarSource:
    """Where a site takes the stars from that its frames are compared with.

    `catalogue` is a packed file of its own (`pytel catalogue pack`) that replaces the bundled Tycho-2. The sky of the
    simulated world has invented stars; on the true sky `invent` must be false. Raises `ConfigError` if the file is no
    catalogue.
    """
    return functools.partial(cone, invent=invent, catalogue=None if catalogue is None else opened(catalogue))


def cone(
    ra: float, dec: float, radius: float, limit: float, *, invent: bool = True, catalogue: Packed | None = None
) -> Stars:
    """All stars within `radius` degrees of an ICRS place that are brighter than `limit` (V), bright ones first.

    The real stars are good to 0.05 arcsec and 0.01 mag (without proper motion). Invented ones, V 11.8 to 22, make the
    field as rich as the galactic latitude lets expect: they are always the same, and a deeper limit only adds some.
    `catalogue` is used instead of the bundled one. Raises `InvalidParams` for a place or radius out of range.
    """
    if not (np.isfinite(ra) and -90.0 <= dec <= 90.0 and 0.0 <= radius <= 180.0):
        raise InvalidParams(f"no cone of the sky: ra {ra}, dec {dec}, radius {radius} degrees")
    real = [_within(run, ra, dec, radius) for run in _catalogued(catalogue or bundled(), ra, dec, radius, limit)]
    fake = [_within(run, ra, dec, radius) for run in _invented(ra, dec, radius, limit)] if invent else []
    ras, decs, mags = zip(*real, *fake, strict=True)
    mag = np.concatenate(mags)
    flags = np.arange(len(mag)) >= sum(len(run[0]) for run in real)
    return Stars(np.concatenate(ras), np.concatenate(decs), mag, flags)[np.argsort(mag, kind="stable")]


def _catalogued(catalogue: Packed, ra: float, dec: float, radius: float, limit: float) -> Iterator[_Columns]:
    for first, stop in runs_touching(ra, dec, radius):
        yield unpacked(catalogue, first, stop, limit)


def _invented(ra: float, dec: float, radius: float, limit: float) -> Iterator[_Columns]:
    if limit <= invented.BRIGHTEST:
        return
    for first, stop in runs_touching(ra, dec, radius):
        for cell in range(first, stop):
            yield invented.drawn(cell, limit)


def _within(stars: _Columns, ra: float, dec: float, radius: float) -> _Columns:
    near = _haversine(stars[0] - ra, stars[1], dec) <= np.sin(np.radians(radius) / 2) ** 2
    return stars[0][near], stars[1][near], stars[2][near]


def _haversine(d_ra: Array, dec1: Array, dec2: float) -> Array:
    """sin^2 of half the distance: half the work of `separation` for the many stars of a cell."""
    across = np.cos(np.radians(dec1)) * np.cos(np.radians(dec2)) * np.sin(np.radians(d_ra) / 2) ** 2
    return np.asarray(np.sin(np.radians(dec1 - dec2) / 2) ** 2 + across)
