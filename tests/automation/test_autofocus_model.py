from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.automation.focus_history import FocusHistory
from pytel.automation.focus_model import Known, agree, contradicts, fit_law, law_of
from pytel.interfaces.autofocus import FocusResult

NIGHT = datetime(2026, 3, 1, 20, tzinfo=UTC)


def result(position: float, temperature: float | None = 8.0, **others: object) -> FocusResult:
    return FocusResult(position=position, uncertainty=0.002, hfd=2.0, time=NIGHT, temperature=temperature, **others)  # type: ignore[arg-type]


@given(
    slope=st.floats(-0.2, 0.2),
    seed=st.integers(0, 2**32),
    number=st.integers(8, 60),
    wild=st.lists(st.floats(-3, 3), max_size=2),
)
@settings(deadline=None)
def test_the_law_is_that_of_the_tube_whatever_two_results_say(
    slope: float, seed: int, number: int, wild: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    warmth = np.linspace(-5, 15, number) + rng.normal(0, 0.3, number)
    positions = 25 + slope * warmth + rng.normal(0, 0.005, number)
    for index, off in enumerate(wild):
        positions[(3 * index + 2) % number] += off
    law = fit_law([Known(float(p), 0.003, float(t)) for p, t in zip(positions, warmth, strict=True)])
    assert law is not None
    assert law.is_fitted
    assert law.per_kelvin == pytest.approx(slope, abs=0.01)
    position, uncertainty = law.at(5.0)
    assert abs(position - (25 + 5 * slope)) < max(0.02, 4 * uncertainty)


def test_few_results_or_one_temperature_give_no_slope_of_their_own() -> None:
    assert fit_law([]) is None
    law = fit_law([Known(25.0, 0.002, 8.0)], per_kelvin=-0.02)
    assert law is not None
    assert (law.per_kelvin, law.is_fitted, law.is_firm) == (-0.02, False, False)
    assert law.at(4.0)[0] == pytest.approx(25.08)
    close = fit_law([Known(25.0 + 0.001 * index, 0.002, 8.0 + 0.1 * index) for index in range(10)])
    assert close is not None
    assert not close.is_fitted
    assert close.at(20.0)[1] > 10 * close.at(8.5)[1]


def test_a_focuser_without_a_thermometer_has_a_law_too() -> None:
    law = fit_law([Known(25.0 + 0.001 * index, 0.002, None) for index in range(6)])
    assert law is not None
    assert law.temperature is None
    assert law.at(None)[0] == law.at(12.0)[0] == pytest.approx(25.0025)


def test_filters_and_offsets_are_taken_out_of_the_law() -> None:
    plain = [result(25.0 - 0.02 * degree, float(degree)) for degree in range(6)]
    shifted = [
        result(25.0 - 0.02 * degree + 0.3, float(degree), filter="B", filter_offset=0.3) for degree in range(6, 9)
    ]
    applied = [
        result(25.0 - 0.02 * degree, float(degree), filter="B", filter_offset=0.3, offset=0.3)
        for degree in range(9, 12)
    ]
    law = law_of([*plain, *shifted, *applied])
    assert law is not None
    assert law.per_kelvin == pytest.approx(-0.02, abs=1e-6)
    assert not contradicts(law, result(25.3, 0.0, filter="B", filter_offset=0.3))
    assert contradicts(law, result(25.3, 0.0))
    assert agree(law, result(25.3, 0.0), result(25.26, 2.0))
    assert not agree(law, result(25.3, 0.0), result(25.1, 2.0))


def test_the_history_is_kept_bounded_and_outlives_damage(tmp_path: Path) -> None:
    assert FocusHistory(tmp_path).last is None
    history = FocusHistory(tmp_path)
    for number in range(650):
        history.add(result(20.0 + 0.001 * number))
    assert 500 <= len(FocusHistory(tmp_path).results) <= 600
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(b'{"position": 3\n')
    again = FocusHistory(tmp_path)
    assert again.last == history.last == result(20.649)
    again.add(result(30.0, begins=True), result(30.1))
    assert [one.position for one in FocusHistory(tmp_path).since_change()] == [30.0, 30.1]


def test_a_doubt_lasts_until_the_next_result(tmp_path: Path) -> None:
    history = FocusHistory(tmp_path)
    assert history.doubted() is None
    history.doubt(result(21.0))
    assert FocusHistory(tmp_path).doubted() == result(21.0)
    history.add(result(22.0))
    assert history.doubted() is None


def test_old_pictures_make_room(tmp_path: Path) -> None:
    history = FocusHistory(tmp_path)
    for number in range(105):
        history.keep_plot(NIGHT + timedelta(minutes=number), "<svg/>")
    kept = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert len(kept) == 100
    assert kept[-1] == "20260301T214400.svg"
