"""Geometry on the celestial sphere: distances, offsets, the tangent plane."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Angles = float | Array


def plain(value: Any) -> Any:
    """Give back a Python float for a result without dimensions, else the array."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value, dtype=np.float64)


@overload
def separation(ra1: float, dec1: float, ra2: float, dec2: float) -> float: ...
@overload
def separation(ra1: Array, dec1: Array, ra2: Angles, dec2: Angles) -> Array: ...
@overload
def separation(ra1: float, dec1: float, ra2: Array, dec2: Array) -> Array: ...
def separation(ra1: Angles, dec1: Angles, ra2: Angles, dec2: Angles) -> Angles:
    """Angle between two directions in degrees; exact at small and at large angles (Vincenty's formula)."""
    d_ra, lat1, lat2 = np.radians(np.subtract(ra2, ra1)), np.radians(dec1), np.radians(dec2)
    sin1, cos1, sin2, cos2 = np.sin(lat1), np.cos(lat1), np.sin(lat2), np.cos(lat2)
    across = np.hypot(cos2 * np.sin(d_ra), cos1 * sin2 - sin1 * cos2 * np.cos(d_ra))
    along = sin1 * sin2 + cos1 * cos2 * np.cos(d_ra)
    result: Angles = plain(np.degrees(np.arctan2(across, along)))
    return result


@overload
def project(ra: float, dec: float, ra0: float, dec0: float) -> tuple[float, float]: ...
@overload
def project(ra: Array, dec: Array, ra0: Angles, dec0: Angles) -> tuple[Array, Array]: ...
@overload
def project(ra: float, dec: float, ra0: Array, dec0: Array) -> tuple[Array, Array]: ...
def project(ra: Angles, dec: Angles, ra0: Angles, dec0: Angles) -> tuple[Angles, Angles]:
    """Gnomonic projection onto the plane that touches the sky at (`ra0`, `dec0`): (xi, eta), FITS `TAN`.

    Degrees; xi grows to the east, eta to the north. Directions 90 degrees or more from the centre have no image: nan.
    """
    d_ra, lat, lat0 = np.radians(np.subtract(ra, ra0)), np.radians(dec), np.radians(dec0)
    depth = np.sin(lat) * np.sin(lat0) + np.cos(lat) * np.cos(lat0) * np.cos(d_ra)
    depth = np.where(depth > 1e-9, depth, np.nan)
    xi = np.cos(lat) * np.sin(d_ra) / depth
    eta = (np.sin(lat) * np.cos(lat0) - np.cos(lat) * np.sin(lat0) * np.cos(d_ra)) / depth
    return plain(np.degrees(xi)), plain(np.degrees(eta))


@overload
def deproject(xi: float, eta: float, ra0: float, dec0: float) -> tuple[float, float]: ...
@overload
def deproject(xi: Array, eta: Array, ra0: Angles, dec0: Angles) -> tuple[Array, Array]: ...
@overload
def deproject(xi: float, eta: float, ra0: Array, dec0: Array) -> tuple[Array, Array]: ...
def deproject(xi: Angles, eta: Angles, ra0: Angles, dec0: Angles) -> tuple[Angles, Angles]:
    """The direction (ra, dec) whose image in the plane that touches at (`ra0`, `dec0`) is (xi, eta); degrees."""
    x, y, lat0 = np.radians(xi), np.radians(eta), np.radians(dec0)
    depth = np.cos(lat0) - y * np.sin(lat0)
    ra = np.add(ra0, np.degrees(np.arctan2(x, depth)))
    dec = np.degrees(np.arctan2(np.sin(lat0) + y * np.cos(lat0), np.hypot(x, depth)))
    return plain(wrapped(ra)), plain(dec)


def wrapped(angle: Any) -> Any:
    """Bring degrees into 0 <= angle < 360 (a remainder of -1e-20 rounds to 360 itself)."""
    rest = np.mod(angle, 360.0)
    return np.where(rest >= 360.0, 0.0, rest)


@overload
def offset_by(ra: float, dec: float, d_ra_cosdec_arcsec: float, d_dec_arcsec: float) -> tuple[float, float]: ...
@overload
def offset_by(ra: Array, dec: Array, d_ra_cosdec_arcsec: Angles, d_dec_arcsec: Angles) -> tuple[Array, Array]: ...
@overload
def offset_by(ra: float, dec: float, d_ra_cosdec_arcsec: Array, d_dec_arcsec: Array) -> tuple[Array, Array]: ...
def offset_by(ra: Angles, dec: Angles, d_ra_cosdec_arcsec: Angles, d_dec_arcsec: Angles) -> tuple[Angles, Angles]:
    """Move a direction by arcseconds east and north in its tangent plane: (ra, dec) in degrees.

    Works at the poles too. The offset that comes back by `project` is the one that was asked for.
    """
    xi, eta = np.divide(d_ra_cosdec_arcsec, 3600.0), np.divide(d_dec_arcsec, 3600.0)
    return deproject(xi, eta, ra, dec)
