"""The one bug that may never ship: a roof that stays open when it is not safe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytel.base import clock, virtual
from pytel.base.errors import Busy, Cancelled, DeviceError, Unsafe
from pytel.interfaces.safety import SafetyMonitorState
from roof_kit import START, TRAVEL, Monitor, Night, Observatory, Phone, Roof, Scenario, awaited, staged


def test_opens_when_safe_and_closes_when_asked(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        assert site.hardware.opening() == 1.0
        await site.job().close()
        assert site.hardware.opening() == 0.0
        assert site.told_reasons() == [["client told it to close"]]
        assert not site.times_of("ErrorRaised")

    night(scenario)


@pytest.mark.parametrize("word", ["never", "bad", "stale"])
def test_refuses_to_open_unless_it_is_known_to_be_safe(night: Night, word: str) -> None:
    async def scenario(site: Observatory) -> None:
        if word == "bad":
            site.monitor.say(False)
        if word == "stale":
            site.monitor.say(True)
            await clock.sleep(21)
        with pytest.raises(Unsafe) as refusal:
            await site.job().open()
        assert refusal.value.data["reasons"]
        assert not site.hardware.log or site.hardware.log[0][1] != "open"
        assert site.hardware.opening() == 0.0

    night(scenario)


def test_refuses_to_open_when_the_monitor_is_gone_though_its_word_still_holds(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        site.monitor.say(True)
        await site.monitor_runtime.crash()
        with pytest.raises(Unsafe):
            await site.job().open()

    night(scenario)


def test_closes_within_two_seconds_of_a_bad_word_also_while_opening(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        site.monitor.say(True)
        opening = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(10)
        site.monitor.say(False)
        said = clock.time()
        await clock.sleep(2)
        assert site.hardware.direction() == -1
        with pytest.raises(Unsafe):
            await opening
        await clock.sleep(30)
        assert site.hardware.opening() == 0.0
        assert said <= site.times_of("EnclosureClosing")[0] <= said + 2

    night(scenario)


@pytest.mark.parametrize("how", ["silent", "crashed", "promises too much"])
def test_silence_closes_it_at_the_expiry(night: Night, how: str) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        if how == "crashed":
            await site.monitor_runtime.crash()
        if how == "promises too much":
            site.monitor.say(True, lasting=3600)
        await clock.sleep(19)
        assert site.hardware.opening() == 1.0
        await clock.sleep(3)
        assert site.hardware.direction() == -1
        await clock.sleep(30)
        assert site.hardware.opening() == 0.0

    night(scenario)


def test_two_monitors_must_agree(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        other: Any = (await site.start(Monitor, "second")).module
        other.say(False)
        site.monitor.say(True)
        await clock.sleep(1)
        assert site.hardware.direction() == -1

    night(scenario)


def test_stuck_roof_is_reported_at_once_retried_and_a_person_called(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down("stuck")
        site.monitor.say(False)
        said = clock.time()
        await clock.sleep(2)
        assert said < site.times_of("ErrorRaised")[0] <= said + 2
        assert len(site.calls) == 1
        assert site.status() == "error"
        await clock.sleep(1000)
        assert len(site.calls) == 2
        assert len([what for _, what in site.hardware.log if what == "close"]) > 50
        site.hardware.break_down(None)
        await clock.sleep(50)
        assert site.hardware.opening() == 0.0
        assert site.status() == "closed"
        await clock.sleep(2000)
        assert len(site.calls) == 2

    night(scenario)


@pytest.mark.parametrize("fault", ["deaf", "gone"])
def test_roof_that_cannot_be_reached_closes_as_soon_as_it_can(night: Night, fault: str) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down(fault)
        said = clock.time()
        site.monitor.say(False)
        await clock.sleep(2)
        assert site.times_of("ErrorRaised")[0] <= said + 2
        assert len(site.calls) == 1
        await clock.sleep(100)
        site.hardware.break_down(None)
        await clock.sleep(15)
        assert site.hardware.direction() == -1

    night(scenario)


def test_opening_that_sticks_half_way_fails_with_the_device_named_and_is_closed(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        keeper = asyncio.create_task(site.stay_safe())
        await clock.sleep(1)
        job = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(12)
        site.hardware.break_down("stuck")
        await clock.sleep(5)
        with pytest.raises(DeviceError, match="roof") as failure:
            await job
        assert failure.value.data["device"] == "roof"
        assert len(site.calls) == 1
        site.hardware.break_down(None)
        await clock.sleep(60)
        assert site.hardware.opening() == 0.0
        await site.job().open()
        keeper.cancel()

    night(scenario)


def test_sensor_that_lies_is_reported_and_not_believed(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down("lies")
        site.monitor.say(False)
        await clock.sleep(2)
        assert site.hardware.direction() == -1
        assert any("sooner" in str(data) for _, topic, data in site.published if topic == "ErrorRaised")
        await clock.sleep(20)
        assert not site.roof._drive.secured
        await clock.sleep(20)
        assert site.roof._drive.secured
        assert site.hardware.opening() == 0.0

    night(scenario)


def test_sensor_that_lied_before_the_weather_turned_does_not_keep_it_open(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        keeper = asyncio.create_task(site.stay_safe())
        site.hardware.break_down("lies")
        await clock.sleep(300)
        keeper.cancel()
        assert site.hardware.opening() == 1.0
        site.monitor.say(False)
        await clock.sleep(2)
        assert site.hardware.direction() == -1

    night(scenario)


def test_a_crash_leaves_it_open_and_the_next_start_closes_it_unless_safe(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        await site.roof_runtime.crash()
        await site.monitor_runtime.crash()
        await site.start(Roof, "roof")
        await clock.sleep(18)
        assert site.hardware.opening() == 1.0
        await clock.sleep(4)
        assert site.hardware.direction() == -1

    night(scenario)


def test_a_restart_while_safe_keeps_it_open(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        await site.roof_runtime.crash()
        keeper = asyncio.create_task(site.stay_safe())
        roof = await site.start(Roof, "roof")
        await clock.sleep(60)
        assert site.hardware.opening() == 1.0
        await roof.stop()
        assert site.hardware.direction() == -1 or site.hardware.opening() == 0.0
        keeper.cancel()

    night(scenario)


def test_stop_halts_the_opening_and_the_job_is_cancelled(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        site.monitor.say(True)
        job = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(10)
        await site.job().stop()
        with pytest.raises(Cancelled):
            await job
        assert site.hardware.direction() == 0
        assert 0.3 < site.hardware.opening() < 0.4
        site.monitor.say(False)
        await clock.sleep(1)
        assert site.hardware.direction() == -1
        await site.job().stop()
        await clock.sleep(1)
        assert site.hardware.direction() == -1

    night(scenario)


def test_opening_whose_caller_goes_away_stops(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        site.monitor.say(True)
        job = asyncio.ensure_future(awaited(site.job().open()))
        await clock.sleep(10)
        job.cancel()
        await asyncio.wait([job])
        await clock.sleep(1)
        assert site.hardware.direction() == 0
        closing = asyncio.ensure_future(awaited(site.job().close()))
        await clock.sleep(1)
        with pytest.raises(Busy):
            await site.job().open()
        await closing

    night(scenario)


def test_closing_goes_on_when_its_caller_goes_away(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        job = asyncio.ensure_future(awaited(site.job().close()))
        await clock.sleep(3)
        job.cancel()
        await asyncio.wait([job])
        await clock.sleep(35)
        assert site.hardware.opening() == 0.0

    night(scenario)


@pytest.mark.parametrize("standstill", [0.0, 0.6])
async def test_on_a_fast_clock_it_opens_and_closes_without_false_alarms(tmp_path: Path, standstill: float) -> None:
    """Also when the computer stands still, in real seconds, until long after the closing should have been seen."""
    with clock.using(clock.ScaledClock(START.timestamp(), clock.real_time(), 60.0)):
        site = Observatory(tmp_path)
        await site.open_up()
        try:
            await site.opened()
            closing = asyncio.ensure_future(awaited(site.job().close()))
            while site.hardware.direction() >= 0:  # noqa: ASYNC110 - at the very moment it begins
                await asyncio.sleep(0)
            time.sleep(standstill)  # noqa: ASYNC251 - the loop shall stand still
            await closing
            assert site.hardware.opening() == 0.0
            assert not site.times_of("ErrorRaised")
        finally:
            await site.close_down()


def test_every_notifier_is_tried(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.start(Phone, "second-phone")
        await site.opened()
        site.hardware.break_down("stuck")
        site.monitor.say(False)
        await clock.sleep(3)
        assert len(site.calls) == 2

    night(scenario)


def test_a_person_is_called_when_the_telephone_works_again(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        await site.phone.crash()
        site.hardware.break_down("stuck")
        site.monitor.say(False)
        await clock.sleep(10)
        await site.start(Phone, "phone")
        await clock.sleep(90)
        assert len(site.calls) == 1

    night(scenario)


def test_opened_by_hand_while_unsafe_it_closes_again(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        site.monitor.say(False)
        await clock.sleep(5)
        site.hardware.drive(1)
        await clock.sleep(12)
        assert site.hardware.direction() == -1 or site.hardware.opening() == 0.0
        assert site.times_of("EnclosureClosing")

    night(scenario)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("rain", "rain"),
        ("silence", "monitor is silent"),
        ("person", "client told it to close"),
        ("stopped", "roof is stopped"),
        ("stuck opening", "it did not open"),
    ],
)
def test_every_closing_has_its_reason_in_words(
    night: Night, caplog: pytest.LogCaptureFixture, how: str, words: str
) -> None:
    caplog.set_level("INFO", "pytel.roof")

    async def scenario(site: Observatory) -> None:
        if how == "stuck opening":
            site.monitor.say(True)
            opening = asyncio.ensure_future(quiet(site.job().open()))
            await clock.sleep(5)
            site.hardware.break_down("stuck")
            await opening
            assert words in site.told_reasons()[-1][0]
            return
        await site.opened()
        assert site.closed_because() == ()
        match how:
            case "rain":
                site.monitor.say(False)
            case "person":
                await site.job().close()
            case "stopped":
                await site.roof_runtime.stop()
        await clock.sleep(22)
        (reasons,) = site.told_reasons()
        assert words in reasons[0]
        if how != "stopped":
            assert site.closed_because() == tuple(reasons)

    night(scenario)
    assert any("closing: " in entry.message and words in entry.message for entry in caplog.records)


def test_what_does_not_close_one_way_is_closed_another(night: Night) -> None:
    async def scenario(site: Observatory) -> None:
        await site.opened()
        site.hardware.break_down("relay")
        site.monitor.say(False)
        await clock.sleep(10 + TRAVEL)
        assert site.hardware.opening() == 0.0
        assert [what for _, what in site.hardware.log if what != "open"][:3] == ["close", "stop", "close"]
        assert site.calls  # it closed, and somebody has to look at it

    night(scenario)


# Any course of events

FAULTS = ["stuck", "deaf", "gone", "lies"]
EVENTS = ["safe", "unsafe", "short word", "monitor crashes", "monitor starts", "roof crashes", "open", "close", "stop"]
STEPS = st.lists(
    st.tuples(st.sampled_from(EVENTS + FAULTS + ["mended"] * 3), st.floats(0.0, 45.0)), min_size=3, max_size=25
)


class Course:
    """Plays events, and checks what must hold at each quarter of a second."""

    def __init__(self, site: Observatory) -> None:
        self.site = site
        self.heartbeat = False
        self.expires = clock.time() + 20.0
        """When the last good word expires; the grace after a start counts as one."""
        self.excused_until = 0.0
        """Faults of the roof itself excuse it until a while after they are mended."""
        self.idle_since: float | None = None
        """Since when it is open, unsafe and not closing."""
        self.jobs: list[asyncio.Future[Any]] = []

    def word(self, safe: bool, lasting: float = 20.0) -> None:
        if self.site.monitor_runtime.lifecycle.status != "closing" and self.alive:
            self.site.monitor.say(safe, lasting)
            self.expires = clock.time() + lasting if safe else 0.0

    alive = True

    async def play(self, steps: list[tuple[str, float]]) -> None:
        for event, pause in steps:
            await self.happen(event)
            await self.watch(pause)
        self.site.hardware.break_down(None)
        await self.happen("mended")
        self.heartbeat = False
        await self.watch(20.0 + 2.0 + 60.0 + 20.0)
        assert self.site.hardware.opening() == 0.0

    async def happen(self, event: str) -> None:
        site = self.site
        match event:
            case "safe":
                self.heartbeat = True
                self.word(True)
            case "unsafe":
                self.heartbeat = False
                self.word(False)
            case "short word":
                self.heartbeat = False
                self.word(True, 3.0)
            case "monitor crashes" if self.alive:
                self.alive = False
                await site.monitor_runtime.crash()
            case "monitor starts" if not self.alive:
                self.alive, self.heartbeat = True, False
                site.monitor_runtime = await site.start(Monitor, "monitor")
                site.monitor = site.monitor_runtime.module
            case "roof crashes":
                self.idle_since = None
                await site.roof_runtime.crash()
                site.roof_runtime = await site.start(Roof, "roof")
                site.roof = site.roof_runtime.module
                heard = site.client.latest(SafetyMonitorState)
                good = heard.expires.timestamp() if heard is not None and heard.safe else None
                self.expires = clock.time() + 20.0 if heard is None else (good or 0.0)
            case "open" | "close":
                job = site.job()
                self.jobs.append(asyncio.ensure_future(quiet(job.open() if event == "open" else job.close())))
            case "stop":
                self.jobs.append(asyncio.ensure_future(quiet(site.job().stop())))
                self.excused_until = max(self.excused_until, clock.time() + 2.0)
            case _ if event in [*FAULTS, "mended"]:
                if event in FAULTS and event != "lies":
                    self.excused_until = float("inf")
                elif site.hardware.fault in FAULTS and site.hardware.fault != "lies":
                    # backoff of up to 10 s, and a connection that times out
                    self.excused_until = clock.time() + 15.0
                site.hardware.break_down(
                    None if event == "mended" else event if event in FAULTS else site.hardware.fault
                )

    async def watch(self, seconds: float) -> None:
        ends = clock.time() + seconds
        beat = clock.time() + 5.0
        while clock.time() < ends:
            await clock.sleep(0.25)
            if self.heartbeat and clock.time() >= beat:
                self.word(True)
                beat = clock.time() + 5.0
            self.check()

    def check(self) -> None:
        now, hardware = clock.time(), self.site.hardware
        idle = hardware.opening() > 0.0 and hardware.direction() != -1
        self.idle_since = None if not idle or now <= self.expires else self.idle_since or now
        if self.idle_since is not None and now > self.idle_since + 2.0:
            assert not self.site.roof_runtime.lifecycle.healthy, "it does not close and nobody is told"
            assert self.site.calls, "it does not close and nobody is called"
        if now > self.expires + 2.0 and now > self.excused_until:
            assert hardware.opening() == 0.0 or hardware.direction() == -1, "it is unsafe and the roof does not close"

    async def end(self) -> None:
        for job in self.jobs:
            job.cancel()
        if self.jobs:
            await asyncio.wait(self.jobs)


async def quiet(work: Awaitable[Any]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - refusals and faults are part of the course
        return


def course(steps: list[tuple[str, float]]) -> Scenario:
    async def scenario(site: Observatory) -> None:
        played = Course(site)
        try:
            await played.play(steps)
        finally:
            await played.end()

    return scenario


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_it_closes_when_it_is_not_safe(tmp_path: Path, steps: list[tuple[str, float]]) -> None:
    virtual.run(staged(tmp_path, course(steps)), start=START, seed=1)
