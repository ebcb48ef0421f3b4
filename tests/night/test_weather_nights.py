"""Nights of treacherous weather: the roof closes in time, always, and is not shut for longer than the rules ask."""

from __future__ import annotations

import random

import pytest

from night.weather_night import Result, run_weather_night
from pytel.automation.limits import Judge
from pytel.automation.safety import WeatherSafetyMonitor

FIXED = 14
FRESH = 6
SOAK = 500


def held(result: Result) -> None:
    assert not result.violations, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, FIXED + 1))
def test_nights_of_fixed_seeds(seed: int) -> None:
    held(run_weather_night(seed))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(FRESH))
def test_nights_of_fresh_seeds(number: int) -> None:
    held(run_weather_night(random.SystemRandom().randrange(10**9)))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_five_hundred_nights() -> None:
    first = random.SystemRandom().randrange(10**9)
    for seed in range(first, first + SOAK):
        held(run_weather_night(seed))


@pytest.mark.slow
def test_a_night_opens_closes_and_is_the_same_every_time() -> None:
    one, other = run_weather_night(3), run_weather_night(3)
    assert one.events == other.events
    assert one.openings == other.openings > 3


@pytest.mark.slow
def test_a_monitor_that_does_not_see_rain_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    see = Judge.reading
    monkeypatch.setattr(Judge, "reading", lambda judge, sensor, *rest: (
        [] if sensor == "rain_rate" else see(judge, sensor, *rest)
    ))  # fmt: skip
    found = [run_weather_night(seed) for seed in (1, 2, 3)]
    assert any("the roof is not closing" in violation for night in found for violation in night.violations)


@pytest.mark.slow
def test_a_monitor_that_believes_the_dead_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WeatherSafetyMonitor, "_check_ages", lambda monitor: [])
    found = [run_weather_night(seed) for seed in (1, 2, 3)]
    assert any("is silent" in violation for night in found for violation in night.violations)


@pytest.mark.slow
def test_a_monitor_that_never_forgives_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "longest_clearing", property(lambda judge: 7200.0))
    assert any("all is good and it is not safe" in violation for violation in run_weather_night(1).violations)
