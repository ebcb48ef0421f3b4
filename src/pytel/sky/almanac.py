"""Sun, Moon and nights, from ERFA's analytic series: no ephemeris file is needed."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import erfa
import numpy as np

from pytel.base.location import Location
from pytel.sky.earth import Array, Instants, context, observed, terrestrial_time
from pytel.sky.sphere import plain, wrapped

Instant = TypeVar("Instant", float, Array)

SUNSET_ALTITUDE = -0.833
"""Altitude of the Sun's centre, without refraction, when its upper limb touches the horizon."""
DARK_ALTITUDE = -18.0
_DAY = 86400.0
_STEP = 300.0


def sun(when: Instant) -> tuple[Instant, Instant]:
    """ICRS place (ra, dec) of the Sun seen from the Earth's centre, in degrees; good to 1 arcsec."""
    return _direction(-_sun_to_earth(when))


def moon(when: Instant) -> tuple[Instant, Instant]:
    """ICRS place (ra, dec) of the Moon seen from the Earth's centre, in degrees; good to half an arcminute.

    Seen from a site it may stand up to a degree away: `moon_position`.
    """
    return _direction(_earth_to_moon(when))


def moon_position(when: Instant, location: Location) -> tuple[Instant, Instant]:
    """ICRS place (ra, dec) of the Moon seen from a site, in degrees; good to half an arcminute."""
    return _direction(_site_to_moon(when, context(when, location)))


def _sun_to_earth(when: Instants) -> Array:
    heliocentric, _ = erfa.epv00(*terrestrial_time(when))
    return np.asarray(heliocentric["p"], dtype=np.float64)


def _earth_to_moon(when: Instants) -> Array:
    return np.asarray(erfa.moon98(*terrestrial_time(when))["p"], dtype=np.float64)


def _site_to_moon(when: Instants, astrom: Any) -> Array:
    _, barycentric = erfa.epv00(*terrestrial_time(when))
    return np.asarray(_earth_to_moon(when) - (astrom["eb"] - barycentric["p"]))


def _direction(vector: Array) -> tuple[Any, Any]:
    longitude, latitude = erfa.c2s(vector)
    return plain(wrapped(np.degrees(longitude))), plain(np.degrees(latitude))


def sun_altitude(when: Instant, location: Location) -> Instant:
    """Altitude of the Sun's centre seen from a site, in degrees, without refraction; parallax is in."""
    astrom = context(when, location)
    result: Instant = _altitude(-astrom["eh"], astrom)
    return result


def moon_altitude(when: Instant, location: Location) -> Instant:
    """Altitude of the Moon's centre seen from a site, in degrees, without refraction; parallax is in."""
    astrom = context(when, location)
    result: Instant = _altitude(_site_to_moon(when, astrom), astrom)
    return result


def _altitude(direction: Array, astrom: Any) -> Any:
    _, zenith_distance, _, _ = observed(*_direction(direction), astrom)
    return plain(90.0 - np.degrees(zenith_distance))


def moon_illumination(when: Instant) -> Instant:
    """Illuminated fraction of the Moon's disc, 0 (new) to 1 (full)."""
    result: Instant = plain((1.0 + np.cos(np.radians(moon_phase_angle(when)))) / 2.0)
    return result


def moon_phase_angle(when: Instant) -> Instant:
    """Angle Sun-Moon-Earth in degrees, 0 at full Moon and 180 at new Moon."""
    to_earth = -_earth_to_moon(when)
    to_sun = to_earth - _sun_to_earth(when)
    result: Instant = plain(np.degrees(erfa.sepp(to_earth, to_sun)))
    return result


class Night(NamedTuple):
    """One night of a site, in Unix seconds; an instant that does not occur (polar summer or winter) is `None`."""

    date: datetime.date
    """The local date of the evening."""
    start: float
    """Local mean noon before the night."""
    sunset: float | None
    dusk: float | None
    dark_start: float | None
    dark_end: float | None
    dawn: float | None
    sunrise: float | None
    end: float
    """Local mean noon after the night."""


def night_of(when: float, location: Location, *, twilight: float = -12.0) -> Night:
    """The night that an instant belongs to: from one local mean noon to the next, named by its evening's date.

    `twilight` is the Sun's altitude at `dusk` and `dawn` in degrees; sunset and sunrise are at -0.833, dark is below
    -18. In the hours between sunrise and noon this is the night that has passed: `next_night` looks ahead.
    """
    return _night(int((when - location.mean_noon) // _DAY), location, twilight)


def next_night(when: float, location: Location, *, twilight: float = -12.0) -> Night:
    """The night that contains `when` or else follows next: the first whose sunrise is still to come.

    A night without sunset or sunrise (polar summer, polar winter) lasts until its noon.
    """
    night = night_of(when, location, twilight=twilight)
    if night.sunrise is not None and night.sunrise <= when:
        return night_of(night.end, location, twilight=twilight)
    return night


@functools.lru_cache(maxsize=64)
def _night(day: int, location: Location, twilight: float) -> Night:
    start = day * _DAY + location.mean_noon
    times = start + 2 * _STEP * np.arange(_DAY / (2 * _STEP) + 1)
    altitudes = sun_altitude(times, location)

    def refined(bracket: tuple[float, float] | None, altitude: float) -> float | None:
        return bracket and _refine(lambda t: sun_altitude(t, location) - altitude, *bracket)

    def passages(altitude: float) -> tuple[float | None, float | None]:
        sinks = _first_crossing(times, altitudes, altitude, rising=False)
        later = times >= (sinks[0] if sinks else start)
        rises = _first_crossing(times[later], altitudes[later], altitude, rising=True)
        return refined(sinks, altitude), refined(rises, altitude)

    sunset, sunrise = passages(SUNSET_ALTITUDE)
    dusk, dawn = passages(twilight)
    dark_start, dark_end = passages(DARK_ALTITUDE)
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    return Night(date, start, sunset, dusk, dark_start, dark_end, dawn, sunrise, end=start + _DAY)


def next_crossing(
    altitude: float, when: float, location: Location, rising: bool, *, within: float = 1.05 * _DAY
) -> float | None:
    """When the Sun next rises (or sinks) through an altitude, in Unix seconds, to a tenth of a second.

    `None` if it does not within `within` seconds. The Sun is looked at every five minutes, so that a culmination which
    passes the altitude by less than 0.003 degrees may be missed.
    """
    for start in np.arange(when, when + within, _DAY / 4):
        stop = min(start + _DAY / 4, when + within)
        times = np.linspace(start, stop, int(np.ceil((stop - start) / _STEP)) + 1)
        found = _first_crossing(times, sun_altitude(times, location), altitude, rising)
        if found is not None:
            return _refine(lambda t: sun_altitude(t, location) - altitude, *found)
    return None


def _first_crossing(times: Array, altitudes: Array, altitude: float, rising: bool) -> tuple[float, float] | None:
    above = altitudes >= altitude
    turns = np.flatnonzero((above[1:] != above[:-1]) & (above[1:] == rising))
    return (float(times[turns[0]]), float(times[turns[0] + 1])) if len(turns) else None


def _refine(function: Callable[[float], float], low: float, high: float) -> float:
    """The zero of `function` between two instants where its signs differ (Illinois variant of the secant rule)."""
    at_low, at_high = function(low), function(high)
    while high - low > 0.05 and at_high != at_low:
        middle = high - at_high * (high - low) / (at_high - at_low)
        at_middle = function(middle)
        if abs(at_middle) < 1e-6:
            return middle
        if (at_middle < 0) == (at_high < 0):
            high, at_high, at_low = middle, at_middle, at_low / 2
        else:
            low, at_low, at_high = middle, at_middle, at_high / 2
    return (low + high) / 2
