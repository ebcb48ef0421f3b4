"""Where a frame shows that the telescope points, and where it has to go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.automation.guiding_sky import HeaderValue, Shift, header_orientation
from pytel.base.errors import PytelError
from pytel.base.units import Arcsec, ArcsecPerPixel, Declination, Degrees, Pixels, RightAscension

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.sky.catalogue import StarSource

_ARCSEC_PER_RADIAN = 206264.806


class ScaleUnknown(PytelError):
    """Nothing tells how large the pixels of a camera are on the sky."""


class Sighting(NamedTuple):
    """Where a frame's middle is (ICRS), and what leads from there to the target, whose pixel (from 0) is x, y.

    `believed` is where the telescope thought that it pointed.
    """

    believed: tuple[RightAscension, Declination]
    ra: RightAscension
    dec: Declination
    position_angle: Degrees
    error: Shift
    x: Pixels
    y: Pixels

    @property
    def distance(self) -> Arcsec:
        """How far the target is off the middle."""
        return self.error.length


def sight(
    pixels: NDArray[Any],
    header: Mapping[str, HeaderValue],
    ra: RightAscension,
    dec: Declination,
    *,
    radius: Degrees,
    pixel_scale: ArcsecPerPixel | None,
    stars: StarSource,
) -> Sighting:
    """Solve a frame that should show a target within `radius` of its middle; blocking.

    Raises `NotSolved`, and `ScaleUnknown` when neither header nor `pixel_scale` (unbinned) tell the scale.
    """
    from pytel.imaging.solving import FieldHint, solve_field
    from pytel.imaging.sources import find_sources
    from pytel.sky.sphere import project

    saturation = header.get("SATURATE")
    sources = find_sources(pixels, saturation=float(saturation) if isinstance(saturation, int | float) else None)
    hint = FieldHint(ra=ra, dec=dec, radius=radius, scale=_scale(header, pixel_scale))
    solution = solve_field(sources, (pixels.shape[0], pixels.shape[1]), hint, stars)
    xi, eta = project(ra, dec, solution.ra, solution.dec)
    x, y = solution.sky_to_pixel(ra, dec)
    return Sighting(
        believed=_believed(header, ra, dec),
        ra=solution.ra,
        dec=solution.dec,
        position_angle=solution.position_angle,
        error=Shift(float(xi) * 3600, float(eta) * 3600),
        x=float(x),
        y=float(y),
    )


def _scale(header: Mapping[str, HeaderValue], configured: ArcsecPerPixel | None) -> ArcsecPerPixel:
    """By the WCS that the camera wrote, else by pixel size and focal length, else by the configuration."""
    told = header_orientation(header)
    if told is not None:
        return told.scale
    size, length = header.get("XPIXSZ"), header.get("FOCALLEN")
    if isinstance(size, int | float) and isinstance(length, int | float) and size > 0 and length > 0:
        return _ARCSEC_PER_RADIAN * size / 1000 / length
    binning = header.get("XBINNING")
    if configured is not None:
        return configured * (binning if isinstance(binning, int | float) else 1)
    raise ScaleUnknown(
        "neither WCS nor pixel size and focal length stand in the frame's header; give pixel_scale in the configuration"
    )


def _believed(
    header: Mapping[str, HeaderValue], ra: RightAscension, dec: Declination
) -> tuple[RightAscension, Declination]:
    """By the header; without a word in it, the telescope was sent to the target."""
    said_ra, said_dec = header.get("RA"), header.get("DEC")
    if isinstance(said_ra, int | float) and isinstance(said_dec, int | float) and abs(said_dec) <= 90:
        return float(said_ra) % 360.0, float(said_dec)
    return ra, dec


def aim_for(seen: Sighting) -> tuple[RightAscension, Declination]:
    """Where to slew so that a telescope that is off by as much there as it was here hits the target."""
    from pytel.sky.sphere import offset_by

    aim_ra, aim_dec = offset_by(*seen.believed, seen.error.ra, seen.error.dec)
    return aim_ra % 360.0, math.copysign(min(90.0, abs(aim_dec)), aim_dec)
