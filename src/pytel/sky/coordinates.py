"""From the catalogue's sky to the observatory's and back.

    alt, az = radec_to_altaz(83.82, -5.39, clock.time(), location)

Everything takes floats or numpy arrays (which broadcast) in degrees; instants are Unix seconds (UTC).
"""

from __future__ import annotations

from typing import overload

import erfa
import numpy as np

from pytel.base.location import Location
from pytel.sky.earth import Array, Instants, context, observed, terrestrial_time, universal_time
from pytel.sky.sexagesimal import format_dec, format_ra, parse_dec, parse_ra
from pytel.sky.sphere import Angles, deproject, offset_by, plain, project, separation, wrapped

__all__ = [
    "airmass",
    "altaz_to_radec",
    "apparent_place",
    "deproject",
    "format_dec",
    "format_ra",
    "hour_angle",
    "icrs_place",
    "local_sidereal_time",
    "offset_by",
    "parallactic_angle",
    "parse_dec",
    "parse_ra",
    "project",
    "radec_to_altaz",
    "separation",
]


@overload
def radec_to_altaz(ra: float, dec: float, when: float, location: Location) -> tuple[float, float]: ...
@overload
def radec_to_altaz(ra: Array, dec: Array, when: Instants, location: Location) -> tuple[Array, Array]: ...
@overload
def radec_to_altaz(ra: float, dec: float, when: Array, location: Location) -> tuple[Array, Array]: ...
def radec_to_altaz(ra: Angles, dec: Angles, when: Instants, location: Location) -> tuple[Angles, Angles]:
    """Where a star of ICRS place (`ra`, `dec`) stands above the horizon: (altitude, azimuth from north through east).

    Precession, nutation, aberration and the Sun's deflection are in; refraction is not, nor is the star's own motion.
    See `earth.context` for the accuracy (UT1 = UTC: 15 arcsec for each second of UT1-UTC).
    """
    azimuth, zenith_distance, _, _ = observed(ra, dec, context(when, location))
    return plain(90.0 - np.degrees(zenith_distance)), plain(wrapped(np.degrees(azimuth)))


@overload
def altaz_to_radec(alt: float, az: float, when: float, location: Location) -> tuple[float, float]: ...
@overload
def altaz_to_radec(alt: Array, az: Array, when: Instants, location: Location) -> tuple[Array, Array]: ...
@overload
def altaz_to_radec(alt: float, az: float, when: Array, location: Location) -> tuple[Array, Array]: ...
def altaz_to_radec(alt: Angles, az: Angles, when: Instants, location: Location) -> tuple[Angles, Angles]:
    """The ICRS place (ra, dec) of what stands at (`alt`, `az`): the inverse of `radec_to_altaz`, to 0.001 arcsec."""
    astrom = context(when, location)
    ra, dec = erfa.aticq(*erfa.atoiq("A", np.radians(az), np.radians(np.subtract(90.0, alt)), astrom), astrom)
    return plain(wrapped(np.degrees(ra))), plain(np.degrees(dec))


def apparent_place(ra: float, dec: float, when: float) -> tuple[float, float]:
    """The geocentric place (ra, dec) of the equator and equinox of date of an ICRS place, as mounts count.

    Precession, nutation and aberration are in (IAU 2006/2000A).
    """
    right_ascension, declination, origins = erfa.atci13(
        np.radians(ra), np.radians(dec), 0.0, 0.0, 0.0, 0.0, *terrestrial_time(when)
    )
    return plain(wrapped(np.degrees(right_ascension - origins))), plain(np.degrees(declination))


def icrs_place(ra: float, dec: float, when: float) -> tuple[float, float]:
    """The ICRS place of an apparent one: the inverse of `apparent_place`."""
    date = terrestrial_time(when)
    origins = erfa.eo06a(*date)
    catalogue_ra, catalogue_dec, _ = erfa.atic13(np.radians(ra) + origins, np.radians(dec), *date)
    return plain(wrapped(np.degrees(catalogue_ra))), plain(np.degrees(catalogue_dec))


@overload
def hour_angle(ra: float, dec: float, when: float, location: Location) -> float: ...
@overload
def hour_angle(ra: Array, dec: Array, when: Instants, location: Location) -> Array: ...
@overload
def hour_angle(ra: float, dec: float, when: Array, location: Location) -> Array: ...
def hour_angle(ra: Angles, dec: Angles, when: Instants, location: Location) -> Angles:
    """Local hour angle of an ICRS place in degrees, -180 to 180, positive west of the meridian."""
    _, _, angle, _ = observed(ra, dec, context(when, location))
    result: Angles = plain(np.degrees(angle))
    return result


@overload
def parallactic_angle(ra: float, dec: float, when: float, location: Location) -> float: ...
@overload
def parallactic_angle(ra: Array, dec: Array, when: Instants, location: Location) -> Array: ...
@overload
def parallactic_angle(ra: float, dec: float, when: Array, location: Location) -> Array: ...
def parallactic_angle(ra: Angles, dec: Angles, when: Instants, location: Location) -> Angles:
    """Angle at the star from north (of date) through east to the zenith, in degrees, -180 to 180."""
    _, _, angle, declination = observed(ra, dec, context(when, location))
    result: Angles = plain(np.degrees(erfa.hd2pa(angle, declination, np.radians(location.latitude))))
    return result


@overload
def local_sidereal_time(when: float, location: Location) -> float: ...
@overload
def local_sidereal_time(when: Array, location: Location) -> Array: ...
def local_sidereal_time(when: Instants, location: Location) -> Angles:
    """Local apparent sidereal time in degrees, 0 to 360 (IAU 2006/2000A, UT1 = UTC)."""
    greenwich = erfa.gst06a(*universal_time(when), *terrestrial_time(when))
    result: Angles = plain(wrapped(np.degrees(greenwich) + location.longitude))
    return result


@overload
def airmass(alt: float) -> float | None: ...
@overload
def airmass(alt: Array) -> Array: ...
def airmass(alt: Angles) -> float | Array | None:
    """Air mass at an apparent altitude in degrees: 1 at the zenith, 38.7 at the horizon (Pickering 2002).

    Below the horizon there is none: `None` for a float, nan in an array. (`None` is what a FITS keyword without a value
    needs; nan is no FITS value.)
    """
    height = np.asarray(alt, dtype=np.float64)
    above = np.where(height >= 0, height, np.nan)
    mass = 1.0 / np.sin(np.radians(above + 244.0 / (165.0 + 47.0 * above**1.1)))
    if mass.ndim:
        return np.asarray(mass)
    return None if np.isnan(mass) else float(mass)
