"""Attacks on the roof: drivers that fail, hang and lie, monitors that speak nonsense, people in a hurry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from pytel.base import clock
from pytel.base.errors import Cancelled, PytelError, Unsafe
from pytel.bus.contract import Topic
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.interfaces.safety import SafetyMonitorState
from pytel.module.faults import Lines
from pytel.module.struct_check import parse_struct
from pytel.services.enclosure_drive import Goal
from pytel.services.enclosure_sensor import EnclosureReading
from pytel.services.safety import SafetyWatch
from roof_kit import START, Monitor, Night, Observatory, Roof, awaited

HOOKS = ["connect", "begin_open", "begin_close", "halt", "read_enclosure"]


async def never() -> Any:
    await asyncio.Event().wait()


async def fails() -> Any:
    raise ValueError("a fault of the driver")


async def cancels_itself() -> Any:
    raise asyncio.CancelledError


async def nonsense() -> Any:
    return None


async def is_closing(site: Observatory, within: float = 2.0) -> bool:
    await clock.sleep(within)
    return site.hardware.direction() == -1 or site.hardware.opening() == 0.0


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("fault", [never, fails, cancels_itself, nonsense])
def test_whatever_hook_fails_it_closes_or_somebody_is_called(
    night: Night, hook: str, fault: Callable[[], Awaitable[Any]]
) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        true_hook = getattr(site.roof, hook)
        setattr(site.roof, hook, fault)
        if hook == "connect":
            site.roof._drive._connected = False
        site.monitor.say(False)
        closing = await is_closing(site, 2.6)
        assert closing or site.calls
        if not closing:
            assert not site.roof_runtime.lifecycle.healthy
        setattr(site.roof, hook, true_hook)
        await clock.sleep(70)
        assert site.hardware.opening() == 0.0
        assert site.roof._drive.secured
        assert site.roof_runtime.lifecycle.healthy
        assert site.status() == "closed"

    night(scenario)


@pytest.mark.parametrize("hook", ["begin_open", "begin_close", "read_enclosure"])
def test_a_hook_that_cannot_be_cancelled_holds_nothing_up(night: Night, hook: str) -> None:
    released = False

    async def stubborn() -> Any:
        while not released:
            try:
                await clock.sleep(1000)
            except asyncio.CancelledError:
                continue

    async def scenario(site: Observatory) -> None:
        nonlocal released
        await site.opened()
        true_hook = getattr(site.roof, hook)
        setattr(site.roof, hook, stubborn)
        site.monitor.say(False)
        await clock.sleep(4)
        assert site.hardware.direction() == -1 or site.calls
        setattr(site.roof, hook, true_hook)
        await clock.sleep(60)
        assert site.hardware.opening() == 0.0
        assert site.roof._drive.secured
        released = True
        await clock.sleep(2000)

    night(scenario)


def test_an_opening_that_answers_late_is_closed_again(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        async def late() -> None:
            try:
                await never()
            except asyncio.CancelledError:
                await clock.sleep(20)
                site.hardware.drive(1)

        site.roof.begin_open = late
        site.monitor.say(True)
        opening = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(1)
        site.monitor.say(False)
        await asyncio.wait([opening])
        await clock.sleep(60)
        assert site.hardware.opening() == 0.0
        assert site.roof._drive.secured
        site.hardware.drive(1)
        assert await is_closing(site, 12.0)

    night(scenario)


@pytest.mark.parametrize("after", [0.0, 0.01, 0.5, 1.0, 15.0, 29.5, 29.99, 30.0, 30.01, 30.5, 31.0])
@pytest.mark.parametrize("by", ["close", "weather", "crash"])
def test_an_opening_is_interrupted_at_any_moment(night: Night, after: float, by: str) -> None:
    async def scenario(site: Observatory) -> None:
        keeper = asyncio.create_task(site.stay_safe())
        await clock.sleep(0.001)
        opening = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(after)
        if by == "close":
            await site.job().close()
            assert site.hardware.opening() == 0.0
            assert site.roof._drive.goal is Goal.REST
        else:
            keeper.cancel()
            if by == "crash":
                await site.roof_runtime.crash()
            site.monitor.say(False)
            if by == "crash":
                site.roof_runtime = await site.start(Roof, "roof")
            assert await is_closing(site)
            await clock.sleep(40)
            assert site.hardware.opening() == 0.0
        keeper.cancel()
        opening.cancel()
        await asyncio.wait([opening])

    night(scenario)


def test_a_closing_in_the_turn_of_the_last_reading_is_not_lost(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        keeper = asyncio.create_task(site.stay_safe())
        await clock.sleep(0.001)
        read = site.hardware.read
        closing: list[asyncio.Future[None]] = []

        async def read_and_be_told() -> EnclosureReading:
            reading = await read()
            if reading.status is EnclosureStatus.OPEN and not closing:
                closing.append(site.roof._drive.go(Goal.CLOSED, Cancelled("told to close")))
            return reading

        site.roof.read_enclosure = read_and_be_told
        with pytest.raises(PytelError):
            await site.job().open()
        assert not closing[0].done()
        await closing[0]
        assert site.hardware.opening() == 0.0
        keeper.cancel()

    night(scenario)


def test_stop_again_and_again_does_not_keep_it_open(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.monitor.say(False)
        for _ in range(120):
            await asyncio.wait([asyncio.ensure_future(awaited(site.job().stop()))])
            await clock.sleep(0.5)
        assert site.hardware.opening() == 0.0

    night(scenario)


def test_stop_in_bad_weather_stops_it_for_a_moment(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.monitor.say(False)
        await clock.sleep(5)
        await site.job().stop()
        assert site.hardware.direction() == 0
        assert await is_closing(site)

    night(scenario)


def test_a_stop_that_failed_is_no_alarm_for_ever(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        keeper = asyncio.create_task(site.stay_safe())
        await clock.sleep(1)
        site.roof.halt = fails
        await asyncio.wait([asyncio.ensure_future(awaited(site.job().stop()))])
        assert "stop" in site.roof_runtime.lifecycle.explanation
        await site.job().close()
        assert site.roof_runtime.lifecycle.healthy
        keeper.cancel()

    night(scenario)


@pytest.mark.parametrize(
    "garbage",
    [
        {"safe": True, "reasons": [], "expires": "2099-01-01T00:00:00", "since": "2026-01-01T00:00:00"},
        {"safe": "yes"},
        None,
    ],
)
def test_a_monitor_that_cannot_be_understood_is_unsafe(night: Night, garbage: Any) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        keeper = asyncio.create_task(site.stay_safe())
        other = await site.start(Monitor, "second")
        other.bus.publish(Topic.parse("urn:pytel:state:SafetyMonitor:1"), garbage, clock.time())
        assert await is_closing(site, 6.0)
        with pytest.raises((Unsafe, PytelError)):
            await site.job().open()
        await clock.sleep(60)
        await other.stop()
        await clock.sleep(10)
        await site.job().open()
        keeper.cancel()

    night(scenario)


@pytest.mark.parametrize("silent", [False, True])
def test_one_of_two_monitors_falls_silent(night: Night, silent: bool) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        other = await site.start(Monitor, "second")
        speaker: Any = other.module
        keeper = asyncio.create_task(site.stay_safe())
        speaker.say(True)
        if not silent:
            await other.stop()
        assert not await is_closing(site, 19.0)
        assert await is_closing(site, 3.0)
        with pytest.raises(PytelError):
            await site.job().open()
        keeper.cancel()

    night(scenario)


def test_a_monitor_that_restarts_and_says_nothing_does_not_prolong_its_word(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        await clock.sleep(10)
        await site.monitor_runtime.crash()
        await site.start(Monitor, "monitor")
        assert not await is_closing(site, 9.0)
        assert await is_closing(site, 3.0)

    night(scenario)


def test_without_any_monitor_it_neither_opens_nor_stays_open(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.roof_runtime.crash()
        await site.monitor_runtime.stop()
        site.hardware.drive(1)
        await clock.sleep(40)
        await site.start(Roof, "roof")
        with pytest.raises(Unsafe, match="no safety monitor"):
            await site.job().open()
        assert not await is_closing(site, 19.0)
        assert await is_closing(site, 3.0)

    night(scenario)


def test_the_module_that_stops_closes_even_if_a_command_was_just_given(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        keeper = asyncio.create_task(site.stay_safe())
        site.roof._drive.go(Goal.STOP, Cancelled("stopped"))
        stopping = asyncio.ensure_future(site.roof_runtime.stop())
        await clock.sleep(5)
        late = site.roof._drive.go(Goal.OPEN, Cancelled("opened"))
        assert isinstance(late.exception(), Cancelled)
        await stopping
        assert site.hardware.opening() == 0.0
        keeper.cancel()

    night(scenario)


def test_the_module_that_stops_and_cannot_close_says_so(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down("stuck")
        began = clock.time()
        await site.roof_runtime.stop()
        assert 100 < clock.time() - began < 130
        assert site.calls

    night(scenario)
    assert any("go there" in entry.message for entry in caplog.records if entry.levelno == logging.CRITICAL)


def test_a_roof_that_does_not_close_is_in_the_log_once(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down("stuck")
        site.monitor.say(False)
        await clock.sleep(800)
        assert len([what for _, what in site.hardware.log if what == "close"]) > 50

    night(scenario)
    told = [entry for entry in caplog.records if entry.name == "pytel.roof" and entry.levelno >= logging.WARNING]
    assert len(told) <= 5, [entry.message for entry in told]


@pytest.mark.parametrize("opening", [float("nan"), float("inf"), 1.5, -3.0])
def test_an_opening_that_cannot_be_is_an_alarm_and_does_not_last(night: Night, opening: float) -> None:
    async def scenario(site: Observatory) -> None:
        async def absurd() -> EnclosureReading:
            return EnclosureReading(EnclosureStatus.OPEN, opening)

        site.roof.read_enclosure = absurd
        await clock.sleep(25)
        assert site.status() in ("unknown", "error")
        assert not site.roof_runtime.lifecycle.healthy
        del site.roof.read_enclosure
        await clock.sleep(60)
        assert site.status() == "closed"
        assert site.roof_runtime.lifecycle.healthy

    night(scenario)


def test_an_opening_just_beyond_its_end_is_published_as_its_end(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        async def beyond() -> EnclosureReading:
            reading = await site.hardware.read()
            return reading._replace(opening=1.02 if reading.opening == 1.0 else reading.opening)

        site.roof.read_enclosure = beyond
        await site.opened()
        state = site.client.latest(EnclosureState)
        assert state is not None
        assert state.opening == 1.0

    night(scenario)


def test_a_dome_that_cannot_tell_its_azimuth_can_close(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        def broken() -> float:
            raise ValueError("no encoder")

        site.roof.azimuth = broken
        await site.opened()
        assert site.hardware.opening() == 1.0
        site.monitor.say(False)
        assert await is_closing(site)

    night(scenario)


def test_a_fault_in_the_guard_closes(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        keeper = asyncio.create_task(site.stay_safe())

        def broken(_: Any) -> Any:
            raise ValueError("a fault in the code")

        site.roof._safety.verdict = broken
        assert await is_closing(site, 6.0)
        await clock.sleep(60)
        assert site.hardware.opening() == 0.0
        keeper.cancel()

    night(scenario)
    assert len([entry for entry in caplog.records if "guard failed" in entry.message]) == 1


def test_a_drive_that_nobody_can_be_told_of_goes_on_closing(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()

        def broken(*_: Any) -> None:
            raise ValueError("the bus is gone")

        site.roof.drive_failed = broken
        site.hardware.break_down("gone")
        site.monitor.say(False)
        await clock.sleep(20)
        site.hardware.break_down(None)
        assert await is_closing(site, 12.0)

    night(scenario)


@pytest.mark.parametrize("back", [3600.0, 100.0])
def test_a_clock_that_is_set_back_makes_no_verdict_last(back: float) -> None:
    watch = SafetyWatch(20.0)
    watch.hear("m", SafetyMonitorState(safe=True, since=START, expires=START + timedelta(seconds=15)), START)
    assert watch.verdict(START) == (True, ())
    safe, reasons = watch.verdict(START - timedelta(seconds=back))
    assert not safe
    assert "set back" in reasons[0]


def test_a_monitor_with_its_clock_ahead_or_behind(night: Night) -> None:
    watch = SafetyWatch(20.0)
    ahead = SafetyMonitorState(safe=True, since=START, expires=START + timedelta(hours=1))
    watch.hear("m", ahead, START)
    assert watch.verdict(START + timedelta(seconds=21))[0] is False
    watch.hear("m", ahead, START + timedelta(seconds=21))
    assert watch.verdict(START + timedelta(seconds=21))[0] is False
    behind = SafetyMonitorState(safe=True, since=START, expires=START)
    watch.hear("m", behind, START + timedelta(seconds=30))
    assert watch.verdict(START + timedelta(seconds=30))[0] is False


@pytest.mark.parametrize("told", [{"safety_expiry": "1 d"}, {"startup_grace": "61 s"}, {"safety_expiry": 1e300}])
def test_no_site_file_has_it_trust_silence_for_long(told: dict[str, Any]) -> None:
    made, faults = parse_struct(told, Roof.Config, Lines("site.yaml"))
    assert made is None
    assert "must be between 0 and 60 s" in str(faults[0])
