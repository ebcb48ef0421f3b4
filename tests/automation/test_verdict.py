from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.limits import Fault, WeatherLimits, judge_age, judge_reading
from pytel.automation.verdict import Verdict
from pytel.interfaces.weather import WeatherState

START = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
GOOD = WeatherState(
    measured=START,
    temperature=10.0,
    humidity=50.0,
    dew_point=0.0,
    wind_speed=3.0,
    wind_gust=5.0,
    rain_rate=0.0,
    cloud_cover=10.0,
)


def changed(**values: float | None) -> WeatherState:
    return WeatherState(**{**{name: getattr(GOOD, name) for name in GOOD.__struct_fields__}, **values})


def test_good_weather_has_no_faults() -> None:
    assert judge_reading("w", GOOD, WeatherLimits()) == []


def test_each_limit_is_told_with_station_and_numbers() -> None:
    for values, words in (
        ({"wind_speed": 15.1}, ("wind of 15.1 m/s", "over 15 m/s")),
        ({"wind_gust": 20.5}, ("gusts of 20.5", "over 20")),
        ({"humidity": 89.0}, ("humidity of 89.0 %",)),
        ({"rain_rate": 0.1}, ("rain of 0.1 mm/h",)),
        ({"cloud_cover": 81.0}, ("cloud cover",)),
        ({"dew_point": 8.5}, ("1.5 K above its dew point",)),
    ):
        (fault,) = judge_reading("west", changed(**values), WeatherLimits())
        assert "west" in fault.text
        assert all(word in fault.text for word in words)


def test_a_missing_sensor_is_bad_unless_its_limit_is_off() -> None:
    blind = changed(cloud_cover=None)
    (fault,) = judge_reading("w", blind, WeatherLimits())
    assert "max_cloud_cover" in fault.text
    assert judge_reading("w", blind, WeatherLimits(max_cloud_cover=None)) == []


def test_silence_and_a_clock_ahead() -> None:
    later = START + timedelta(seconds=21)
    assert judge_age("w", START, START, START + timedelta(seconds=19), 20) == []
    (silent,) = judge_age("w", START, START, later, 20)
    assert silent.text == "weather station w silent for 21 s"
    assert judge_age("w", START + timedelta(hours=1), START, START, 20)


def test_a_clock_a_little_ahead_does_not_hide_silence() -> None:
    later = START + timedelta(seconds=21)
    assert judge_age("w", START + timedelta(seconds=15), START, later, 20)
    assert judge_age("w", START - timedelta(seconds=15), START, START + timedelta(seconds=6), 20)


def test_what_is_no_number_is_bad() -> None:
    assert judge_reading("w", changed(wind_speed=float("nan")), WeatherLimits())
    assert judge_reading("w", changed(dew_point=float("nan")), WeatherLimits())


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=60))
def test_safe_only_after_an_unbroken_good_time(steps: list[tuple[bool, int]]) -> None:
    verdict = Verdict(START, good_for=600)
    now, good_since = START, None
    for good, seconds in steps:
        now += timedelta(seconds=seconds)
        good_since = (good_since or now) if good else None
        verdict.update([] if good else [Fault("rain", "rain")], now)
        expected = good_since is not None and (now - good_since).total_seconds() >= 600
        assert verdict.safe is expected
        assert verdict.safe is not bool(verdict.reasons)
        assert verdict.since <= now
