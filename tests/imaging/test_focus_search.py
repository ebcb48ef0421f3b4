from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytel.imaging.focus import FocusError, FocusFit, fit_focus_curve
from pytel.imaging.focus_frame import FocusFrame
from pytel.imaging.focus_plot import PlotPoint, focus_svg
from pytel.imaging.focus_search import FocusSearch, SearchSettings

SLOPE = 27.0
"""Pixels a millimetre."""


@dataclass
class Eye:
    """Measures at once what a frame would show: `noise` is relative, `wrong` has factors by number of the frame."""

    best: float
    least: float = 2.0
    noise: float = 0.01
    farthest: float = 60.0
    wrong: dict[int, float] = field(default_factory=dict)
    dimmed: set[int] = field(default_factory=set)
    rng: Any = field(default_factory=lambda: np.random.default_rng(1))
    taken: int = 0

    def frame(self, position: float) -> FocusFrame:
        size = math.hypot(self.least, SLOPE * (position - self.best)) * self.rng.normal(1, self.noise)
        number, self.taken = self.taken, self.taken + 1
        light = 0.3 if number in self.dimmed else 1.0
        size *= self.wrong.get(number, 1.0)
        if size > self.farthest:
            return FocusFrame(sky=100.0, noise=5.0)
        x = tuple(float(value) for value in np.linspace(100, 900, 12))
        y = tuple(float(value) for value in np.linspace(100, 900, 12) ** 1.02)
        flux = tuple(light * 1e5 / (index + 1) for index in range(12))
        return FocusFrame(hfd=size, hfd_error=0.01 * size, width=1.1 * size, width_error=0.03 * size, stars=12,
                          sky=100.0, noise=5.0, x=x, y=y, flux=flux)  # fmt: skip


def searched(eye: Eye, start: float, **changes: Any) -> tuple[FocusSearch, FocusFit]:
    search = FocusSearch(start, SearchSettings(**{"step": 0.08, "low": 0.0, "high": 50.0, **changes}))
    while (position := search.next_position()) is not None:
        search.add(position, eye.frame(position))
    return search, search.result()


@given(
    off=st.floats(-20.0, 20.0),
    least=st.floats(1.2, 8.0),
    noise=st.floats(0.0, 0.03),
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["hfd", "projection", "both"]),
)
@settings(deadline=None)
def test_the_focus_is_found_from_anywhere(off: float, least: float, noise: float, seed: int, method: str) -> None:
    eye = Eye(best=25.0, least=least, noise=noise, farthest=80.0, rng=np.random.default_rng(seed))
    _, fit = searched(eye, 25.0 + 0.1 * off, method=method)
    assert abs(fit.position - 25.0) < 0.25 * fit.zone
    assert eye.taken <= 20


def test_few_frames_are_enough_when_the_start_is_good() -> None:
    taken = []
    for seed in range(20):
        eye = Eye(best=25.0, rng=np.random.default_rng(seed))
        searched(eye, 25.0 + 0.02 * (seed - 10))
        taken.append(eye.taken)
    assert np.median(taken) <= 7
    assert max(taken) <= 9


@pytest.mark.slow
@given(
    wrong=st.dictionaries(st.integers(0, 12), st.floats(0.3, 3.0), max_size=1),
    dimmed=st.sets(st.integers(0, 12), max_size=5),
    off=st.floats(-5.0, 5.0),
    seed=st.integers(0, 2**32),
)
@example(wrong={}, dimmed={0, 1, 3, 4}, off=1.0, seed=0)
@settings(deadline=None, max_examples=150)
def test_no_wrong_focus_proves_true(wrong: dict[int, float], dimmed: set[int], off: float, seed: int) -> None:
    """Whatever frame is wrong or frames are clouded: the focus is right, or the search fails, or the proof does.

    Two wrong frames of six that agree with each other are more than a search can see through.
    """
    eye = Eye(best=25.0, wrong=wrong, dimmed=dimmed, rng=np.random.default_rng(seed))
    try:
        search, fit = searched(eye, 25.0 + 0.035 * off)
    except FocusError:
        return
    honest = Eye(best=25.0, rng=np.random.default_rng(seed + 1))
    if search.broken_promise(fit, honest.frame(fit.position)) is None:
        assert abs(fit.position - 25.0) < 0.5 * fit.zone


@given(
    kept=st.sets(st.integers(0, 12), min_size=1),
    order=st.randoms(use_true_random=False),
    best=st.floats(-0.5, 0.5),
    least=st.floats(1.2, 6.0),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=150)
def test_any_points_in_any_order_give_the_focus_or_an_error(
    kept: set[int], order: Any, best: float, least: float, seed: int
) -> None:
    rng, positions = np.random.default_rng(seed), np.linspace(-0.4, 0.4, 13)
    chosen = sorted(kept)
    order.shuffle(chosen)
    x = [float(positions[index]) for index in chosen]
    y = [math.hypot(least, SLOPE * (place - best)) * rng.normal(1, 0.01) for place in x]
    try:
        fit = fit_focus_curve(x, y, [0.015 * value for value in y])
    except FocusError:
        return
    assert abs(fit.position - best) < max(0.25 * fit.zone, 5 * fit.uncertainty)
    assert min(x) <= fit.position <= max(x)


def test_a_clouded_position_is_taken_again() -> None:
    eye = Eye(best=25.0, dimmed={1})
    search, _ = searched(eye, 25.0)
    assert search.clouded()[1]
    assert [sample.position for sample in search.samples].count(search.samples[1].position) == 2


def test_stars_are_looked_for_ever_farther_but_not_without_end() -> None:
    eye = Eye(best=29.0)
    _, fit = searched(eye, 25.0)
    assert fit.position == pytest.approx(29.0, abs=0.02)
    with pytest.raises(FocusError, match="enough stars"):
        searched(Eye(best=29.0), 25.0, blind=1.0)
    with pytest.raises(FocusError, match="enough stars"):
        searched(Eye(best=25.0, farthest=0.0), 25.0)


def test_a_focus_beyond_the_travel_is_told() -> None:
    with pytest.raises(FocusError, match="above the travel") as caught:
        searched(Eye(best=50.6), 49.9)
    assert caught.value.data["direction"] == 1


def test_methods_that_disagree_are_not_believed() -> None:
    eye, wide = Eye(best=25.0), Eye(best=25.2)
    search = FocusSearch(25.0, SearchSettings(step=0.08, low=0.0, high=50.0, method="both"))
    while (position := search.next_position()) is not None:
        frame, other = eye.frame(position), wide.frame(position)
        search.add(position, FocusFrame(**{**frame.__dict__, "width": other.width}))
    with pytest.raises(FocusError, match="HFDs and projections"):
        search.result()


def test_projections_lead_where_stars_cannot_be_told_apart() -> None:
    eye = Eye(best=25.0)
    search = FocusSearch(25.1, SearchSettings(step=0.08, low=0.0, high=50.0, method="both"))
    while (position := search.next_position()) is not None:
        search.add(position, FocusFrame(**{**eye.frame(position).__dict__, "hfd": None}))
    assert search.method == "projection"
    assert search.result().position == pytest.approx(25.0, abs=0.02)


def test_the_picture_is_safe_to_show() -> None:
    search, fit = searched(Eye(best=25.0), 25.0)
    points = [PlotPoint(sample.position, sample.frame.hfd or 0.0, 0.1) for sample in search.samples]
    picture = focus_svg("<script>", [*points, PlotPoint(25.0, 9.0, rejected=True)], fit, 25.02)
    assert "<script>" not in picture
    assert picture.count('class="point"') == len(points)
    assert picture.count('class="rejected"') == 1
    assert "expected 25.0200" in picture
    assert focus_svg("nothing", []).endswith("</svg>\n")
