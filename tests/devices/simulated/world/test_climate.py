"""The course of the weather: the same for a seed, without jumps, and such as weather is."""

from __future__ import annotations

from statistics import fmean, median

import pytest

from pytel.devices.simulated.world.climate import DAY, HOUR, Climate
from pytel.devices.simulated.world.config import WeatherConfig
from world_kit import MIDNIGHT, SITE, Lab, small_world

QUANTITIES = (
    "temperature",
    "humidity",
    "dew_point",
    "pressure",
    "wind_speed",
    "wind_gust",
    "rain_rate",
    "cloud_cover",
    "cloud_extinction",
    "sky_temperature",
    "seeing",
)


def climate(seed: int = 1, mode: str = "course") -> Climate:
    return Climate(WeatherConfig(mode="clear" if mode == "clear" else "course"), SITE, seed)


def reading(of: Climate, when: float) -> list[float]:
    return [getattr(of, quantity)(when) for quantity in QUANTITIES]


def test_it_does_not_depend_on_what_was_asked_before() -> None:
    walked = climate()
    for day in range(20):
        reading(walked, MIDNIGHT + day * DAY)
    assert reading(walked, MIDNIGHT + 30.5 * DAY) == reading(climate(), MIDNIGHT + 30.5 * DAY)
    assert reading(climate(2), MIDNIGHT) != reading(climate(), MIDNIGHT)


def test_it_does_not_jump_at_the_border_of_days() -> None:
    course = climate()
    for day in range(40):
        border = (MIDNIGHT // DAY + day) * DAY
        before, after = reading(course, border - 0.5), reading(course, border + 0.5)
        assert dict(zip(QUANTITIES, before, strict=True)) == pytest.approx(
            dict(zip(QUANTITIES, after, strict=True)), rel=0.02, abs=0.1
        )


def test_a_year_is_such_as_years_are() -> None:
    course = climate()
    hours = [MIDNIGHT + i * 3 * HOUR for i in range(8 * 365)]
    cover = [course.cloud_cover(when) for when in hours]
    rain = [course.rain_rate(when) > 0 for when in hours]
    assert 0.4 < fmean(c < 0.2 for c in cover) < 0.85
    assert 0.05 < fmean(c > 0.9 for c in cover) < 0.35
    assert 0.01 < fmean(rain) < 0.12
    assert all(c > 0.9 for c, wet in zip(cover, rain, strict=True) if wet)
    assert 2 < median(course.wind_speed(when) for when in hours) < 7
    assert all(course.dew_point(when) <= course.temperature(when) + 0.01 for when in hours[::10])
    assert all(course.wind_gust(when) > course.wind_speed(when) for when in hours[::10])
    july = fmean(course.temperature(when) for when in hours[8 * 165 : 8 * 195])
    january = fmean(course.temperature(when) for when in hours[: 8 * 30])
    assert 8 < july - january < 30


def test_a_clear_sky_stays_clear() -> None:
    course = climate(mode="clear")
    for hour in range(0, 24 * 60):
        when = MIDNIGHT + hour * HOUR
        assert course.cloud_cover(when) < 0.1
        assert course.rain_rate(when) == 0
        assert course.wind_gust(when) < 20
        assert course.humidity(when) <= 70


def test_the_station_reports_at_intervals() -> None:
    lab = Lab(small_world(weather=WeatherConfig(report_interval=30.0)))
    first = lab.status("weather")
    lab.wait(10.0)
    assert lab.status("weather") == first
    lab.wait(25.0)
    assert lab.status("weather")["time"] == first["time"] + 30.0


def test_the_sky_is_dark_at_night_and_bright_at_noon() -> None:
    lab = Lab(small_world())
    assert lab.status("weather")["sky_brightness"] > 21
    lab.wait(12 * HOUR)
    assert lab.status("weather")["sky_brightness"] < 6


def test_the_sky_changes_at_midnight_as_seldom_as_at_any_hour() -> None:
    chain = climate().chain
    day = int(MIDNIGHT // DAY)

    changes = [0] * chain.steps
    before = chain.state(day * chain.steps - 1)
    for index in range(day * chain.steps, (day + 800) * chain.steps):
        changes[index % chain.steps] += before != (before := chain.state(index))
    assert changes[0] / 800 == pytest.approx(fmean(changes) / 800, abs=0.02)
