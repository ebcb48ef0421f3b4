from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.imaging.focus import FocusError, fit_focus_curve


def curve(positions: list[float], best: float, least: float, slope: float) -> list[float]:
    return [math.hypot(least, slope * (position - best)) for position in positions]


def sweep(centre: float, step: float, number: int = 9) -> list[float]:
    return [centre + step * (index - number // 2) for index in range(number)]


@given(
    best=st.floats(-1.2, 1.2),
    centre=st.floats(-20_000, 20_000),
    step=st.floats(0.5, 500),
    least=st.floats(1.5, 5),
    rise=st.floats(0.3, 3),
    number=st.integers(7, 15),
)
@settings(deadline=None)
def test_an_exact_curve_is_recovered(
    best: float, centre: float, step: float, least: float, rise: float, number: int
) -> None:
    positions = sweep(centre, step, number)
    true, slope = centre + best * step, rise * least / step
    fit = fit_focus_curve(positions, curve(positions, true, least, slope))
    assert fit.position == pytest.approx(true, abs=1e-3 * step)
    assert fit.hfd == pytest.approx(least, rel=1e-3)
    assert fit.slope == pytest.approx(slope, rel=1e-3)
    assert fit.hfd_at(true + step) == pytest.approx(math.hypot(least, slope * step), rel=1e-3)
    assert all(fit.used)


@given(seed=st.integers(0, 2**32), wrong=st.integers(0, 8), factor=st.sampled_from([0.3, 0.5, 2.5, 5.0]))
@settings(deadline=None)
def test_noise_and_one_wrong_point_are_survived(seed: int, wrong: int, factor: float) -> None:
    positions = sweep(5000.0, 100.0)
    hfds = np.array(curve(positions, 5040.0, 2.5, 0.02)) * np.random.default_rng(seed).normal(1, 0.02, 9)
    hfds[wrong] *= factor
    fit = fit_focus_curve(positions, list(hfds))
    assert fit.position == pytest.approx(5040.0, abs=35.0)


def test_the_uncertainty_is_that_of_repeated_sweeps() -> None:
    positions, rng = sweep(0.0, 100.0), np.random.default_rng(5)
    truth = np.array(curve(positions, 30.0, 2.5, 0.02))
    fits = [fit_focus_curve(positions, list(truth * rng.normal(1, 0.03, 9))) for _ in range(150)]
    spread = float(np.std([fit.position for fit in fits]))
    told = float(np.median([fit.uncertainty for fit in fits]))
    assert 0.5 < told / spread < 1.5


@pytest.mark.parametrize(("best", "direction"), [(2000.0, 1), (-2000.0, -1)])
def test_a_minimum_outside_tells_the_direction(best: float, direction: int) -> None:
    positions = sweep(0.0, 100.0)
    with pytest.raises(FocusError) as caught:
        fit_focus_curve(positions, curve(positions, best, 2.5, 0.02))
    assert caught.value.data["direction"] == direction


def test_a_curve_upside_down_has_no_minimum() -> None:
    positions = sweep(0.0, 100.0)
    with pytest.raises(FocusError, match="no minimum"):
        fit_focus_curve(positions, [10 - hfd for hfd in curve(positions, 0.0, 2.5, 0.01)])


def test_a_flat_curve_is_refused() -> None:
    positions = sweep(0.0, 1.0)
    with pytest.raises(FocusError):
        fit_focus_curve(positions, curve(positions, 0.0, 2.5, 0.02))


def test_too_few_good_points_are_refused() -> None:
    with pytest.raises(FocusError, match="only 4 good points"):
        fit_focus_curve([1, 2, 3, 4, 5, 6], [5.0, math.nan, 3.0, 4.0, 5.0, -1.0])
    with pytest.raises(FocusError):
        fit_focus_curve([], [])
    with pytest.raises(FocusError):
        fit_focus_curve([1.0] * 9, [3.0] * 9)


def test_noise_without_a_curve_is_refused() -> None:
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(50):
        try:
            fit_focus_curve(sweep(0.0, 100.0), list(rng.uniform(2, 12, 9)))
        except FocusError:
            refused += 1
    assert refused >= 45


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(InvalidParams):
        fit_focus_curve([1, 2], [3.0])


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=12))
@settings(deadline=None)
def test_any_numbers_give_a_fit_or_a_focus_error(points: list[tuple[float, float]]) -> None:
    positions, hfds = [point[0] for point in points], [point[1] for point in points]
    try:
        fit = fit_focus_curve(positions, hfds)
    except FocusError:
        return
    assert math.isfinite(fit.position)
    assert math.isfinite(fit.uncertainty)
