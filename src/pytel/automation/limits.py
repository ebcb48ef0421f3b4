"""Which weather a site can bear: limits, and the sentences that say which of them is broken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from pytel.base.units import Celsius, MetresPerSecond, MillimetresPerHour, Percent, Seconds
from pytel.interfaces.weather import WeatherState
from pytel.module import Struct


class Fault(NamedTuple):
    """One thing that is wrong. `key` stays the same while the numbers in `text` change."""

    key: str
    text: str


class WeatherLimits(Struct, frozen=True, kw_only=True):
    """The limits of a site; None switches one off."""

    max_wind_speed: MetresPerSecond | None = 15.0
    max_wind_gust: MetresPerSecond | None = 20.0
    max_humidity: Percent | None = 88.0
    min_dew_point_spread: Celsius | None = 2.0
    max_rain_rate: MillimetresPerHour | None = 0.0
    max_cloud_cover: Percent | None = 80.0


_UPPER = (
    ("max_wind_speed", "wind_speed", "wind", "m/s"),
    ("max_wind_gust", "wind_gust", "gusts", "m/s"),
    ("max_humidity", "humidity", "humidity", "%"),
    ("max_rain_rate", "rain_rate", "rain", "mm/h"),
    ("max_cloud_cover", "cloud_cover", "cloud cover", "%"),
)


def judge_reading(station: str, weather: WeatherState, limits: WeatherLimits) -> list[Fault]:
    """List what a reading breaks, and the readings that a limit needs and the station does not give."""
    return [*_judge_upper(station, weather, limits), *_judge_dew_point(station, weather, limits)]


def _judge_upper(station: str, weather: WeatherState, limits: WeatherLimits) -> Iterator[Fault]:
    for name, sensor, what, unit in _UPPER:
        limit, value = getattr(limits, name), getattr(weather, sensor)
        if limit is None:
            continue
        if value is None:
            yield _missing(station, sensor, name)
        elif not value <= limit:
            yield Fault(f"{station}:{sensor}", f"{what} of {value:.1f} {unit} at {station} is over {limit:g} {unit}")


def _judge_dew_point(station: str, weather: WeatherState, limits: WeatherLimits) -> Iterator[Fault]:
    limit = limits.min_dew_point_spread
    if limit is None:
        return
    if weather.temperature is None or weather.dew_point is None:
        sensor = "temperature" if weather.temperature is None else "dew_point"
        yield _missing(station, sensor, "min_dew_point_spread")
        return
    spread = weather.temperature - weather.dew_point
    if not spread >= limit:
        text = f"the air at {station} is {spread:.1f} K above its dew point, less than {limit:g} K"
        yield Fault(f"{station}:dew_point", text)


def _missing(station: str, sensor: str, limit: str) -> Fault:
    text = f"{station} gives no {sensor}, which the limit {limit} needs (set it to null if there is no such sensor)"
    return Fault(f"{station}:{sensor}:missing", text)


def judge_age(station: str, measured: datetime, heard: datetime, now: datetime, max_age: Seconds) -> list[Fault]:
    """Tell whether a station has been silent for too long, or lives in the future.

    A reading is as old as it says, but no younger than the time since it was `heard`.
    """
    age = (now - measured).total_seconds()
    if age > -max_age:
        age = max(age, (now - heard).total_seconds())
    if age >= max_age:
        return [Fault(f"{station}:silent", f"weather station {station} silent for {age:.0f} s")]
    if age < -max_age:
        return [Fault(f"{station}:clock", f"the clock of weather station {station} is {-age:.0f} s ahead")]
    return []
