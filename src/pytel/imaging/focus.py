"""Best focus from a focus curve: HFD against focuser position is a hyperbola, its square a parabola."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError

_FEWEST = 5
_REJECTED_BEYOND = 4.0
_WORST_SCATTER = 0.15
_LEAST_RISE = 1.1
_LEAST_SPREAD = 0.5
_MOST_REJECTED = 0.3
_MOST_TRIPLES = 400
_LARGEST = 1e9
_AS_POINTS = 3
_SHARP_WITHIN = 0.1

_Numbers = Sequence[float] | NDArray[np.float64]


class FocusError(PytelError):
    """The focus curve has no usable minimum; `data["direction"]` is +1 or -1 when best focus is beyond the range."""


@dataclass(frozen=True)
class FocusFit:
    """Best focus: `position` with its `uncertainty` (focuser units), `hfd` there (pixels).

    The curve is hfd² = hfd_best² + slope² (position - best)²; `slope` is that of the asymptotes. `scatter` is the
    relative scatter of the points about it, `used` tells which of them were not rejected. `hfd_error` is that of `hfd`.
    """

    position: float
    uncertainty: float
    hfd: float
    slope: float
    scatter: float
    used: tuple[bool, ...]
    hfd_error: float = 0.0

    @property
    def zone(self) -> float:
        """Width (focuser units) of the range where the HFD is within a tenth of the least one.

        It takes the place of the critical focus zone, which would need the optics and the seeing to be known.
        """
        return 2 * self.hfd / self.slope * float(np.sqrt((1 + _SHARP_WITHIN) ** 2 - 1))

    def hfd_at(self, position: float) -> float:
        """HFD (pixels) that the curve has at a focuser position."""
        return float(np.hypot(self.hfd, self.slope * (position - self.position)))


@dataclass(frozen=True)
class _Parabola:
    """hfd² = a u² + b u + c in u = (position - centre) / half_range."""

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit_focus_curve(positions: _Numbers, hfds: _Numbers, errors: _Numbers | None = None) -> FocusFit:
    """Fit a hyperbola to HFDs (pixels) at focuser positions, by weighted least squares with rejection of outliers.

    `errors` are those of the HFDs; without them all have the same relative error. Points that are not finite or not
    positive are left out. Raises `FocusError` when fewer than 5 good points remain, when the curve has no minimum or
    one outside the sampled range, or fits badly.
    """
    if len(positions) != len(hfds) or (errors is not None and len(errors) != len(hfds)):
        raise InvalidParams(f"{len(positions)} positions and {len(hfds)} HFDs do not belong together")
    x, y = np.asarray(positions, dtype=np.float64), np.asarray(hfds, dtype=np.float64)
    sigma = 0.03 * np.abs(y) if errors is None else np.asarray(errors, dtype=np.float64)
    good = (np.abs(x) < _LARGEST) & (y > 1 / _LARGEST) & (y < _LARGEST) & (sigma > 1e-6 * y) & (sigma < _LARGEST)
    _require_points(x, good)
    x, y, sigma = x[good], y[good], sigma[good]
    centre, half_range = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    u = (x - centre) / half_range
    parabola, kept = _fit_robustly(u, y, sigma)
    _require_points(x, kept)
    best, least = _minimum(parabola, u[kept], y[kept])
    scatter = _scatter(parabola, u[kept], y[kept])
    if scatter > _WORST_SCATTER:
        raise FocusError(f"the points scatter by {scatter:.0%} about the focus curve: too much to trust it")
    used = good.copy()
    used[good] = kept
    return FocusFit(
        position=float(centre + half_range * best),
        uncertainty=float(half_range * _error_of_minimum(parabola, best)),
        hfd=float(np.sqrt(least)),
        slope=float(np.sqrt(parabola.coefficients[0]) / half_range),
        scatter=scatter,
        used=tuple(bool(value) for value in used),
        hfd_error=_error_of_least(parabola, best, least),
    )


def _require_points(x: NDArray[np.float64], good: NDArray[np.bool_]) -> None:
    distinct = len(np.unique(np.round(x[good], 6)))
    if distinct < _FEWEST:
        raise FocusError(f"only {distinct} good points on the focus curve, {_FEWEST} are needed", points=distinct)


def _fit_robustly(
    u: NDArray[np.float64], y: NDArray[np.float64], sigma: NDArray[np.float64]
) -> tuple[_Parabola, NDArray[np.bool_]]:
    """Start from the parabola through three points that suits most others, then let in what lies near the fit."""
    residuals = np.abs(y - _hfd(_consensus(u, y, sigma), u)) / sigma
    # The median residual of few points is too small by what the three parameters have fitted away.
    unbiased = 1.4826 * np.sqrt(len(u) / (len(u) - 3))
    used = np.ones(len(u), dtype=np.bool_)
    for _ in range(10):
        spread = max(unbiased * float(np.median(residuals)), _LEAST_SPREAD)
        kept = residuals <= _REJECTED_BEYOND * spread
        if kept.sum() < max(_FEWEST, (1 - _MOST_REJECTED) * len(u)):
            raise FocusError(f"only {kept.sum()} of {len(u)} points lie on one focus curve: too few to trust it")
        parabola = _fit(u[kept], y[kept], sigma[kept])
        if bool((kept == used).all()):
            break
        used = kept
        residuals = np.abs(y - _hfd(parabola.coefficients, u)) / sigma
    return parabola, kept


def _consensus(u: NDArray[np.float64], y: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the parabolas through three of the points, the one that comes nearest to most (after Rousseeuw 1984)."""
    triples = np.array(list(itertools.combinations(range(len(u)), 3)))
    triples = triples[:: 1 + len(triples) // _MOST_TRIPLES]
    first, second, third = u[triples].T
    triples = triples[np.abs((first - second) * (second - third) * (first - third)) > 1e-6]
    if not len(triples):
        raise FocusError("the points of the focus curve are at too few positions")
    powers = u[triples][:, :, None] ** np.array([2, 1, 0])
    parabolas = np.linalg.solve(powers, y[triples][:, :, None] ** 2)[:, :, 0]
    squares = parabolas @ (u ** np.array([[2], [1], [0]]))
    residuals = np.abs(y - np.sqrt(np.maximum(squares, 0))) / sigma
    agreed = np.quantile(residuals, 1 - _MOST_REJECTED, axis=1)
    return np.asarray(parabolas[int(np.argmin(agreed))], dtype=np.float64)


def _hfd(coefficients: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(np.polyval(coefficients, u), 0)))


def _fit(u: NDArray[np.float64], y: NDArray[np.float64], sigma: NDArray[np.float64]) -> _Parabola:
    """Weighted least squares of hfd², whose error is 2 hfd sigma."""
    weights = 1 / (2 * y * sigma)
    design = np.vander(u, 3) * weights[:, None]
    coefficients, _, rank, _ = np.linalg.lstsq(design, y**2 * weights, rcond=None)
    if rank < 3:
        raise FocusError("the points of the focus curve are at too few positions")
    residuals = design @ coefficients - y**2 * weights
    # The errors of HFDs are estimates: let the scatter of the points set the scale, but a few may lie well by chance.
    variance = (float(residuals @ residuals) + _AS_POINTS) / (len(u) - 3 + _AS_POINTS)
    covariance = np.linalg.inv(design.T @ design) * variance
    return _Parabola(np.asarray(coefficients, dtype=np.float64), np.asarray(covariance, dtype=np.float64))


def _minimum(parabola: _Parabola, u: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Where the curve is lowest (in u) and hfd² there."""
    a, b, c = map(float, parabola.coefficients)
    low, high = float(u.min()), float(u.max())
    slope_up = float(np.polyfit(u, y, 1)[0])
    towards = -1 if slope_up > 0 else 1
    if a <= 0:
        raise FocusError("the focus curve has no minimum: sample a wider range", direction=towards)
    best = -b / (2 * a)
    if not low <= best <= high:
        where = "below" if best < low else "above"
        raise FocusError(
            f"best focus is {where} the sampled range: move the range there", direction=-1 if best < low else 1
        )
    least = max(c - b * b / (4 * a), float(y.min() / 4) ** 2)
    below, above = _hfd(parabola.coefficients, np.array([low, high])) / np.sqrt(least)
    if max(below, above) < _LEAST_RISE:
        raise FocusError("the focus curve is flat: sample a wider range", direction=0)
    if min(below, above) < _LEAST_RISE:
        raise FocusError(
            "the focus curve rises on one side only: sample the other", direction=-1 if below < above else 1
        )
    return best, least


def _scatter(parabola: _Parabola, u: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    relative = (y - _hfd(parabola.coefficients, u)) / y
    return float(np.sqrt(np.mean(relative**2)))


def _error_of_minimum(parabola: _Parabola, best: float) -> float:
    """Error of -b / 2a by propagation."""
    a = float(parabola.coefficients[0])
    gradient = np.array([-best / a, -1 / (2 * a)])
    return float(np.sqrt(max(0.0, gradient @ parabola.covariance[:2, :2] @ gradient)))


def _error_of_least(parabola: _Parabola, best: float, least: float) -> float:
    """Error of the square root of the least hfd²."""
    gradient = np.array([best**2, best, 1.0])
    return float(np.sqrt(max(0.0, gradient @ parabola.covariance @ gradient)) / (2 * np.sqrt(least)))
