"""Where best focus should be: a law of temperature, learnt from the results of earlier runs."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytel.base.units import Celsius, Millimetres
from pytel.interfaces.autofocus import FocusResult

_LEAST_SPAN: Celsius = 3.0
_FEWEST = 5
_LEAST_APART: Celsius = 0.3
_REJECTED_BEYOND = 4.0
_DOUBTED_BEYOND = 4.0
_AS_RESULTS = 2
"""The scatter of few results may be small by chance: the usual one counts as so many more."""
_USUAL_SCATTER: Millimetres = 0.01
_UNKNOWN_PER_KELVIN = 0.03
"""Millimetres per kelvin that a tube may well have whose law is not known."""


@dataclass(frozen=True)
class Known:
    """A result: best focus without filter and offset, its uncertainty, the focuser's temperature if it has one."""

    position: Millimetres
    uncertainty: Millimetres
    temperature: Celsius | None


@dataclass(frozen=True)
class FocusLaw:
    """Best focus is `position` at `temperature` and changes by `per_kelvin` (mm/K); `scatter` is that of the results.

    `per_kelvin_uncertainty` is also that of a coefficient which was assumed; `is_fitted` tells whether the results
    span enough for one of their own.
    """

    position: Millimetres
    uncertainty: Millimetres
    temperature: Celsius | None
    per_kelvin: float
    per_kelvin_uncertainty: float
    scatter: Millimetres
    results: int
    is_fitted: bool

    def at(self, temperature: Celsius | None) -> tuple[Millimetres, Millimetres]:
        """Best focus at a temperature, and the uncertainty of a single result there."""
        if temperature is None or self.temperature is None:
            warmer, unknown = 0.0, 0.0 if self.temperature is None else _UNKNOWN_PER_KELVIN * _LEAST_SPAN
        else:
            warmer, unknown = temperature - self.temperature, 0.0
        error = math.hypot(self.uncertainty, self.scatter, warmer * self.per_kelvin_uncertainty, unknown)
        return self.position + warmer * self.per_kelvin, error

    @property
    def is_firm(self) -> bool:
        """Whether so many results stand behind it that one which contradicts is to be doubted."""
        return self.results >= _FEWEST


def fit_law(results: Sequence[Known], per_kelvin: float | None = None) -> FocusLaw | None:
    """Fit a straight line against temperature, robustly (slopes by Theil 1950 and Sen 1968, then least squares).

    The line has a slope of its own when 5 or more results span 3 kelvin; else `per_kelvin` (mm/K) is taken, or none.
    None without results.
    """
    if not results:
        return None
    with_temperature = [known for known in results if known.temperature is not None]
    if len(with_temperature) < len(results) / 2:
        return _constant(results, None, 0.0, 0.0)
    temperatures = [known.temperature for known in with_temperature if known.temperature is not None]
    middle = statistics.fmean(temperatures)
    if len(with_temperature) >= _FEWEST and _span(temperatures) >= _LEAST_SPAN:
        return _line(with_temperature)
    assumed = 0.0 if per_kelvin is None else per_kelvin
    error = _UNKNOWN_PER_KELVIN if per_kelvin is None else 0.2 * abs(per_kelvin)
    moved = [
        Known(known.position - assumed * ((known.temperature or middle) - middle), known.uncertainty, known.temperature)
        for known in with_temperature
    ]
    return _constant(moved, middle, assumed, error)


def law_of(results: Sequence[FocusResult], per_kelvin: float | None = None) -> FocusLaw | None:
    """The law of some results (`fit_law`), each without its filter and offset."""
    known = [Known(one.position + one.offset - one.filter_offset, one.uncertainty, one.temperature) for one in results]
    return fit_law(known, per_kelvin)


def expected_for(law: FocusLaw, result: FocusResult) -> tuple[Millimetres, Millimetres]:
    """Base position that a law has in the circumstances of a result, and the uncertainty of both together."""
    position, uncertainty = law.at(result.temperature)
    return position + result.filter_offset - result.offset, math.hypot(uncertainty, result.uncertainty)


def contradicts(law: FocusLaw, result: FocusResult) -> bool:
    """Whether a result is so far off a firm law that one of both must be wrong."""
    position, uncertainty = expected_for(law, result)
    return law.is_firm and abs(result.position - position) > max(_DOUBTED_BEYOND * uncertainty, result.zone or 0.0)


def agree(law: FocusLaw, one: FocusResult, other: FocusResult) -> bool:
    """Whether two results are off the law by the same."""
    apart = one.position - expected_for(law, one)[0] - other.position + expected_for(law, other)[0]
    error = math.hypot(one.uncertainty, other.uncertainty)
    return abs(apart) <= max(_DOUBTED_BEYOND * error, other.zone or 0.0)


def _span(temperatures: Sequence[Celsius]) -> Celsius:
    """What most of the temperatures span: a single one far off, or misread, does not count."""
    ordered = sorted(temperatures)
    return ordered[-2] - ordered[1]


def _constant(results: Sequence[Known], temperature: Celsius | None, per_kelvin: float, error: float) -> FocusLaw:
    positions = [known.position for known in results]
    middle = statistics.median(positions)
    scatter = _scatter([position - middle for position in positions], 1)
    uncertainty = 1.25 * math.hypot(scatter, _median_uncertainty(results)) / math.sqrt(len(results))
    return FocusLaw(middle, uncertainty, temperature, per_kelvin, error, scatter, len(results), is_fitted=False)


def _line(results: Sequence[Known]) -> FocusLaw:
    slope = statistics.median(
        (one.position - other.position) / (one.temperature - other.temperature)
        for one, other in itertools.combinations(results, 2)
        if one.temperature is not None
        and other.temperature is not None
        and abs(one.temperature - other.temperature) >= _LEAST_APART
    )
    level = statistics.median(known.position - slope * (known.temperature or 0.0) for known in results)
    rests = [known.position - level - slope * (known.temperature or 0.0) for known in results]
    limit = _REJECTED_BEYOND * _scatter(rests, 2)
    kept = [known for known, rest in zip(results, rests, strict=True) if abs(rest) <= limit]
    return _least_squares(kept) if len(kept) >= _FEWEST - 1 else _constant(results, None, 0.0, 0.0)


def _least_squares(results: Sequence[Known]) -> FocusLaw:
    warmth = [known.temperature or 0.0 for known in results]
    middle = statistics.fmean(warmth)
    spread = max(1e-6, sum((value - middle) ** 2 for value in warmth))
    level = statistics.fmean(known.position for known in results)
    slope = sum((value - middle) * known.position for value, known in zip(warmth, results, strict=True)) / spread
    rests = [known.position - level - slope * (value - middle) for value, known in zip(warmth, results, strict=True)]
    scatter = _scatter(rests, 2)
    each = math.hypot(scatter, _median_uncertainty(results))
    number = len(results)
    return FocusLaw(
        level, each / math.sqrt(number), middle, slope, each / math.sqrt(spread), scatter, number, is_fitted=True
    )


def _scatter(rests: Sequence[float], fitted: int) -> Millimetres:
    """Standard deviation by the median of the rests, after `fitted` parameters were taken from these."""
    number = len(rests)
    own = 1.4826 * statistics.median(abs(rest) for rest in rests)
    own *= math.sqrt(number / max(1, number - fitted))
    return math.sqrt((number * own**2 + _AS_RESULTS * _USUAL_SCATTER**2) / (number + _AS_RESULTS))


def _median_uncertainty(results: Sequence[Known]) -> Millimetres:
    return statistics.median(known.uncertainty for known in results)
