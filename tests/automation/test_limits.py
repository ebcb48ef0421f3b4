from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.limits import Judge, PercentRule, SpeedRule, TemperatureRule, WeatherRules, judge_age
from pytel.automation.safety import WeatherSafetyMonitor
from pytel.interfaces.weather import WeatherState
from pytel.module.faults import Lines
from pytel.module.struct_check import parse_struct

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
    return msgspec.structs.replace(GOOD, **values)


def texts(weather: WeatherState, judge: Judge | None = None, station: str = "west") -> list[str]:
    judge = judge or Judge(WeatherRules())
    return [fault.text for sensor in judge.sensors for fault in judge.reading(sensor, station, weather, 0.0)]


def test_good_weather_has_no_faults() -> None:
    assert texts(GOOD) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"wind_speed": 15.1}, "wind of 15.1 m/s at west is over 15 m/s"),
        ({"wind_gust": 20.5}, "gusts of 20.5 m/s at west is over 20 m/s"),
        ({"humidity": 89.0}, "humidity of 89.0 % at west is over 88 %"),
        ({"rain_rate": 0.1}, "rain of 0.1 mm/h at west is over 0 mm/h"),
        ({"cloud_cover": 81.0}, "cloud cover of 81.0 % at west is over 80 %"),
        ({"dew_point": 8.5}, "dew point spread of 1.5 K at west is under 2 K"),
    ],
)
def test_each_limit_is_told_with_station_and_numbers(values: dict[str, float], words: str) -> None:
    assert texts(changed(**values)) == [words]


def test_a_value_at_its_limit_is_good() -> None:
    assert texts(changed(wind_speed=15.0, wind_gust=20.0, humidity=88.0, cloud_cover=80.0, dew_point=8.0)) == []


def test_a_missing_sensor_is_bad_unless_its_rule_is_off() -> None:
    (text,) = texts(changed(cloud_cover=None))
    assert "gives no cloud_cover" in text
    assert texts(changed(cloud_cover=None), Judge(WeatherRules(cloud_cover=None))) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0])
@pytest.mark.parametrize("sensor", ["wind_speed", "rain_rate", "humidity", "cloud_cover", "wind_gust"])
def test_what_no_sensor_can_measure_is_bad(sensor: str, value: float) -> None:
    (text,) = texts(changed(**{sensor: value}))
    assert "is no number" in text or "is over" in text or "cannot be" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_dew_point_is_bad(value: float) -> None:
    assert texts(changed(dew_point=value))
    assert texts(changed(temperature=value))


def test_between_the_two_limits_it_stays_as_it_was() -> None:
    judge = Judge(WeatherRules(wind_speed=SpeedRule(unsafe_above=15.0, safe_below=12.0)))
    story = [(13.0, True), (15.5, False), (13.0, False), (12.1, False), (12.0, True), (14.0, True), (16.0, False)]
    for speed, good in story:
        assert (texts(changed(wind_speed=speed), judge) == []) is good, speed
    assert texts(changed(wind_speed=13.0), judge, "east") == []  # each station for itself
    assert texts(changed(wind_speed=13.0), judge) == ["wind of 13.0 m/s at west is not down to 12 m/s yet"]


def test_a_temperature_has_limits_to_both_sides() -> None:
    rule = TemperatureRule(unsafe_above=40.0, unsafe_below=-20.0, safe_above=-15.0)
    judge = Judge(WeatherRules(temperature=rule, dew_point_spread=None))
    for degrees, good in ((0.0, True), (-21.0, False), (-16.0, False), (-15.0, True), (41.0, False), (40.0, True)):
        assert (texts(changed(temperature=degrees), judge) == []) is good, degrees


@given(st.lists(st.floats(0.0, 40.0), max_size=40), st.floats(1.0, 30.0), st.floats(0.0, 1.0))
def test_two_limits_never_say_good_beyond_the_first(speeds: list[float], limit: float, part: float) -> None:
    release = limit * part
    judge = Judge(WeatherRules(wind_speed=SpeedRule(unsafe_above=limit, safe_below=release), wind_gust=None))
    was_bad = False
    for speed in speeds:
        was_bad = speed > limit or (was_bad and speed > release)
        assert bool(texts(changed(wind_speed=speed), judge)) is was_bad


def configured(plain: dict[str, Any]) -> tuple[Any, list[str]]:
    value, faults = parse_struct(plain, WeatherSafetyMonitor.Config, Lines("site.yaml"))
    return value, [fault.message for fault in faults]


def test_rules_in_a_site_file_take_units_and_leave_the_others_as_they_are() -> None:
    config, faults = configured(
        {
            "rules": {
                "wind_speed": {"unsafe_above": "54 km/h", "safe_below": 12, "clear_after": "20 min"},
                "cloud_cover": None,
            },
            "sun": None,
        }
    )
    assert faults == []
    assert config.rules.wind_speed == SpeedRule(unsafe_above=15.0, safe_below=12.0, clear_after=1200.0)
    assert config.rules.cloud_cover is None
    assert config.rules.humidity == PercentRule(unsafe_above=88.0)
    assert config.sun is None


@pytest.mark.parametrize(
    "rules",
    [
        {"wind_speed": {"unsafe_above": 12, "safe_below": 15}},
        {"wind_speed": {"safe_below": 15}},
        {"wind_sped": {"unsafe_above": 15}},
        {"wind_speed": {"unsafe_above": "15 mm/h"}},
        {"wind_speed": {"unsafe_below": 3}},
        {"temperature": {}},
        {"humidity": {"unsafe_above": 120}},
        {"dew_point_spread": {"unsafe_below": 3, "safe_above": 2}},
    ],
)
def test_rules_that_cannot_be_are_told(rules: dict[str, Any]) -> None:
    assert configured({"rules": rules})[1]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_silence_and_a_clock_ahead() -> None:
    assert judge_age("w", START, 19.0, at(19), 20) == []
    (silent,) = judge_age("w", START, 21.0, at(21), 20)
    assert silent.text == "weather station w silent for 21 s"
    assert judge_age("w", at(3600), 0.0, START, 20)


def test_a_clock_a_little_ahead_does_not_hide_silence() -> None:
    assert judge_age("w", at(15), 21.0, at(21), 20)
    assert judge_age("w", at(-15), 6.0, at(6), 20)


def test_the_sites_clock_set_back_does_not_hide_silence() -> None:
    assert judge_age("w", START, 21.0, at(-10), 20)
