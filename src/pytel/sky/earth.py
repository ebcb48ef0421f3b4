"""Time scales and the Earth's place and orientation, as ERFA wants them."""

from __future__ import annotations

import functools
import math
from typing import Any

import erfa
import numpy as np
from numpy.typing import NDArray

from pytel.base.location import Location

Array = NDArray[np.float64]
Instants = float | Array

_DAY = 86400.0
_UNIX_EPOCH_JD = 2440587.5


@functools.cache
def _leap_seconds() -> tuple[Array, Array]:
    table = [row for row in erfa.leap_seconds.get() if row["year"] >= 1972]
    starts = np.array([f"{row['year']:04d}-{row['month']:02d}-01" for row in table], dtype="datetime64[s]")
    return starts.astype(np.float64), np.array([float(row["tai_utc"]) for row in table])


def universal_time(when: Instants) -> tuple[Instants, Instants]:
    """Two-part Julian date (UTC, taken for UT1 as well) of Unix seconds."""
    days = np.floor(np.asarray(when) / _DAY)
    return _UNIX_EPOCH_JD + days, (when - days * _DAY) / _DAY


def terrestrial_time(when: Instants) -> tuple[Instants, Instants]:
    """Two-part Julian date (TT) of Unix seconds.

    Leap seconds come from ERFA's own table; ERFA's time functions would warn about every year that lies a few years
    past it.
    """
    starts, offsets = _leap_seconds()
    after = np.clip(np.searchsorted(starts, when, side="right") - 1, 0, None)
    day, fraction = universal_time(when)
    return day, fraction + (offsets[after] + 32.184) / _DAY


def context(when: Instants, location: Location) -> Any:
    """The star-independent astrometry of a place at an instant (or at many), as ERFA's ASTROM structure.

    No refraction, no polar motion, and UT1 = UTC: the horizon is off by 15 arcsec for each second of UT1-UTC (which is
    kept below 0.9 s, and is below 0.2 s in the 2020s) and by up to 0.5 arcsec of polar motion. The last contexts are
    remembered, since a mount asks many questions about one instant.
    """
    if isinstance(when, np.ndarray):
        return _context(when, location)
    return _remembered_context(float(when), location)


def _context(when: Instants, location: Location) -> Any:
    tt = terrestrial_time(when)
    heliocentric, barycentric = erfa.epv00(*tt)
    x, y, s = erfa.xys06a(*tt)
    return erfa.apco(
        *tt,
        barycentric,
        heliocentric["p"],
        x,
        y,
        s,
        erfa.era00(*universal_time(when)),
        math.radians(location.longitude),
        math.radians(location.latitude),
        location.elevation,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
    )


_remembered_context = functools.lru_cache(maxsize=32)(_context)


def observed(ra: Any, dec: Any, astrom: Any) -> tuple[Any, Any, Any, Any]:
    """Observed (azimuth, zenith distance, hour angle, declination) of an ICRS place (degrees), in radians."""
    azimuth, zenith_distance, hour_angle, declination, _ = erfa.atioq(
        *erfa.atciqz(np.radians(ra), np.radians(dec), astrom), astrom
    )
    return azimuth, zenith_distance, hour_angle, declination
