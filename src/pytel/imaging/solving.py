"""Where on the sky a frame is: plate solving with a hint, on the stars of a catalogue.

    sources = find_sources(pixels)
    solution = solve_field(sources, pixels.shape, FieldHint(ra=83.8, dec=-5.4, radius=0.5, scale=0.59))

Computes for some milliseconds: from a coroutine, call it by `pytel.base.threads.in_thread`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError
from pytel.base.units import Arcsec, ArcsecPerPixel, Declination, Degrees, RightAscension
from pytel.imaging.headers import HeaderCard, cards
from pytel.imaging.matching import Mask, Match, Points, find_similarity, nearest_pairs
from pytel.imaging.sources import SourceList
from pytel.imaging.wcs import pixel_to_sky, sky_to_pixel
from pytel.sky.catalogue import Stars, StarSource, cone
from pytel.sky.sphere import deproject, project

_SCALE_TOLERANCE = 0.035
_ANGLE_TOLERANCE = 6.0
_TOLERANCE = 4.0
_CLOSE = 3.0
_SOURCES = 40
_FITTED = 300
_LIMITS = (9.0, 10.5, 12.0, 13.5, 15.0, 16.5, 18.0)
_MOST_TARGETS = 2500
_FEWEST = 5


class NotSolved(PytelError):
    """No place on the sky fits the stars of this frame; `data` has `sources`, how many there were to go by."""


@dataclass(frozen=True)
class FieldHint:
    """What is known of a frame's place beforehand."""

    ra: RightAscension
    dec: Declination
    radius: Degrees
    """How far from there the middle of the frame may be."""
    scale: ArcsecPerPixel
    """Good to 3 percent."""
    flipped: bool | None = None
    """Whether east is right with north up; None if it is not known."""
    position_angle: Degrees | None = None
    """Of the +y axis, from north through east, good to some degrees; None if it is not known."""


@dataclass(frozen=True)
class FieldSolution:
    """Where a frame is on the sky; pixels count from 0 at the centre of the first."""

    ra: RightAscension
    """ICRS, of the frame's middle."""
    dec: Declination
    scale: ArcsecPerPixel
    position_angle: Degrees
    """Of the +y axis, from north through east, 0 to 360."""
    flipped: bool
    """East is right with north up."""
    matched: int
    """Stars of the catalogue that are in the frame."""
    rms: Arcsec
    """Of the distances of these from their sources."""
    shape: tuple[int, int]
    matrix: tuple[float, float, float, float]
    """CD1_1, CD1_2, CD2_1, CD2_2 in degrees per pixel."""

    def cards(self) -> dict[str, HeaderCard]:
        """The gnomonic WCS of this frame as FITS cards (FITS 4.0, section 8)."""
        rows, columns = self.shape
        return cards(
            {
                "WCSAXES": 2,
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CUNIT1": "deg",
                "CUNIT2": "deg",
                "CRVAL1": self.ra,
                "CRVAL2": self.dec,
                "CRPIX1": (columns + 1) / 2,
                "CRPIX2": (rows + 1) / 2,
                "CD1_1": self.matrix[0],
                "CD1_2": self.matrix[1],
                "CD2_1": self.matrix[2],
                "CD2_2": self.matrix[3],
                "RADESYS": "ICRS",
            }
        )

    def pixel_to_sky(self, x: float, y: float) -> tuple[RightAscension, Declination]:
        """The ICRS place of a pixel (from 0)."""
        return pixel_to_sky(self._header, x + 1, y + 1)

    def sky_to_pixel(self, ra: RightAscension, dec: Declination) -> tuple[float, float]:
        """The pixel (from 0) of an ICRS place. Raises `InvalidParams` if it is 90 degrees or more away."""
        x, y = sky_to_pixel(self._header, ra, dec)
        return x - 1, y - 1

    @functools.cached_property
    def _header(self) -> dict[str, HeaderCard]:
        return self.cards()


def solve_field(
    sources: SourceList, shape: tuple[int, int], hint: FieldHint, stars: StarSource = cone
) -> FieldSolution:
    """Find where the frame of these sources (shape: rows, columns) is on the sky.

    Any turn, both parities, a scale off by 3 percent and distortions of a pixel are found. `stars` is where stars come
    from, see `pytel.sky.catalogue.star_source`. Raises `NotSolved` if no place within the hint fits beyond doubt, and
    `InvalidParams` for a hint that is none.
    """
    if not (hint.scale > 0 and 0 < hint.radius <= 20 and -90 <= hint.dec <= 90 and min(shape) > 1):
        raise InvalidParams(f"no plate can be solved with {hint} on a frame of {shape}")
    if len(sources) < _FEWEST:
        raise _not_solved(sources, "has too few stars: expose longer, or check clouds and cover")
    plate = _Plate(sources, shape, hint)
    catalogue = _deep_enough(plate, stars)
    match = plate.search(catalogue)
    if match is None:
        raise _not_solved(sources, "is nowhere near the hint: check pointing, scale and clouds")
    return plate.solution(match, catalogue)


def _not_solved(sources: SourceList, why: str) -> NotSolved:
    return NotSolved(f"this frame with {len(sources)} sources {why}", sources=len(sources))


def _deep_enough(plate: _Plate, stars: StarSource) -> Stars:
    """The stars around the hint, as faint as it needs to have about as many in a field as the frame has."""
    hint = plate.hint
    wanted = min(len(plate.points), _SOURCES) * 1.5 * plate.region / plate.area
    found = stars(hint.ra, hint.dec, plate.reach, _LIMITS[0])
    for limit in _LIMITS[1:]:
        if len(found) >= wanted:
            break
        found = stars(hint.ra, hint.dec, plate.reach, limit)
    return found[: min(_MOST_TARGETS, max(int(wanted), 20))]


class _Plate:
    """A frame's sources around its middle, north up and east left but for turn and mirror; in hinted pixels."""

    def __init__(self, sources: SourceList, shape: tuple[int, int], hint: FieldHint) -> None:
        self.hint, self.shape = hint, shape
        rows, columns = shape
        self.places: Points = (sources.x - (columns - 1) / 2) + 1j * (sources.y - (rows - 1) / 2)
        self.points = self.places[:_FITTED]
        diagonal = math.hypot(rows, columns) / 2 * hint.scale / 3600 * (1 + _SCALE_TOLERANCE)
        self.reach = min(hint.radius + diagonal, 90.0)
        self.region = math.pi * (self.reach * 3600 / hint.scale) ** 2
        self.area = float(rows * columns)

    def search(self, catalogue: Stars) -> Match | None:
        mirrors = (False, True) if self.hint.flipped is None else (self.hint.flipped,)
        return find_similarity(
            self.points[: 2 * _SOURCES],
            self._laid_out(catalogue, self.hint.ra, self.hint.dec),
            tolerance=_TOLERANCE,
            scale_tolerance=_SCALE_TOLERANCE,
            mirrors=mirrors,
            fits=self._fits,
        )

    def _laid_out(self, catalogue: Stars, ra: float, dec: float) -> Points:
        """Stars on the plane that touches the sky at a place: west is right, north is up, in hinted pixels."""
        xi, eta = project(catalogue.ra, catalogue.dec, ra, dec)
        return np.asarray((-xi + 1j * eta) * 3600 / self.hint.scale)

    def _fits(self, factor: Points, shift: Points, mirrored: bool) -> Mask:
        fit = np.abs(shift) < self.hint.radius * 3600 / self.hint.scale + _TOLERANCE
        if self.hint.position_angle is not None:
            turned = math.radians(self.hint.position_angle + (180 if mirrored else 0))
            off = np.angle(factor * np.exp(-1j * turned))
            fit &= np.abs(off) < math.radians(_ANGLE_TOLERANCE)
        return np.asarray(fit)

    def solution(self, match: Match, catalogue: Stars) -> FieldSolution:
        """The similarity freed to six constants, on the plane that touches the sky at the frame's middle."""
        ra, dec = self.hint.ra, self.hint.dec
        mine, theirs = match.points, match.targets
        plane = self._laid_out(catalogue, ra, dec)
        for _ in range(5):
            matrix = _fit(self.points[mine], plane[theirs])
            middle = matrix[:, 2] * self.hint.scale / 3600
            ra, dec = deproject(float(-middle[0]), float(middle[1]), ra, dec)
            # The plane turns with the convergence of the meridians, at a pole by any angle: fit before looking again.
            plane = self._laid_out(catalogue, ra, dec)
            matrix = _fit(self.points[mine], plane[theirs])
            mine, theirs = nearest_pairs(_affine(matrix, self.points), plane, _CLOSE)
        off = np.abs(_affine(matrix, self.points[mine]) - plane[theirs]) * self.hint.scale
        cd = matrix[:, :2] * [[-1.0], [1.0]] * self.hint.scale / 3600
        return _described(ra, dec, cd, self.shape, len(mine), float(np.sqrt((off**2).mean())))


def solution_of_wcs(header: Mapping[str, HeaderCard], shape: tuple[int, int]) -> FieldSolution:
    """The solution that gnomonic WCS cards describe, wherever their reference pixel is; of matches it knows nothing.

    Raises `InvalidParams` for cards that describe no plane.
    """
    rows, columns = shape
    x, y = (columns + 1) / 2, (rows + 1) / 2
    ra, dec = pixel_to_sky(header, x, y)
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    places = np.array([pixel_to_sky(header, x + a * columns / 2, y + b * rows / 2) for a, b in steps])
    xi, eta = project(places[:, 0], places[:, 1], ra, dec)
    along, up = (
        [(xi[1] - xi[0]) / columns, (eta[1] - eta[0]) / columns],
        [(xi[3] - xi[2]) / rows, (eta[3] - eta[2]) / rows],
    )
    return _described(ra, dec, np.array([along, up]).T, shape, 0, math.nan)


def _described(
    ra: float, dec: float, cd: NDArray[np.float64], shape: tuple[int, int], matched: int, rms: float
) -> FieldSolution:
    determinant = float(np.linalg.det(cd))
    if determinant == 0 or not np.isfinite(determinant):
        raise InvalidParams("this WCS lays the whole frame onto a line")
    return FieldSolution(
        ra=ra,
        dec=dec,
        scale=3600 * math.sqrt(abs(determinant)),
        position_angle=math.degrees(math.atan2(cd[0, 1], cd[1, 1])) % 360,
        flipped=determinant > 0,
        matched=matched,
        rms=rms,
        shape=shape,
        matrix=(float(cd[0, 0]), float(cd[0, 1]), float(cd[1, 0]), float(cd[1, 1])),
    )


def _affine(matrix: NDArray[np.float64], z: Points) -> Points:
    x = matrix[0, 0] * z.real + matrix[0, 1] * z.imag + matrix[0, 2]
    y = matrix[1, 0] * z.real + matrix[1, 1] * z.imag + matrix[1, 2]
    return np.asarray(x + 1j * y)


def _fit(points: Points, targets: Points) -> NDArray[np.float64]:
    """The six constants of the affine map of points to targets."""
    columns = np.column_stack([points.real, points.imag, np.ones(len(points))])
    answer, *_ = np.linalg.lstsq(columns, np.column_stack([targets.real, targets.imag]), rcond=None)
    return np.asarray(answer.T)
