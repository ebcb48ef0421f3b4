"""Nights of weather alone: two stations that rain, spike, drop out, fall silent, lie about the time and restart.

A roof, its safety monitor and the stations run on the virtual clock; somebody opens the roof whenever it may be open.
Two eyes watch: the roof must close (`RoofWatcher`), and it must not stay shut for longer than the rules ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time as wall
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pytel.automation.limits import PercentRule, RainRule, SpeedRule, WeatherRules
from pytel.automation.safety import WeatherSafetyMonitor
from pytel.base import clock, ids, virtual
from pytel.base.errors import PytelError
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.local import LocalHub
from pytel.interfaces import Enclosure, EnclosureState, SafetyMonitorState, WeatherState, WeatherStation
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module, background
from pytel.testing.seat import Heard, Seat
from pytel.testing.watcher import RoofWatcher
from roof_kit import TRAVEL, Client, Hardware, Roof

LENGTH = 4 * 3600.0
STATIONS = ("weather", "west")
MAX_AGE = 18.0
SLACK = 6.0
"""Seconds of grace: one heartbeat."""
FINE = {
    "temperature": 10.0,
    "dew_point": 0.0,
    "humidity": 50.0,
    "wind_speed": 3.0,
    "wind_gust": 5.0,
    "rain_rate": 0.0,
    "cloud_cover": 10.0,
}
BAD: dict[str, dict[str, float]] = {
    "rain": {"rain_rate": 2.0},
    "drizzle": {"rain_rate": 0.01},
    "storm": {"wind_speed": 22.0, "wind_gust": 31.0},
    "gusts": {"wind_gust": 20.1},
    "clouds": {"cloud_cover": 95.0},
    "fog": {"humidity": 99.0, "dew_point": 9.5},
}
SPIKES = [*BAD.values(), {"wind_speed": float("nan")}, {"humidity": float("inf")}, {"rain_rate": -1.0}]


class Mood:
    """What ails a station now."""

    def __init__(self) -> None:
        self.silent = False
        self.clock_error = 0.0
        self.frozen: datetime | None = None
        self.spike: dict[str, float] | None = None


class Sky:
    """The weather, and how the stations see it; it outlives their crashes."""

    def __init__(self, period: float) -> None:
        self.period = period
        self.weather: dict[str, float] = {}
        self.moods = {name: Mood() for name in STATIONS}


class Station(Module, WeatherStation):
    """Measures the sky of a night in its mood."""

    sky: Sky

    @background
    async def measure(self) -> None:
        """Report, unless it is silent."""
        while True:
            mood = self.sky.moods[self.name]
            if not mood.silent:
                spike, mood.spike = mood.spike, None
                measured = mood.frozen or clock.now() + timedelta(seconds=mood.clock_error)
                values: dict[str, Any] = {**FINE, **self.sky.weather, **(spike or {})}
                self.publish(WeatherState(measured=measured, **values))
            await clock.sleep(self.sky.period)


class Result(msgspec.Struct, frozen=True):
    """How a night went."""

    seed: int
    violations: tuple[str, ...]
    events: tuple[str, ...]
    openings: int
    wall_time: float

    def __str__(self) -> str:
        return "\n  ".join([f"seed {self.seed}, {self.openings} openings:", *self.violations, "events:", *self.events])


class Patience:
    """The other half of the rule: when all has been good for its time to clear, it must be safe."""

    def __init__(self, rules: WeatherRules, clear_after: float) -> None:
        self._rules, self._default = rules, clear_after
        self._longest = max([clear_after, *(self._clearing(sensor) for sensor in FINE)])
        self.clear_at = clock.time() + self._longest
        self._spoken: dict[str, float] = {}
        self._late: set[str] = set()  # whose last reading had a wrong time
        self._bad: set[str] = set()  # whose last reading was bad
        self._up = False
        self._state: SafetyMonitorState | None = None
        self.violations: list[str] = []
        self._good_since = float("inf")

    def _clearing(self, sensor: str) -> float:
        rule = getattr(self._rules, "dew_point_spread" if sensor in ("dew_point", "temperature") else sensor)
        return self._default if rule.clear_after is None else float(rule.clear_after)

    def monitor(self, present: bool) -> None:
        """One that starts knows nothing of what was before, and one that is gone says nothing."""
        self._up = present
        self.clear_at = max(self.clear_at, clock.time() + self._longest)

    def hear(self, heard: Heard) -> None:
        """Note a reading or a verdict."""
        message, station, now = heard.message, str(heard.publisher), heard.time
        if isinstance(message, SafetyMonitorState):
            self._state = message
        elif isinstance(message, WeatherState):
            gap = now - self._spoken.get(station, now)
            if gap >= MAX_AGE - 1.0 or station in self._late:
                self.clear_at = max(self.clear_at, now + self._default)
            wrong = abs((message.measured.timestamp()) - now)
            (self._late.add if wrong > 1.0 else self._late.discard)(station)
            self._spoken[station] = now
            self._bad.discard(station)
            for sensor, fine in FINE.items():
                if getattr(message, sensor) != fine:
                    self._bad.add(station)
                    self.clear_at = max(self.clear_at, now + self._clearing(sensor))

    async def run(self) -> None:
        """Look all the time."""
        while True:
            await clock.sleep(1.0)
            now = clock.time()
            fresh = len(self._spoken) == len(STATIONS) and all(now - then < 12.0 for then in self._spoken.values())
            if now < self.clear_at or not (fresh and self._up) or self._late or self._bad:
                self._good_since = now
            elif now > self._good_since + SLACK and (self._state is None or not self._state.safe):
                self._good_since = float("inf")
                reasons = self._state.reasons if self._state else ()
                self.violations.append(f"{clock.now():%H:%M:%S} all is good and it is not safe: {reasons}")


class WeatherNight:
    """One night of a seed."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.seed, self.rng = seed, random.Random(ids.derived_seed("weather night", seed))
        location = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
        self.site = SiteInfo(name="test", location=location, seed=seed, state_dir=directory)
        self.hub, self.hardware = LocalHub(), Hardware()
        self.sky = Sky(self.rng.choice([2.0, 5.0, 10.0]))
        self.runtimes: dict[str, ModuleRuntime] = {}
        self.events: list[str] = []
        self.violations: list[str] = []
        self.openings = 0
        self.config = self._config()

    def _config(self) -> WeatherSafetyMonitor.Config:
        choose = self.rng.choice
        rules = WeatherRules(
            wind_speed=SpeedRule(
                unsafe_above=15.0, safe_below=choose([None, 12.0]), clear_after=choose([None, 60.0, 900.0])
            ),
            rain_rate=RainRule(unsafe_above=0.0, clear_after=choose([None, 1200.0])),
            cloud_cover=PercentRule(
                unsafe_above=80.0, safe_below=choose([None, 60.0]), clear_after=choose([None, 0.0])
            ),
        )
        return WeatherSafetyMonitor.Config(
            rules=rules, clear_after=choose([60.0, 300.0, 600.0]), sun=None, disk=None, required=STATIONS
        )

    async def start(self, name: str) -> None:
        """Start a module of the night."""
        kinds: dict[str, type[Module]] = {
            "safety": WeatherSafetyMonitor, "roof": Roof, "client": Client, **dict.fromkeys(STATIONS, Station)
        }  # fmt: skip
        kind = kinds[name]
        config = self.config if name == "safety" else kind.Config()
        runtime = ModuleRuntime(kind, config=config, site=self.site, bus=self.hub.bus(Address(name)))
        if isinstance(runtime.module, Roof):
            runtime.module.hardware = self.hardware
        if isinstance(runtime.module, Station):
            runtime.module.sky = self.sky
        self.runtimes[name] = runtime
        await runtime.start()

    async def run(self) -> Result:
        """Play the night."""
        began = wall.perf_counter()
        seat = Seat(self.hub.bus(Address("test"), Role.ADMIN), self.site, lambda _: False)
        await seat.open()
        watcher = RoofWatcher(self._truth, lambda: False, TRAVEL, self._violated)
        patience = Patience(self.config.rules, self.config.clear_after)
        seat.watch(watcher.hear)
        seat.watch(patience.hear)
        seat.runtime.bus.watch_peers(lambda peer, present: watcher.presence(str(peer.address), present))
        seat.runtime.bus.watch_peers(
            lambda peer, present: patience.monitor(present) if str(peer.address) == "safety" else None
        )
        for name in ("client", "safety", "roof", *STATIONS):
            await self.start(name)
        tasks = [asyncio.create_task(work) for work in (watcher.run(), patience.run(), self._open(), *self._troubles())]
        try:
            await clock.sleep(LENGTH)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self._violated(f"the test itself failed: {outcome!r}")
        for runtime in reversed(list(self.runtimes.values())):
            await runtime.stop()
        await seat.close()
        if self.hardware.opening() > 0.0:
            self._violated("the site has ended and the roof is open")
        violations = (*self.violations, *patience.violations)
        return Result(self.seed, violations, tuple(self.events), self.openings, wall.perf_counter() - began)

    def _truth(self) -> tuple[str, float]:
        direction, opening = self.hardware.direction(), self.hardware.opening()
        return {1: "opening", -1: "closing", 0: "stopped"}[direction], opening

    def _violated(self, what: str) -> None:
        self.violations.append(f"{clock.now():%H:%M:%S} {what}")
        self._note("VIOLATION")

    def _note(self, what: str) -> None:
        self.events.append(f"{clock.now():%H:%M:%S} {what}")

    async def _open(self) -> None:
        """As a robot does: open whenever it may be."""
        while True:
            await clock.sleep(5.0)
            client = self.runtimes["client"].module
            state = client.latest(EnclosureState)
            if state is not None and state.may_open and state.opening == 0.0:
                with contextlib.suppress(PytelError):
                    await client.find(Enclosure, deadline=90.0).open()
                    self.openings += 1

    # what goes wrong

    def _troubles(self) -> list[Any]:
        plays: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self._bad_weather, 3000.0),
            (self._spike, 1200.0),
            (self._dropout, 1500.0),
            (self._lying_clock, 4000.0),
            (self._frozen, 5000.0),
            (self._restart, 2500.0),
        ]
        return [self._now_and_then(play, mean) for play, mean in plays]

    async def _now_and_then(self, play: Callable[[], Awaitable[None]], mean: float) -> None:
        await clock.sleep(self.rng.uniform(0.0, mean))
        while True:
            await play()
            await clock.sleep(self.rng.expovariate(1.0 / mean))

    def _somebody(self) -> tuple[str, Mood]:
        name = self.rng.choice(STATIONS)
        return name, self.sky.moods[name]

    async def _bad_weather(self) -> None:
        kind = self.rng.choice(sorted(BAD))
        self._note(kind)
        self.sky.weather = BAD[kind]
        await clock.sleep(self.rng.choice([2.0, 30.0, 300.0, 1500.0]))
        self.sky.weather = {}
        self._note("fine")

    async def _spike(self) -> None:
        name, mood = self._somebody()
        mood.spike = self.rng.choice(SPIKES)
        self._note(f"{name} says once {mood.spike}")

    async def _dropout(self) -> None:
        name, mood = self._somebody()
        duration = self.rng.choice([6.0, 15.0, 25.0, 60.0, 1000.0])
        self._note(f"{name} is silent for {duration:.0f} s")
        mood.silent = True
        await clock.sleep(duration)
        mood.silent = False

    async def _lying_clock(self) -> None:
        name, mood = self._somebody()
        mood.clock_error = self.rng.choice([-1.0, 1.0]) * self.rng.choice([5.0, 17.0, 25.0, 3600.0])
        self._note(f"the clock of {name} is {mood.clock_error:.0f} s ahead")
        await clock.sleep(self.rng.choice([20.0, 400.0]))
        mood.clock_error = 0.0

    async def _frozen(self) -> None:
        name, mood = self._somebody()
        mood.frozen = clock.now()
        self._note(f"{name} stands still")
        await clock.sleep(self.rng.choice([10.0, 200.0]))
        mood.frozen = None

    async def _restart(self) -> None:
        name = self.rng.choice(["safety", "roof", *STATIONS, *STATIONS])
        duration = self.rng.choice([0.5, 5.0, 30.0, 300.0])
        self._note(f"{name} is killed for {duration:.0f} s")
        await self.runtimes[name].crash()
        await clock.sleep(duration)
        await self.start(name)


def run_weather_night(seed: int) -> Result:
    """Run the night of a seed; the same one every time."""
    start = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)

    async def main() -> Result:
        return await WeatherNight(seed, Path(directory)).run()

    with tempfile.TemporaryDirectory(prefix="pytel-weather-") as directory:
        return virtual.run(main(), start=start, seed=seed)
