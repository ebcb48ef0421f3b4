"""The motion of a roof or dome shutter: one goal at a time, closing without end until it is shut, no blind trust.

Only this file moves the enclosure. `go()` sets a goal and interrupts whatever is under way, also a command that the
hardware does not answer. A closing that fails is tried again for ever. What the sensor says is believed only as far as
the motor can have moved since: a roof that says it is shut sooner than it can be is reported, and waited for.
"""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import NamedTuple, Protocol

from pytel.base import clock
from pytel.base.errors import Cancelled, ConnectionLost, DeviceError, DeviceTimeout, PytelError, wrap
from pytel.base.units import Seconds
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.enclosure_link import LETTING_GO, EnclosureHardware, EnclosureLink, retrieve
from pytel.services.enclosure_sensor import Belief, EnclosureReading, Progress
from pytel.services.timing import MARGIN, patient

_POLL = 0.5
_LONGEST_PAUSE = 10.0
"""Between attempts to close what was told to and does not move."""
_LINK_PAUSE = 0.25
"""Between attempts to reach hardware that cannot be: with an answer's time, close goes out within 2 s of its return."""


class Goal(StrEnum):
    """What the enclosure is meant to do now."""

    REST = "rest"
    OPEN = "open"
    CLOSED = "closed"
    STOP = "stop"


class DriveTimes(NamedTuple):
    """How fast the enclosure is, and how patient one is with it."""

    opening: Seconds
    closing: Seconds
    answer: Seconds
    """For the hardware to answer one command."""
    stall: Seconds
    """Without any sign of motion."""
    idle_poll: Seconds


class DriveWatcher(Protocol):
    """Who is told what happens; the methods return at once."""

    def drive_changed(self) -> None:
        """The reading or the goal is another one."""

    def drive_failed(self, goal: Goal, error: PytelError) -> None:
        """An attempt failed; closing goes on."""

    def drive_closed(self) -> None:
        """It is shut, after a closing that was commanded."""

    def sensor_lies(self, error: PytelError) -> None:
        """The sensor says what cannot be."""

    def sensor_answers(self, error: PytelError | None) -> None:
        """The sensor answered (None), or failed to."""


class EnclosureDrive:
    """Pursues one goal after the other."""

    def __init__(self, name: str, hardware: EnclosureHardware, times: DriveTimes, watcher: DriveWatcher) -> None:
        self.goal = Goal.REST
        self.goal_since = clock.elapsed()
        self.reading = EnclosureReading(EnclosureStatus.UNKNOWN)
        self.secured = False
        """It was commanded to close, was seen to arrive, and nothing has spoken against it since."""
        self.closing_seen = False
        """Since the goal was set it was seen to close."""
        self._name, self._hardware, self._times, self._watcher = name, hardware, times, watcher
        self._result: asyncio.Future[None] | None = None
        self._belief = Belief(name, times.opening, times.closing)
        self._distrusted = False
        self._turned = asyncio.Event()  # there is another goal than the one under way
        self._link = EnclosureLink(name, hardware, times.answer, self._turned.is_set)
        self._for_good = False

    # goals

    def go(self, goal: Goal, because: PytelError) -> asyncio.Future[None]:
        """Pursue a goal from now on; whoever waits for the former one gets the error `because`.

        The future is done when the goal is reached, and fails with the first attempt that does.
        """
        if goal is self.goal and self._result is not None and not self._result.done():
            return self._result
        if self._for_good and goal is not Goal.CLOSED:
            return _failed_future(Cancelled(f"{self._name} is shut down and closes"))
        self._finish(because)
        if self._for_good:
            result = self._expect()
            if self.secured:
                self._finish()
            return result
        self._set_goal(goal)
        result = self._expect()
        self._turned.set()
        self._watcher.drive_changed()
        return result

    def _expect(self) -> asyncio.Future[None]:
        self._result = asyncio.get_running_loop().create_future()
        self._result.add_done_callback(retrieve)
        return self._result

    def _set_goal(self, goal: Goal) -> None:
        self.goal, self.goal_since, self.closing_seen = goal, clock.elapsed(), False

    def _finish(self, error: PytelError | None = None) -> None:
        if self._result is None or self._result.done():
            return
        if error is None:
            self._result.set_result(None)
        else:
            self._result.set_exception(error)

    async def run(self) -> None:
        """Pursue goals for ever; cancel to end."""
        while True:
            self._turned.clear()
            stroke = asyncio.create_task(self._pursue(self.goal), name=f"{self._name} {self.goal}")
            turned = asyncio.create_task(self._turned.wait(), name=f"{self._name} turned")
            try:
                await asyncio.wait({stroke, turned}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                turned.cancel()
                stroke.cancel()
                # A stroke that does not let go in time is left behind: the next goal does not wait for it.
                await asyncio.wait({stroke, turned}, timeout=LETTING_GO / clock.current().rate)
            await self._survive(stroke)

    async def _survive(self, stroke: asyncio.Task[None]) -> None:
        """Tell of a fault in this code or the watcher's, and go on."""
        if stroke.done() and not stroke.cancelled() and (error := stroke.exception()) is not None:
            await clock.sleep(_POLL)
            try:
                self._watcher.drive_failed(self.goal, wrap(error))
            except Exception:
                logging.getLogger(f"pytel.{self._name}").exception("nobody can be told that the drive failed")

    async def close_for_good(self) -> None:
        """Close before the module ends, outside `run()`; tries until it is shut or cancelled."""
        self._finish(Cancelled(f"{self._name} is shut down"))
        self._for_good = True
        self._turned.clear()
        self._set_goal(Goal.CLOSED)
        await self._close()

    async def _pursue(self, goal: Goal) -> None:
        match goal:
            case Goal.OPEN:
                await self._open()
            case Goal.CLOSED:
                await self._close()
            case Goal.STOP:
                await self._stop()
            case Goal.REST:
                await self._rest()

    async def _rest(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - told by _look; watching must never end
                self._link.failed(error)
            await clock.sleep(self._times.idle_poll)

    async def _stop(self) -> None:
        try:
            await self._link.command(self._hardware.halt, "stop")
            await self._look()
        except Exception as error:  # noqa: BLE001 - a fault of the driver must not end the drive
            self._failed(Goal.STOP, error)
        self._finish()
        self._set_goal(Goal.REST)
        self._watcher.drive_changed()

    async def _open(self) -> None:
        """Open once. What does not open as it should is closed again."""
        self.secured = False
        try:
            await self._link.command(self._hardware.begin_open, "begin to open")
            await self._arrive(EnclosureStatus.OPEN, self._times.opening)
        except Exception as error:  # noqa: BLE001 - a fault of the driver must not end the drive
            self._distrusted = True
            self._failed(Goal.OPEN, error)
            self._set_goal(Goal.CLOSED)
            return
        self._finish()
        self._set_goal(Goal.REST)
        self._watcher.drive_changed()

    async def _close(self) -> None:
        pause, otherwise = 1.0, False
        while True:
            begun = False
            try:
                await self._begin_close(otherwise)
                begun = True
                await self._arrive(EnclosureStatus.CLOSED, self._times.closing)
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, closing is tried again
                self._failed(Goal.CLOSED, error)
                unreachable = not begun and isinstance(error, ConnectionLost | DeviceTimeout | OSError)
            otherwise = not otherwise
            if unreachable:
                pause = 1.0
                await clock.sleep(patient(_LINK_PAUSE, real=0.1))
            else:
                await clock.sleep(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
        self.secured, self._distrusted = True, False
        self._finish()
        self._set_goal(Goal.REST)
        self._watcher.drive_closed()

    async def _begin_close(self, otherwise: bool) -> None:
        """Every second attempt goes another way: a new connection, and what else the driver knows."""
        if otherwise:
            self._link.drop()
            await self._link.command(self._hardware.begin_close_otherwise, "begin to close by other means")
        else:
            await self._link.command(self._hardware.begin_close, "begin to close")

    def _failed(self, goal: Goal, error: Exception) -> None:
        self._link.failed(error)
        self.closing_seen = False
        told = wrap(error)
        self._finish(told)
        if goal is Goal.CLOSED:
            self._result = None
        self._watcher.drive_failed(goal, told)

    # motion

    async def _arrive(self, status: EnclosureStatus, duration: Seconds) -> None:
        """Watch the motion to its end. Raises `DeviceError` when it stands still, `DeviceTimeout` when it is late."""
        begun = clock.elapsed()
        progress = Progress(status, self._times.stall)
        while True:
            reading = await self._look()
            too_soon = self._distrusted and clock.elapsed() - begun < duration
            if reading.status is status and not too_soon:
                return
            if reading.status is status or (too_soon and reading.opening is None):
                progress.renew(clock.elapsed())
            moving = progress.seen(reading, clock.elapsed())
            self.closing_seen = moving and status is EnclosureStatus.CLOSED
            if progress.is_over(clock.elapsed()):
                raise DeviceError(self._stands_still(reading, status), device=self._name)
            if clock.elapsed() - begun > duration * MARGIN + self._times.answer:
                raise DeviceTimeout(
                    f"{self._name} is not {status.value} after {duration * MARGIN:.0f} s; look at it and its motor",
                    device=self._name,
                )
            await clock.sleep(min(_POLL, duration / 10))

    def _stands_still(self, reading: EnclosureReading, wanted: EnclosureStatus) -> str:
        where = "" if reading.opening is None else f" ({round(reading.opening, 1):.0%} open)"
        return f"{self._name} does not move to {wanted.value}: it says {reading.status.value}{where}; look at its motor"

    async def _look(self) -> EnclosureReading:
        """Read the sensor and weigh what it says."""
        try:
            said = await self._link.command(self._hardware.read_enclosure, "tell its position")
            reading, lie = self._belief.weigh(said, self.goal in (Goal.OPEN, Goal.CLOSED))
        except Exception as error:
            self._note(EnclosureReading(EnclosureStatus.UNKNOWN))
            self._watcher.sensor_answers(wrap(error))
            raise
        if lie is not None:
            self._distrusted = True
            self._watcher.sensor_lies(lie)
        self._watcher.sensor_answers(None)
        if lie is not None or reading.status is not EnclosureStatus.CLOSED:
            self.secured = False
        self._note(reading)
        return reading

    def _note(self, reading: EnclosureReading) -> None:
        if reading != self.reading:
            self.reading = reading
            self._watcher.drive_changed()


def _failed_future(error: PytelError) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(retrieve)
    future.set_exception(error)
    return future
