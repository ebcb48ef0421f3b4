"""The safety monitor of a site: weather, Sun, disk, and whether all is there that must be."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, NamedTuple

from msgspec import Meta

from pytel.automation.limits import DiskRule, Fault, Judge, Rule, SunRule, WeatherRules, judge_age, sensor_value
from pytel.automation.safety_monitor import REAL_PATIENCE, BaseSafetyMonitor, Check
from pytel.automation.safety_probe import Probe
from pytel.base import clock
from pytel.base.errors import LimitExceeded
from pytel.base.location import Location
from pytel.base.threads import in_thread
from pytel.base.units import Degrees, Duration, Seconds
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.handlers import background, on
from pytel.module.hearing import current_publication
from pytel.services.required import Required
from pytel.services.timing import patient

LONGEST_SILENCE: Seconds = 900.0
"""No site file may take older weather for weather: there are stations that speak every ten minutes."""
LONGEST_DAYLIGHT: Seconds = 12 * 3600.0
_OFTEN: Seconds = 1.5
"""What is measured here is measured this often, where it matters: to close within 2 s."""
_SELDOM: Seconds = 10.0
_SUN_MOVES = 15.1 / 3600.0
"""Degrees in a second, at most."""

_MOST_ALERTS, _LONGEST_ALERT = 5, 80
"""Of a station; they go out with each verdict."""


class _Heard(NamedTuple):
    weather: WeatherState
    when: Seconds
    """Elapsed."""


class WeatherSafetyMonitor(BaseSafetyMonitor):
    """Judges all weather stations by rules: one that is bad or silent makes the site unsafe.

    It starts unsafe, and says safe again only after each thing that was bad has been good for its time to clear. A
    station that was heard once must go on speaking; what is `required` must be there also after a restart. Also looked
    at are the Sun and the room on the disk.
    """

    class Config(BaseSafetyMonitor.Config, frozen=True, kw_only=True):
        """Rules (null switches one off) and times."""

        rules: WeatherRules = WeatherRules()
        sun: SunRule | None = SunRule(unsafe_above=0.0)
        """The Sun's altitude in an open roof; null at an observatory of the Sun."""
        disk: DiskRule | None = DiskRule(unsafe_below=16 * 2**20)
        """The room left in the state directory."""
        required: tuple[str, ...] = ("WeatherStation",)
        """Modules, and interfaces that somebody must offer, without which it is not safe; none: it is never safe."""
        max_age: Annotated[Duration, Meta(le=LONGEST_SILENCE)] = 18.0
        """What is silent for longer is bad; with the closing it is under the verdict's expiry."""

    config: Config

    async def on_start(self) -> None:
        """Begin unsafe."""
        config = self.config
        self._judge_of_weather = Judge(config.rules)
        self._heard: dict[str, _Heard] = {}
        self._gave: set[tuple[str, str]] = set()  # station and sensor: who gave a value once must go on
        self._max_age = patient(config.max_age, REAL_PATIENCE)
        self._required = Required(self, config.required)
        self._seen: dict[str, Seconds] = {}
        self._daylight_until = float("-inf")
        self._bad_values: set[str] = set()
        self._sun: Probe[Degrees] = Probe("the Sun's altitude", self._sun_altitude, self._max_age)
        self._disk: Probe[float] = Probe("the room on the disk", self._room, self._max_age)
        await super().on_start()

    @property
    def longest_clearing(self) -> Seconds:
        """The longest of all rules."""
        return self._judge_of_weather.longest_clearing

    # what comes in

    @on(WeatherState, policy="all")
    async def new_weather(self, weather: WeatherState) -> None:
        """Judge at once, in the turn of the reading."""
        station = str(self.sender())
        self._heard[station] = _Heard(weather, clock.elapsed() - _age_of_news())
        self._gave |= {
            (station, sensor) for sensor in self._judge_of_weather.sensors if sensor_value(weather, sensor) is not None
        }
        self.judge()

    @background
    async def watch_sun(self) -> None:
        """Measure where the Sun is, the more often the nearer it is to its limits."""
        rule = self.config.sun
        while rule is not None:
            await self._look(self._sun, self._check_sun)
            altitude, bounds = self._sun.value or 0.0, rule.bounds()
            near = min(abs(altitude - bounds.high), abs(altitude - bounds.release_high))
            await clock.sleep(patient(min(_SELDOM, max(_OFTEN, near / _SUN_MOVES))))

    @background
    async def watch_disk(self) -> None:
        """Measure the room on the disk."""
        while self.config.disk is not None:
            await self._look(self._disk, self._check_disk)
            await clock.sleep(patient(_OFTEN))

    async def _look(self, probe: Probe[float], judge: Callable[[float], list[Fault]]) -> None:
        before = [fault.key for fault in probe.faults(judge)]
        await probe.look()
        if [fault.key for fault in probe.faults(judge)] != before:
            self.judge()

    async def _sun_altitude(self) -> Degrees:
        return await in_thread(_sun_altitude_at, clock.time(), self.site.location)

    async def _room(self) -> float:
        return float((await in_thread(shutil.disk_usage, self.site.state_dir)).free)

    async def allow_daylight(self, duration: Duration) -> None:
        """Let the roof be open in daylight for a while, and no longer than this monitor runs."""
        if duration > LONGEST_DAYLIGHT:
            raise LimitExceeded(f"daylight can be allowed for {LONGEST_DAYLIGHT / 3600:.0f} hours at most")
        self._daylight_until = clock.elapsed() + duration
        self.log.warning("%s allows daylight for %.0f s", self.origin.name, duration)
        self.judge()

    # what is looked at

    def checks(self) -> Iterable[Check]:
        """Presence, silence, the rules, the Sun, the disk."""
        yield "what is required", self._check_required
        yield "the stations", self._check_ages
        yield "the stations' own alerts", self._check_alerts
        for sensor in self._judge_of_weather.sensors:
            yield sensor, partial(self._check_sensor, sensor)
        if self.config.sun is not None:
            yield "the Sun", partial(self._sun.faults, self._check_sun)
        if self.config.disk is not None:
            yield "the disk", partial(self._disk.faults, self._check_disk)

    def _check_alerts(self) -> list[Fault]:
        return [
            Fault(f"{station}:alert:{number}", f"{station} itself warns of {alert[:_LONGEST_ALERT]}", seen=last.when)
            for station, last in self._heard.items()
            for number, alert in enumerate(last.weather.alerts[:_MOST_ALERTS])
        ]

    def _check_required(self) -> list[Fault]:
        if not self._required:
            text = "the list `required` is empty; name what must be there, such as WeatherStation"
            return [Fault("required", text)]
        now, missing = clock.elapsed(), set(self._required.missing())
        self._seen.update((name, now) for name in self.config.required if name not in missing)
        return [
            Fault(f"required:{name}", f"{name} is required and not there")
            for name in self.config.required
            if now - self._seen.get(name, float("-inf")) >= self._max_age
        ]

    def _check_ages(self) -> list[Fault]:
        now, elapsed = clock.now(), clock.elapsed()
        faults = [
            Fault(f"{name}:unheard", f"weather station {name} has not spoken yet")
            for name in self.config.required
            if name not in self._heard and name in self._stations()
        ]
        if not self._heard and self._judge_of_weather.sensors:
            faults.append(Fault("no-weather", "no weather station has spoken yet"))
        for station, heard in sorted(self._heard.items()):
            faults += judge_age(station, heard.weather.measured, elapsed - heard.when, now, self._max_age)
        return faults

    def _check_sensor(self, sensor: str) -> list[Fault]:
        givers = {station for station in self._heard if (station, sensor) in self._gave}
        if self._heard and not givers:
            stations = " and ".join(sorted(self._heard))
            text = (
                f"no {sensor} comes from {stations}, and a rule needs it (set the rule to null if there is no sensor)"
            )
            return [Fault(f"{sensor}:missing", text)]
        faults: list[Fault] = []
        for station in sorted(givers):
            faults += self._judge_of_weather.reading(sensor, station, *self._heard[station])
        return faults

    def _check_sun(self, altitude: Degrees) -> list[Fault]:
        if clock.elapsed() < self._daylight_until:
            return []
        return self._judge_value("sun", "the Sun", self.config.sun, altitude, f"{altitude:.1f}° high")

    def _check_disk(self, room: float) -> list[Fault]:
        return self._judge_value("disk", "the state directory", self.config.disk, room, f"{room / 2**20:.0f} MiB free")

    def _judge_value(self, key: str, what: str, rule: Rule | None, value: float, shown: str) -> list[Fault]:
        if rule is None:
            return []
        if rule.bounds().complaint(value, key in self._bad_values) is None:
            self._bad_values.discard(key)
            return []
        self._bad_values.add(key)
        return [Fault(key, f"{what}: {shown}", rule.clear_after)]

    def _stations(self) -> set[str]:
        return {str(self.address_of(proxy)) for proxy in self.find_all(WeatherStation)}

    def next_turn(self, now: Seconds) -> Seconds:
        """When a station will have been silent for too long."""
        turns = [self._daylight_until, *self._silences()]
        return min((turn for turn in turns if turn > now), default=float("inf"))

    def known_until(self) -> Seconds:
        """When the first station will have been silent for too long."""
        return min(self._silences(), default=float("inf"))

    def _silences(self) -> list[Seconds]:
        now, site_time = clock.elapsed(), clock.time()
        return [
            min(now - (site_time - heard.weather.measured.timestamp()), heard.when) + self._max_age
            for heard in self._heard.values()
        ]


def _age_of_news() -> Seconds:
    """How long ago the present publication was made: after a restart the last word of a station is heard once more."""
    publication = current_publication.get()
    return 0.0 if publication is None else max(0.0, clock.time() - publication.time)


def _sun_altitude_at(when: float, location: Location) -> Degrees:
    from pytel.sky.almanac import sun_altitude  # heavy: numpy and ERFA

    return sun_altitude(when, location)
