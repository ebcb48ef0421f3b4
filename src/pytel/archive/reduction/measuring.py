"""What is measured in a calibrated frame: background, cosmic rays, sources, coordinates, zero point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from pytel.archive.reduction.jobs import ReductionSettings
from pytel.base.errors import InvalidParams
from pytel.imaging.background import SkyBackground, measure_background
from pytel.imaging.calibration import Calibrated, fill, number
from pytel.imaging.calibration_file import Column
from pytel.imaging.cosmics import find_cosmics
from pytel.imaging.headers import CardValue, HeaderCard
from pytel.imaging.matching import nearest_pairs
from pytel.imaging.photometry import (
    NoZeroPoint,
    Photometry,
    ZeroPoint,
    find_zero_point,
    limiting_magnitude,
    measure_flux,
)
from pytel.imaging.quality import FrameQuality
from pytel.imaging.solving import FieldHint, FieldSolution, NotSolved, solve_field
from pytel.imaging.sources import NoStars, SourceList, find_sources
from pytel.imaging.wcs import pixel_to_sky
from pytel.sky.catalogue import StarSource
from pytel.sky.sphere import project

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Header = Mapping[str, CardValue]
_BAD, _COSMIC = 1, 2
_COMPARED = 1500
_MATCH_ARCSEC = 2.0
_MIN_PIXELS = 1.5


class Watch(Protocol):
    """Times steps."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time a block."""


@dataclass(frozen=True)
class Measured:
    """What was measured; `remarks` say what was not, and why."""

    quality: FrameQuality
    solution: FieldSolution | None
    catalogue: list[Column]
    masked: list[Column]
    remarks: list[str]


def measure(
    calibrated: Calibrated, header: Header, settings: ReductionSettings, stars: StarSource, watch: Watch
) -> Measured:
    """Measure a frame; cosmic rays are filled in its pixels."""
    pixels = calibrated.pixels
    remarks: list[str] = []
    with watch.step("background"):
        background = measure_background(pixels, calibrated.bad)
    with watch.step("sources"):
        sources = _sources(calibrated, settings)
    hits = np.zeros(pixels.shape, np.bool_)
    if settings.cosmics:
        with watch.step("cosmic rays"):
            hits = _remove_cosmics(calibrated, background, sources)
            sources = _without_hits(sources, hits)
    with watch.step("solve"):
        solution = _solve(sources, pixels.shape, header, settings, stars, remarks)
    with watch.step("photometry"):
        flux = _photometry(calibrated, background, sources, hits)
        zero_point = _zero_point(sources, flux, solution, header, settings, stars, remarks)
    scale = solution.scale if solution is not None else _header_scale(header)
    quality = _quality(header, settings, background, sources, flux, zero_point, scale, int(np.count_nonzero(hits)))
    catalogue = _catalogue(sources, flux, solution, zero_point, number(header, "EXPTIME") or 0.0)
    return Measured(quality, solution, catalogue, _masked(calibrated, hits), remarks)


def _sources(calibrated: Calibrated, settings: ReductionSettings) -> SourceList:
    level = None if calibrated.saturation is None else 0.97 * calibrated.saturation
    return find_sources(calibrated.pixels, threshold=settings.threshold, saturation=level)


def _typical(sources: SourceList) -> SourceList:
    """The brighter half of the good sources, up to a hundred. May be empty."""
    good = sources.select(((sources.flags & ~1) == 0) & (sources.ellipticity < 0.5))
    return good.select(slice(0, min(100, max(10, len(good) // 2))))


def _fwhm(sources: SourceList) -> float | None:
    typical = _typical(sources)
    return float(np.median(typical.fwhm)) if len(typical) >= 3 else None


def _remove_cosmics(calibrated: Calibrated, background: SkyBackground, sources: SourceList) -> NDArray[np.bool_]:
    """Find the hits and fill them in."""
    hits = find_cosmics(
        calibrated.pixels,
        background.surface,
        noise=background.noise,
        read_noise=calibrated.read_noise,
        fwhm=_fwhm(sources) or 2.5,
        bad=calibrated.bad,
        saturation=calibrated.saturation,
    )
    fill(calibrated.pixels, hits | calibrated.bad)
    return hits


def _without_hits(sources: SourceList, hits: NDArray[np.bool_]) -> SourceList:
    """Sources that are not themselves a hit."""
    rows = np.clip(np.rint(sources.y).astype(np.int64), 0, hits.shape[0] - 1)
    columns = np.clip(np.rint(sources.x).astype(np.int64), 0, hits.shape[1] - 1)
    return sources.select(~hits[rows, columns])


def _header_scale(header: Header) -> float | None:
    """Arcseconds per pixel, from the CD matrix."""
    a, b, c, d = (number(header, keyword) for keyword in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"))
    if a is None or b is None or c is None or d is None or a * d == b * c:
        return None
    return math.sqrt(abs(a * d - b * c)) * 3600


def _solve(
    sources: SourceList,
    shape: tuple[int, ...],
    header: Header,
    settings: ReductionSettings,
    stars: StarSource,
    remarks: list[str],
) -> FieldSolution | None:
    scale = _header_scale(header)
    if scale is None:
        remarks.append("the header says nothing about where the frame is on the sky")
        return None
    cards = {keyword: HeaderCard(value) for keyword, value in header.items()}
    try:
        ra, dec = pixel_to_sky(cards, (shape[1] + 1) / 2, (shape[0] + 1) / 2)
        hint = FieldHint(ra=ra, dec=dec, radius=settings.solve_radius, scale=scale)
        return solve_field(sources.select((sources.flags & 8) == 0), (shape[0], shape[1]), hint, stars)
    except (NotSolved, InvalidParams, NoStars) as error:
        remarks.append(error.message)
        return None


def _photometry(
    calibrated: Calibrated, background: SkyBackground, sources: SourceList, hits: NDArray[np.bool_]
) -> Photometry:
    flat = calibrated.pixels - background.surface
    return measure_flux(flat, sources, noise=background.noise, fwhm=_fwhm(sources) or 3.0, mask=calibrated.bad | hits)


def _zero_point(
    sources: SourceList,
    flux: Photometry,
    solution: FieldSolution | None,
    header: Header,
    settings: ReductionSettings,
    stars: StarSource,
    remarks: list[str],
) -> ZeroPoint | None:
    if solution is None:
        return None
    good = np.flatnonzero(~flux.doubtful & ((sources.flags & ~1) == 0) & (flux.flux > 0))[:_COMPARED]
    mine, magnitudes = _matched(sources, good, solution, stars, settings.star_limit)
    try:
        return find_zero_point(
            flux.flux[mine],
            flux.error[mine],
            magnitudes,
            number(header, "EXPTIME") or 0.0,
            common_error=flux.correction_error,
        )
    except NoZeroPoint as error:
        remarks.append(error.message)
        return None


def _matched(
    sources: SourceList, good: NDArray[np.intp], solution: FieldSolution, source: StarSource, limit: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which sources are which stars: indices, and the magnitudes of the catalogue; blends are left out."""
    rows, columns = solution.shape
    radius = math.hypot(rows, columns) / 2 * solution.scale / 3600
    stars = source(solution.ra, solution.dec, radius * 1.02, limit)
    xi, eta = project(stars.ra, stars.dec, solution.ra, solution.dec)
    a, b, c, d = solution.matrix
    determinant = a * d - b * c
    x = (d * xi - b * eta) / determinant + (columns - 1) / 2
    y = (a * eta - c * xi) / determinant + (rows - 1) / 2
    places, targets = sources.x[good] + 1j * sources.y[good], np.asarray(x + 1j * y)
    mine, theirs = nearest_pairs(places, targets, max(_MATCH_ARCSEC / solution.scale, _MIN_PIXELS))
    return good[mine], np.asarray(stars.mag[theirs], dtype=np.float64)


def _quality(
    header: Header,
    settings: ReductionSettings,
    background: SkyBackground,
    sources: SourceList,
    flux: Photometry,
    zero_point: ZeroPoint | None,
    scale: float | None,
    cosmics: int,
) -> FrameQuality:
    seconds, airmass = number(header, "EXPTIME") or 0.0, number(header, "AIRMASS")
    name = str(header.get("FILTER") or "")
    extinction = settings.extinction.get(name, settings.other_extinction)
    above = transparency = limit = sky = None
    if zero_point is not None:
        if airmass is not None:
            above = zero_point.magnitude + extinction * airmass
        reference = settings.zero_points.get(name)
        if above is not None and reference is not None:
            transparency = 10 ** (0.4 * (above - reference))
        limit = limiting_magnitude(
            zero_point.magnitude, seconds, noise=background.noise, radius=flux.radius, correction=flux.correction
        )
        if scale is not None and background.level > 0:
            sky = zero_point.magnitude - 2.5 * math.log10(background.level / seconds / scale**2)
    typical = _typical(sources)
    measured = len(typical) >= 3
    return FrameQuality(
        stars=len(sources),
        fwhm=float(np.median(typical.fwhm)) * scale if measured and scale is not None else None,
        hfd=float(np.median(typical.hfd)) if measured else None,
        ellipticity=float(np.median(typical.ellipticity)) if measured else None,
        background=background.level,
        noise=background.noise,
        gradient=background.gradient,
        sky=sky,
        zero_point=zero_point.magnitude if zero_point else None,
        zero_point_error=zero_point.error if zero_point else None,
        zero_point_stars=zero_point.stars if zero_point else 0,
        above_atmosphere=above,
        extinction=extinction,
        transparency=transparency,
        limiting_magnitude=limit,
        cosmics=cosmics,
    )


def _catalogue(
    sources: SourceList, flux: Photometry, solution: FieldSolution | None, zero_point: ZeroPoint | None, seconds: float
) -> list[Column]:
    """The sources as columns; pixels count from 1, as FITS has it."""
    columns = [Column("X", "pix", sources.x + 1), Column("Y", "pix", sources.y + 1)]
    if solution is not None:
        ra, dec = _sky(solution, sources)
        columns += [Column("RA", "deg", ra), Column("DEC", "deg", dec)]
    columns += [Column("FLUX", "electron", flux.flux), Column("FLUXERR", "electron", flux.error)]
    if zero_point is not None and seconds > 0:
        usable = np.where(flux.flux > 0, flux.flux, np.nan)
        columns += [
            Column("MAG", "mag", zero_point.magnitude - 2.5 * np.log10(usable / seconds)),
            Column("MAGERR", "mag", 2.5 / math.log(10) * flux.error / usable),
        ]
    flags = sources.flags | np.where(flux.doubtful, 256, 0)
    columns += [
        Column("PEAK", "electron", sources.peak.astype(np.float32)),
        Column("FWHM", "pix", sources.fwhm.astype(np.float32)),
        Column("HFD", "pix", sources.hfd.astype(np.float32)),
        Column("ELLIP", "", sources.ellipticity.astype(np.float32)),
        Column("FLAGS", "", flags.astype(np.int16)),
    ]
    return columns


def _sky(solution: FieldSolution, sources: SourceList) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cards = solution.cards()
    places = [pixel_to_sky(cards, float(x) + 1, float(y) + 1) for x, y in zip(sources.x, sources.y, strict=True)]
    both = np.array(places, dtype=np.float64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def _masked(calibrated: Calibrated, hits: NDArray[np.bool_]) -> list[Column]:
    """The pixels that were filled in, from 1, and why: 1 bad, 2 cosmic ray."""
    why = calibrated.bad * _BAD + hits * np.uint8(_COSMIC)
    rows, columns = np.nonzero(why)
    return [
        Column("X", "pix", (columns + 1).astype(np.int32)),
        Column("Y", "pix", (rows + 1).astype(np.int32)),
        Column("WHY", "", why[rows, columns].astype(np.int16)),
    ]
