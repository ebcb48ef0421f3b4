"""The eye on the roof sees what it is for: each scene is a roof that misbehaves in one way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from pytel.base import clock
from pytel.bus.address import Address
from pytel.interfaces import Notified, SafetyMonitorState, Urgency, WeatherState
from pytel.module import Event, ModuleState, State
from pytel.testing import on_virtual_clock
from pytel.testing.seat import Heard
from pytel.testing.watcher import RoofWatcher, danger_in


class Scene:
    """An open roof, a weather station and a safety monitor that speak every five seconds."""

    def __init__(self) -> None:
        self.opening = 1.0
        self.closing_since: float | None = None
        self.stuck_at: float | None = None
        self.broken = False
        self.rain: float | None = 0.0
        self.monitor = True
        self.watcher = RoofWatcher(self.truth, lambda: self.broken, 30.0)

    def truth(self) -> tuple[str, float]:
        if self.closing_since is None:
            return "open", self.opening
        there = max(0.0, self.opening - (clock.time() - self.closing_since) / 30.0)
        if self.stuck_at is not None and there <= self.stuck_at:
            return "stopped", self.stuck_at
        return ("closing" if there > 0 else "closed"), there

    def close(self) -> None:
        self.closing_since = clock.time()

    def say(self, who: str, message: State | Event) -> None:
        heard = Heard(time=clock.time(), publisher=Address(who), name="", kind="", data=None, message=message)
        self.watcher.hear(heard)

    def report(self, *, call: bool = True) -> None:
        state = ModuleState(status="error", since=clock.now(), module_type="", boot="")
        self.say("roof", state)
        if call:
            self.say("notifier", Notified(urgency=Urgency.CALL, subject="roof", message="stuck"))

    async def speak(self) -> None:
        while True:
            if self.rain is not None:
                self.say("weather", WeatherState(measured=clock.now(), rain_rate=self.rain))
            if self.monitor:
                self.say("safety", SafetyMonitorState(safe=True, expires=clock.now(), since=clock.now()))
            await clock.sleep(5)


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    played = Scene()
    for module in ("roof", "safety", "weather", "notifier"):
        played.watcher.presence(module, True)
    tasks = [asyncio.create_task(work) for work in (played.speak(), played.watcher.run())]
    await clock.sleep(102)
    yield played
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def violations(told: Scene) -> list[str]:
    return [sentence.split("] ")[-1][20:] for sentence in told.watcher.violations]


@on_virtual_clock()
async def test_an_open_roof_in_good_weather_is_fine() -> None:
    async with scene() as played:
        await clock.sleep(1000)
        assert played.watcher.violations == []


@on_virtual_clock()
async def test_a_roof_that_closes_in_time_is_fine() -> None:
    async with scene() as played:
        played.rain = 3.0
        await clock.sleep(4.5)  # the next reading comes after 3 s
        played.close()
        await clock.sleep(600)
        assert played.watcher.violations == []


@on_virtual_clock()
async def test_a_roof_that_closes_too_late_is_seen() -> None:
    async with scene() as played:
        played.rain = 3.0
        await clock.sleep(6)
        played.close()
        await clock.sleep(600)
        assert violations(played)[0].startswith("the roof is not closing")


@on_virtual_clock()
async def test_a_roof_that_stays_open_in_silence_is_seen() -> None:
    async with scene() as played:
        played.rain = None
        await clock.sleep(17)
        assert played.watcher.violations == []
        await clock.sleep(10)
        assert violations(played)[0].startswith("the roof is not closing")
        assert "weather station weather is silent" in played.watcher.violations[0]


@on_virtual_clock()
async def test_silence_of_the_safety_monitor_counts_too() -> None:
    async with scene() as played:
        played.monitor = False
        await clock.sleep(30)
        assert "safety monitor is silent" in played.watcher.violations[0]


@on_virtual_clock()
async def test_a_roof_that_stops_half_way_without_a_reason_is_seen() -> None:
    async with scene() as played:
        played.rain, played.stuck_at = 3.0, 0.5
        await clock.sleep(4)
        played.close()
        await clock.sleep(60)
        assert violations(played)[0].startswith("the roof is not closing")


@on_virtual_clock()
async def test_a_roof_that_is_too_slow_is_seen() -> None:
    async with scene() as played:
        played.rain, played.opening = 3.0, 1.5  # as if it had further to go
        await clock.sleep(4)
        played.close()
        await clock.sleep(60)
        assert violations(played)[0].startswith("the roof is not shut one closing time later")


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (lambda played: played.report(), None),
        (lambda played: played.report(call=False), "the roof fails and nobody is called"),
        (lambda played: None, "the roof fails and does not report it"),
    ],
)
def test_a_broken_roof_is_reported_and_a_person_called(report: Callable[[Scene], None], expected: str | None) -> None:
    @on_virtual_clock()
    async def play() -> None:
        async with scene() as played:
            played.rain, played.stuck_at, played.broken = 3.0, 0.5, True
            await clock.sleep(4)
            played.close()
            await clock.sleep(16)
            report(played)
            await clock.sleep(300)
            found = violations(played)
            assert found == [] if expected is None else found[0].startswith(expected)

    play()


@on_virtual_clock()
async def test_a_roof_that_is_mended_has_to_close() -> None:
    async with scene() as played:
        played.rain, played.stuck_at, played.broken = 3.0, 0.5, True
        await clock.sleep(4)
        played.close()
        await clock.sleep(16)
        played.report()
        await clock.sleep(100)
        played.broken = False
        await clock.sleep(50)
        assert played.watcher.violations == []
        await clock.sleep(20)
        assert violations(played)[0].startswith("the roof works again and was not closed")


def test_dangers_are_named() -> None:
    def reading(**values: float) -> WeatherState:
        return WeatherState(measured=datetime(2026, 1, 1, tzinfo=UTC), **cast("Any", values))

    assert danger_in(reading(rain_rate=0.0, wind_speed=3.0, humidity=50.0, temperature=10.0, dew_point=2.0)) is None
    assert danger_in(reading(rain_rate=0.1)) == "rain of 0.1"
    assert danger_in(reading(temperature=10.0, dew_point=9.0)) == "dew point only 1.0 °C away"
