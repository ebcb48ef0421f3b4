"""How bright stars are: aperture sums with a growth curve, and the zero point by the magnitudes of a catalogue.

After Howell (1989, PASP 101, 616; small apertures for the noise) and Stetson (1990, PASP 102, 932; growth curves).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import PytelError
from pytel.base.units import Duration, Magnitude
from pytel.imaging.sources import SourceList

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RADII = np.array([0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0])
"""Apertures of the growth curve, in FWHM."""
_SMALL = 3
"""Which of them stars are measured in."""
_ANNULUS = (7.0, 10.0)
_CURVE_STARS = 80
_EXPONENTS = np.array([2.5, 3.0, 3.5, 4.0, 4.765, 6.0, 10.0, 20.0])
_USUAL = 3.5
"""Exponents of Moffat profiles; 4.765 is that of turbulent air (Trujillo et al. 2001), 20 as good as Gaussian."""
_MODEL_ERROR = 0.002
"""What the profile is good to, from step to step."""
_BEYOND_ERROR = 0.3
"""What the profile is good to beyond the largest aperture, as a share of the light there."""
_RESAMPLED = 25
_CUT = 0x10 | 0x20
"""SEP's flags of apertures that are cut off, or have masked pixels."""
_FEWEST = 5
_CLIP = 3.0
_FLOOR = 0.01
"""Magnitudes that a catalogue and a flat are good to, star by star."""


class NoZeroPoint(PytelError):
    """Too few stars of known magnitude; `data` has `stars` and `needed`."""


@dataclass(frozen=True)
class Photometry:
    """Total fluxes and their errors (1 sigma), in the unit of the pixels; an element for each source.

    `radius` is the aperture (pixels), `correction` the light outside of it as a factor; `correction_error` is what that
    factor is good to (1 sigma, relative), which is no part of `error` since all sources have it in common. `doubtful`
    are sources with a neighbour whose light falls into the aperture, with masked pixels in it, or at the edge.
    """

    flux: Values
    error: Values
    doubtful: Mask
    radius: float
    correction: float
    correction_error: float


@dataclass(frozen=True)
class ZeroPoint:
    """The magnitude that gives one electron per second in this frame, with its error (1 sigma).

    `scatter` is that of the stars, in magnitudes; `stars` how many agree.
    """

    magnitude: Magnitude
    error: Magnitude
    scatter: Magnitude
    stars: int


def measure_flux(
    pixels: NDArray[np.float32],
    sources: SourceList,
    *,
    noise: float,
    fwhm: float,
    gain: float = 1.0,
    mask: Mask | None = None,
) -> Photometry:
    """Measure sources in a frame from which the background is subtracted.

    Small apertures for a good signal to noise, corrected by the growth curve of bright stars that stand alone; what is
    left of the background is taken from a ring. `noise` is that of a pixel, `fwhm` in pixels.
    """
    if not len(sources):
        nothing = np.empty(0)
        return Photometry(nothing, nothing, np.empty(0, np.bool_), _RADII[_SMALL] * fwhm, 1.0, 0.0)
    radii = _RADII * fwhm
    radius = float(radii[_SMALL])
    level = _ring_level(pixels, sources, fwhm, mask)
    flux, error, cut = _sums(pixels, sources, radius, level, noise, gain, mask)
    alone = _neighbour_distance(sources) > 2.5 * radius
    growth = _growth(pixels, sources, radii, level, fwhm, mask)
    return Photometry(
        flux * growth.factor, error * growth.factor, ~alone | cut, radius, growth.factor, growth.relative_error
    )


def _sums(
    pixels: NDArray[np.float32],
    sources: SourceList,
    radius: float,
    level: Values,
    noise: float,
    gain: float,
    mask: Mask | None,
) -> tuple[Values, Values, Mask]:
    import sep

    flux, error, flags = sep.sum_circle(pixels, sources.x, sources.y, radius, err=noise, gain=gain, mask=mask, subpix=5)
    return np.asarray(flux - level * math.pi * radius**2), np.asarray(error), (flags & _CUT) != 0


def _ring_level(pixels: NDArray[np.float32], sources: SourceList, fwhm: float, mask: Mask | None) -> Values:
    """What the background around each source is off, by the median of a ring's pixels; other stars hardly count."""
    inner, outer = (factor * fwhm for factor in _ANNULUS)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    distances = np.linspace(inner, outer, 4)
    dx = np.round(np.outer(distances, np.cos(angles)).ravel()).astype(np.int64)
    dy = np.round(np.outer(distances, np.sin(angles)).ravel()).astype(np.int64)
    columns = np.rint(sources.x).astype(np.int64)[:, None] + dx
    rows = np.rint(sources.y).astype(np.int64)[:, None] + dy
    inside = (columns >= 0) & (columns < pixels.shape[1]) & (rows >= 0) & (rows < pixels.shape[0])
    rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
    usable = inside if mask is None else inside & ~mask[rows, columns]
    whole = usable.any(axis=1)
    values = np.where(usable, pixels[rows, columns].astype(np.float64), np.nan)
    values[~whole] = 0.0
    middle = _row_medians(values)
    deviation = 1.4826 * _row_medians(np.abs(values - middle))
    kept = np.abs(values - middle) <= np.maximum(2.5 * deviation, 1e-6)
    return np.asarray(np.where(kept, values, 0.0).sum(axis=1) / np.maximum(kept.sum(axis=1), 1))


def _row_medians(values: Values) -> Values:
    """The median of each row's numbers, as a column; several times as fast as numpy's with NaN."""
    count = np.isfinite(values).sum(axis=1)[:, None]
    ordered = np.sort(values, axis=1)
    low, high = (np.take_along_axis(ordered, place, axis=1) for place in ((count - 1) // 2, count // 2))
    return np.asarray((low + high) / 2)


def _neighbour_distance(sources: SourceList) -> Values:
    """How far the nearest other source is from each, pixels."""
    order = np.argsort(sources.y, kind="stable")
    x, y = sources.x[order], sources.y[order]
    nearest = np.full(len(x), np.inf)
    for step in range(1, min(len(x), 200)):
        gap = y[step:] - y[:-step]
        distance = np.hypot(x[step:] - x[:-step], gap)
        nearest[step:] = np.minimum(nearest[step:], distance)
        nearest[:-step] = np.minimum(nearest[:-step], distance)
        if (gap > np.maximum(nearest[step:], nearest[:-step])).all():
            break
    out = np.empty_like(nearest)
    out[order] = nearest
    return out


class _Growth(NamedTuple):
    factor: float
    relative_error: float


def _growth(
    pixels: NDArray[np.float32], sources: SourceList, radii: Values, level: Values, fwhm: float, mask: Mask | None
) -> _Growth:
    """By how much the light of a star grows from the small aperture to all of it.

    Each step of the curve is a median over stars that stand alone. A Moffat profile is fitted to the steps; it stands
    in for those that noise or neighbours make uncertain, and for what lies beyond the largest aperture.
    """
    import sep

    good = np.flatnonzero((sources.flags & ~1) == 0)
    good = good[_neighbour_distance(sources)[good] > radii[-3]][:_CURVE_STARS]
    x, y, sky = sources.x[good], sources.y[good], level[good]
    sums = np.array([sep.sum_circle(pixels, x, y, r, mask=mask, subpix=5)[0] - sky * math.pi * r**2 for r in radii])
    sums = sums[:, (sums > 0).all(axis=0)]
    if sums.shape[1] < 3:
        return _usual_growth()
    ratios = sums[1:] / sums[:-1]
    found = _grown(ratios, radii, fwhm)
    # How far it depends on which stars there are (bootstrap; the same frame gives the same error).
    drawn = np.random.default_rng(0).integers(0, ratios.shape[1], (_RESAMPLED, ratios.shape[1]))
    spread = np.std([_grown(ratios[:, chosen], radii, fwhm).factor for chosen in drawn], ddof=1) / found.factor
    return found._replace(relative_error=math.hypot(found.relative_error, float(spread)))


def _grown(ratios: Values, radii: Values, fwhm: float) -> _Growth:
    """The growth by the steps of some stars; the error is that of the profile alone."""
    steps = np.median(ratios, axis=1)
    scatter = 1.4826 * np.median(np.abs(ratios - steps[:, None]), axis=1)
    errors = np.maximum(1.25 * scatter / math.sqrt(ratios.shape[1]), 1e-4)
    width, exponent = _moffat(radii[_SMALL:], steps[_SMALL:], errors[_SMALL:], fwhm)
    modelled = _enclosed(radii, width, exponent)
    expected = modelled[1:] / modelled[:-1]
    share = _MODEL_ERROR**2 / (_MODEL_ERROR**2 + errors**2)
    mixed = share * steps + (1 - share) * expected
    doubt = np.linalg.norm((1 - share[_SMALL:]) * _MODEL_ERROR)
    beyond = _BEYOND_ERROR * (1 - modelled[-1])
    return _Growth(float(np.prod(mixed[_SMALL:]) / modelled[-1]), float(np.hypot(doubt, beyond)))


def _usual_growth() -> _Growth:
    """What is to be expected where no star shows it."""
    steeper, usual, flatter = (
        1 / _enclosed(_RADII[_SMALL], 0.5 / math.sqrt(2 ** (1 / exponent) - 1), exponent)
        for exponent in (4.765, _USUAL, 2.5)
    )
    return _Growth(float(usual), float((flatter - steeper) / 2 / usual))


def _enclosed(radius: Any, width: Any, exponent: Any) -> Any:
    """The share of a Moffat profile's light within a radius."""
    return 1 - (1 + (radius / width) ** 2) ** (1 - exponent)


def _moffat(radii: Values, steps: Values, errors: Values, fwhm: float) -> tuple[float, float]:
    """Width and exponent of the profile that fits the steps best."""
    exponents, sizes = (grid.ravel() for grid in np.meshgrid(_EXPONENTS, fwhm * np.linspace(0.5, 1.5, 101)))
    widths = sizes / (2 * np.sqrt(2 ** (1 / exponents) - 1))
    light = _enclosed(radii[:, None], widths, exponents)
    off = (light[1:] / light[:-1] - steps[:, None]) / np.hypot(errors, _MODEL_ERROR)[:, None]
    # Capped, so that a step that neighbours have spoiled does not pull.
    best = int(np.minimum(off**2, 9.0).sum(axis=0).argmin())
    return float(widths[best]), float(exponents[best])


def find_zero_point(
    flux: Values,
    error: Values,
    magnitudes: Values,
    exposure_time: Duration,
    *,
    common_error: float = 0.0,
    fewest: int = _FEWEST,
) -> ZeroPoint:
    """Find the zero point of stars that were matched with a catalogue: fluxes in electrons, catalogue magnitudes.

    A weighted mean of what is within 3 standard deviations of the median, so that variable, blended and wrongly
    matched stars do not count. `common_error` is the relative error that all fluxes have in common. Raises
    `NoZeroPoint` with fewer than `fewest` stars.
    """
    usable = (flux > 0) & (error > 0) & np.isfinite(magnitudes) & (flux > 10 * error)
    if usable.sum() < fewest or exposure_time <= 0:
        raise NoZeroPoint(
            f"{int(usable.sum())} stars of known magnitude, {fewest} are needed: expose longer, or check clouds",
            stars=int(usable.sum()),
            needed=fewest,
        )
    each = magnitudes[usable] + 2.5 * np.log10(flux[usable] / exposure_time)
    weight = 1.0 / (np.square(1.0857 * error[usable] / flux[usable]) + _FLOOR**2)
    kept = np.ones(len(each), np.bool_)
    for _ in range(10):
        middle = _weighted_median(each[kept], weight[kept])
        spread = max(1.4826 * _weighted_median(np.abs(each[kept] - middle), weight[kept]), _FLOOR / 2)
        closer = np.abs(each - middle) < _CLIP * np.maximum(spread, 1 / np.sqrt(weight))
        if (closer == kept).all() or closer.sum() < fewest:
            break
        kept = closer
    mean = float(np.average(each[kept], weights=weight[kept]))
    scatter = float(np.sqrt(np.average(np.square(each[kept] - mean), weights=weight[kept])))
    effective = float(weight[kept].sum() ** 2 / np.square(weight[kept]).sum())
    error_of_mean = max(scatter / math.sqrt(max(effective - 1, 1)), float(1 / math.sqrt(weight[kept].sum())))
    return ZeroPoint(mean, math.hypot(error_of_mean, 1.0857 * common_error), scatter, int(kept.sum()))


def _weighted_median(values: Values, weights: Values) -> float:
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(shares, shares[-1] / 2)])


def limiting_magnitude(
    zero_point: Magnitude,
    exposure_time: Duration,
    *,
    noise: float,
    radius: float,
    correction: float,
    sigma: float = 5.0,
) -> Magnitude:
    """The magnitude of a star that is `sigma` times the noise of its aperture (`noise` of a pixel, electrons)."""
    background = noise * math.sqrt(math.pi) * radius
    # The star's own photons count too: flux**2 = sigma**2 (background**2 + flux).
    faintest = (sigma**2 + math.sqrt(sigma**4 + 4 * sigma**2 * background**2)) / 2
    return zero_point - 2.5 * math.log10(faintest * correction / exposure_time)
