"""Rules over what sensors say: beyond which value it is unsafe, where it is good again, and for how long it must be.

A rule has two limits, so that a value that wavers around one of them does not open and close the roof all night: it
turns bad beyond `unsafe_above`, and stays bad until it is not above `safe_below` any more (the same the other way
round). No rule waits before it says unsafe: one bad reading is enough.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from pytel.base.units import (
    Altitude,
    Bytes,
    Celsius,
    Duration,
    MagnitudePerSquareArcsec,
    MetresPerSecond,
    MillimetresPerHour,
    Percent,
    Seconds,
)
from pytel.interfaces.weather import WeatherState
from pytel.module import Struct


class Fault(NamedTuple):
    """One thing that is wrong. `key` stays the same while the numbers in `text` change.

    `clear_after` is how long it must be good again (None: as long as the monitor asks), counted from `seen` in elapsed
    seconds (None: from when it is not there any more).
    """

    key: str
    text: str
    clear_after: Seconds | None = None
    seen: Seconds | None = None


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one value; those that a rule does not have are never exceeded."""

    clear_after: Duration | None = None
    """For how long it must be good again; null: as long as the monitor's own."""

    def __post_init__(self) -> None:
        bounds = self.bounds()
        if bounds.release_high > bounds.high:
            raise ValueError("safe_below must not be more than unsafe_above")
        if bounds.release_low < bounds.low:
            raise ValueError("safe_above must not be less than unsafe_below")
        if math.isinf(bounds.high) and math.isinf(bounds.low):
            raise ValueError("a rule needs a limit: write unsafe_above or unsafe_below, or null to switch it off")

    def bounds(self) -> Bounds:
        """The limits as numbers, infinite where there is none."""
        high = _limit(self, "unsafe_above", math.inf)
        low = _limit(self, "unsafe_below", -math.inf)
        return Bounds(low, _limit(self, "safe_above", low), _limit(self, "safe_below", high), high)


class Bounds(NamedTuple):
    """Where a value turns bad and where it is good again, from below to above."""

    low: float
    release_low: float
    release_high: float
    high: float

    def complaint(self, value: float, was_bad: bool, unit: str = "") -> str | None:
        """What is wrong with a value, None when nothing is. What is no number is always wrong."""
        if not math.isfinite(value):
            return "is no number"
        if value > self.high:
            return f"is over {self.high:g}{unit}"
        if value < self.low:
            return f"is under {self.low:g}{unit}"
        if was_bad and value > self.release_high:
            return f"is not down to {self.release_high:g}{unit} yet"
        if was_bad and value < self.release_low:
            return f"is not up to {self.release_low:g}{unit} yet"
        return None


def _limit(rule: Rule, name: str, otherwise: float) -> float:
    value = getattr(rule, name, None)
    return otherwise if value is None else float(value)


class SpeedRule(Rule, frozen=True, kw_only=True):
    """Of the wind."""

    unsafe_above: MetresPerSecond
    safe_below: MetresPerSecond | None = None


class PercentRule(Rule, frozen=True, kw_only=True):
    """Of what is measured in percent."""

    unsafe_above: Percent
    safe_below: Percent | None = None


class RainRule(Rule, frozen=True, kw_only=True):
    """Of rain."""

    unsafe_above: MillimetresPerHour
    safe_below: MillimetresPerHour | None = None


class SpreadRule(Rule, frozen=True, kw_only=True):
    """Of the air's temperature above its dew point."""

    unsafe_below: Celsius
    safe_above: Celsius | None = None


class TemperatureRule(Rule, frozen=True, kw_only=True):
    """Of a temperature, to either side."""

    unsafe_above: Celsius | None = None
    safe_below: Celsius | None = None
    unsafe_below: Celsius | None = None
    safe_above: Celsius | None = None


class BrightnessRule(Rule, frozen=True, kw_only=True):
    """Of the sky's surface brightness: a bright sky has few magnitudes."""

    unsafe_below: MagnitudePerSquareArcsec
    safe_above: MagnitudePerSquareArcsec | None = None


class SunRule(Rule, frozen=True, kw_only=True):
    """Of the Sun's altitude."""

    unsafe_above: Altitude
    safe_below: Altitude | None = None
    clear_after: Duration | None = 0.0


class DiskRule(Rule, frozen=True, kw_only=True):
    """Of the room left on a disk."""

    unsafe_below: Bytes
    safe_above: Bytes | None = None
    clear_after: Duration | None = 0.0


class WeatherRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule for each sensor, such as `wind_speed: {unsafe_above: 15, safe_below: 12, clear_after: 600}`."""

    wind_speed: SpeedRule | None = SpeedRule(unsafe_above=15.0)
    wind_gust: SpeedRule | None = SpeedRule(unsafe_above=20.0)
    humidity: PercentRule | None = PercentRule(unsafe_above=88.0)
    dew_point_spread: SpreadRule | None = SpreadRule(unsafe_below=2.0)
    """Temperature less dew point."""
    rain_rate: RainRule | None = RainRule(unsafe_above=0.0)
    cloud_cover: PercentRule | None = PercentRule(unsafe_above=80.0)
    temperature: TemperatureRule | None = None
    sky_temperature: TemperatureRule | None = None
    sky_brightness: BrightnessRule | None = None


class Sensor(NamedTuple):
    """How a sensor is called in a sentence, and its unit."""

    words: str
    unit: str
    lowest: float = -math.inf
    """Less than this it cannot be."""


SENSORS = {
    "wind_speed": Sensor("wind", "m/s", 0.0),
    "wind_gust": Sensor("gusts", "m/s", 0.0),
    "humidity": Sensor("humidity", "%", 0.0),
    "dew_point_spread": Sensor("dew point spread", "K"),
    "rain_rate": Sensor("rain", "mm/h", 0.0),
    "cloud_cover": Sensor("cloud cover", "%", 0.0),
    "temperature": Sensor("air temperature", "°C", -100.0),
    "sky_temperature": Sensor("sky temperature", "°C", -273.15),
    "sky_brightness": Sensor("sky brightness", "mag/arcsec2"),
}


def sensor_value(weather: WeatherState, sensor: str) -> float | None:
    """What a reading says of a sensor, None when it says nothing."""
    if sensor != "dew_point_spread":
        value: float | None = getattr(weather, sensor)
        return value
    if weather.temperature is None or weather.dew_point is None:
        return None
    return weather.temperature - weather.dew_point


class Judge:
    """Judges the readings of all stations by the rules; remembers what was bad, for the second limit of each rule."""

    def __init__(self, rules: WeatherRules) -> None:
        self._rules: dict[str, Rule] = {name: rule for name in SENSORS if (rule := getattr(rules, name)) is not None}
        self._bounds = {name: rule.bounds() for name, rule in self._rules.items()}
        self._bad: set[tuple[str, str]] = set()

    @property
    def sensors(self) -> tuple[str, ...]:
        """Those that have a rule."""
        return tuple(self._rules)

    @property
    def longest_clearing(self) -> Seconds:
        """The longest `clear_after` of all rules that have one."""
        return max((rule.clear_after or 0.0 for rule in self._rules.values()), default=0.0)

    def reading(self, sensor: str, station: str, weather: WeatherState, heard: Seconds) -> list[Fault]:
        """What a station's last reading, heard at an elapsed time, breaks of one rule."""
        clear_after, value = self._rules[sensor].clear_after, sensor_value(weather, sensor)
        name = f"{station}:{sensor}"
        if value is None:
            text = f"{station} gives no {sensor}, which a rule needs (set the rule to null if there is no such sensor)"
            return [Fault(f"{name}:missing", text, clear_after, heard)]
        complaint = self._complaint(sensor, value, (station, sensor) in self._bad)
        if complaint is None:
            self._bad.discard((station, sensor))
            return []
        self._bad.add((station, sensor))
        what = SENSORS[sensor]
        text = f"{what.words} of {value:.1f} {what.unit} at {station} {complaint}"
        return [Fault(name, text, clear_after, heard)]

    def _complaint(self, sensor: str, value: float, was_bad: bool) -> str | None:
        if value < SENSORS[sensor].lowest:
            return "cannot be; look at the sensor"
        return self._bounds[sensor].complaint(value, was_bad, f" {SENSORS[sensor].unit}")


def judge_age(station: str, measured: datetime, heard_for: Seconds, now: datetime, max_age: Seconds) -> list[Fault]:
    """Tell whether a station has been silent for too long, or lives in the future.

    A reading is as old as it says, but no younger than the time since it was heard (`heard_for`).
    """
    age = (now - measured).total_seconds()
    if age > -max_age:
        age = max(age, heard_for)
    if age >= max_age:
        return [Fault(f"{station}:silent", f"weather station {station} silent for {age:.0f} s")]
    if age < -max_age:
        return [Fault(f"{station}:clock", f"the clock of weather station {station} is {-age:.0f} s ahead")]
    return []
