"""Where the pixels of a frame are on the sky: gnomonic WCS cards and their use.

After FITS 4.0, section 8, and Calabretta & Greisen (2002), A&A 395, 1077. Pixels
count from 1 at the centre of the first one, as FITS has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pytel.base.errors import InvalidParams
from pytel.base.units import ArcsecPerPixel, Declination, Degrees, RightAscension
from pytel.imaging.headers import CardValue, HeaderCard, cards


def wcs_cards(
    ra: RightAscension,
    dec: Declination,
    *,
    pixel_scale: ArcsecPerPixel,
    rotation: Degrees,
    reference_pixel: tuple[float, float],
    flipped: bool = False,
    binning: tuple[int, int] = (1, 1),
    window_origin: tuple[int, int] = (0, 0),
) -> dict[str, HeaderCard]:
    """Describe a frame whose `reference_pixel` is at `ra`, `dec` (ICRS).

    `pixel_scale` and `reference_pixel` (x, y from 1) are those of the whole detector, unbinned: its centre is
    `((columns + 1) / 2, (rows + 1) / 2)`. `rotation` is the position angle of the image's upward direction
    (growing rows), from north through east; that is -CROTA2. `flipped` tells of an odd number of mirrors: with
    north up, east is right. `window_origin` is the first column and row of the window in unbinned pixels, from 0.
    """
    if not pixel_scale > 0 or min(binning) < 1:
        raise InvalidParams(f"a pixel scale of {pixel_scale} arcsec with binning {binning} describes no image")
    angle, scale = math.radians(rotation), pixel_scale / 3600
    x_scale, y_scale = scale * binning[0] * (-1 if not flipped else 1), scale * binning[1]
    x, y = (
        (reference - 0.5 - origin) / binned + 0.5
        for reference, binned, origin in zip(reference_pixel, binning, window_origin, strict=True)
    )
    values: dict[str, CardValue] = {
        "WCSAXES": 2,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": round(ra % 360, 10),
        "CRVAL2": round(dec, 10),
        "CRPIX1": x,
        "CRPIX2": y,
        "CD1_1": x_scale * math.cos(angle),
        "CD1_2": y_scale * math.sin(angle),
        "CD2_1": -x_scale * math.sin(angle),
        "CD2_2": y_scale * math.cos(angle),
        "RADESYS": "ICRS",
    }
    return cards(values)


def pixel_to_sky(header: Mapping[str, HeaderCard], x: float, y: float) -> tuple[RightAscension, Declination]:
    """Right ascension and declination (ICRS, degrees) of a pixel (from 1)."""
    dx, dy = x - _number(header, "CRPIX1"), y - _number(header, "CRPIX2")
    a, b, c, d = _matrix(header)
    xi, eta = math.radians(a * dx + b * dy), math.radians(c * dx + d * dy)
    ra0, dec0 = _reference(header)
    down = math.cos(dec0) - eta * math.sin(dec0)
    ra = ra0 + math.atan2(xi, down)
    dec = math.atan2(math.sin(dec0) + eta * math.cos(dec0), math.hypot(xi, down))
    return math.degrees(ra) % 360, math.degrees(dec)


def sky_to_pixel(header: Mapping[str, HeaderCard], ra: RightAscension, dec: Declination) -> tuple[float, float]:
    """Pixel (x, y from 1) of a place on the sky. Raises `InvalidParams` when it is 90 degrees or more away."""
    ra0, dec0 = _reference(header)
    angle, latitude = math.radians(ra) - ra0, math.radians(dec)
    towards = math.sin(dec0) * math.sin(latitude) + math.cos(dec0) * math.cos(latitude) * math.cos(angle)
    if towards <= 1e-9:
        raise InvalidParams(f"{ra:.4f}, {dec:+.4f} is on the other side of the sky")
    xi = math.degrees(math.cos(latitude) * math.sin(angle) / towards)
    north = math.cos(dec0) * math.sin(latitude) - math.sin(dec0) * math.cos(latitude) * math.cos(angle)
    eta = math.degrees(north / towards)
    a, b, c, d = _matrix(header)
    determinant = a * d - b * c
    x = _number(header, "CRPIX1") + (d * xi - b * eta) / determinant
    y = _number(header, "CRPIX2") + (a * eta - c * xi) / determinant
    return x, y


def _reference(header: Mapping[str, HeaderCard]) -> tuple[float, float]:
    return math.radians(_number(header, "CRVAL1")), math.radians(_number(header, "CRVAL2"))


def _matrix(header: Mapping[str, HeaderCard]) -> tuple[float, float, float, float]:
    a, b, c, d = (_number(header, keyword) for keyword in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"))
    if a * d == b * c:
        raise InvalidParams("the CD matrix of this header has no inverse")
    return a, b, c, d


def _number(header: Mapping[str, HeaderCard], keyword: str) -> float:
    given = header.get(keyword)
    if given is None or isinstance(given.value, bool | str) or given.value is None:
        raise InvalidParams(f"this header has no {keyword}: it says nothing about where it is on the sky")
    return float(given.value)
