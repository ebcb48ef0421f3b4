"""The motion of a roof or dome shutter: one goal at a time, closing without end until it is shut, no blind trust.

Only this file moves the enclosure. `go()` sets a goal and interrupts whatever is under way, also a command that the
hardware does not answer. A closing that fails is tried again for ever. What the sensor says is believed only as far as
the motor can have moved since: a roof that says it is shut sooner than it can be is reported, and waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from pytel.base import clock
from pytel.base.errors import Cancelled, ConnectionLost, DeviceError, DeviceTimeout, PytelError, wrap
from pytel.base.units import Fraction, Seconds
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.timing import MARGIN, patient

T = TypeVar("T")
FASTEST = 2.0
"""No enclosure moves this many times faster than configured; a sensor that says so lies."""
_SLACK = 0.1
_POLL = 0.5
_LONGEST_PAUSE = 10.0
_LETTING_GO = 0.5
_OPENINGS = {EnclosureStatus.CLOSED: 0.0, EnclosureStatus.OPEN: 1.0}


class Goal(StrEnum):
    """What the enclosure is meant to do now."""

    REST = "rest"
    OPEN = "open"
    CLOSED = "closed"
    STOP = "stop"


class EnclosureReading(NamedTuple):
    """What the hardware says. `opening` is 0 (shut) to 1, None where it cannot tell."""

    status: EnclosureStatus
    opening: Fraction | None = None


class EnclosureHardware(Protocol):
    """What a driver does for its enclosure; each method begins something and returns at once. All may be cancelled."""

    async def connect(self) -> None:
        """Connect, or connect anew after a failure."""

    async def begin_open(self) -> None:
        """Start to open."""

    async def begin_close(self) -> None:
        """Start to close, also from an opening under way."""

    async def halt(self) -> None:
        """Stand still."""

    async def read_enclosure(self) -> EnclosureReading:
        """Ask the sensors."""


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
        self.goal_since = clock.time()
        self.reading = EnclosureReading(EnclosureStatus.UNKNOWN)
        self.secured = False
        """It was commanded to close, was seen to arrive, and nothing has spoken against it since."""
        self.closing_seen = False
        """Since the goal was set it was seen to close."""
        self._name, self._hardware, self._times, self._watcher = name, hardware, times, watcher
        self._connected = False
        self._result: asyncio.Future[None] | None = None
        self._believed: tuple[float, float] | None = None  # opening, when
        self._distrusted = False
        self._turned = asyncio.Event()  # there is another goal than the one under way
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
        self._result.add_done_callback(_retrieve)
        return self._result

    def _set_goal(self, goal: Goal) -> None:
        self.goal, self.goal_since, self.closing_seen = goal, clock.time(), False

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
                await asyncio.wait({stroke, turned}, timeout=_LETTING_GO / clock.current().rate)
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
                self._lost(error)
            await clock.sleep(self._times.idle_poll)

    async def _stop(self) -> None:
        try:
            await self._command(self._hardware.halt, "stop")
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
            await self._command(self._hardware.begin_open, "begin to open")
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
        pause = 1.0
        while True:
            try:
                await self._command(self._hardware.begin_close, "begin to close")
                await self._arrive(EnclosureStatus.CLOSED, self._times.closing)
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, closing is tried again
                self._failed(Goal.CLOSED, error)
            await clock.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)
        self.secured, self._distrusted = True, False
        self._finish()
        self._set_goal(Goal.REST)
        self._watcher.drive_closed()

    def _failed(self, goal: Goal, error: Exception) -> None:
        self._lost(error)
        self.closing_seen = False
        told = wrap(error)
        self._finish(told)
        if goal is Goal.CLOSED:
            self._result = None
        self._watcher.drive_failed(goal, told)

    def _lost(self, error: Exception) -> None:
        if isinstance(error, ConnectionLost | DeviceTimeout | OSError):
            self._connected = False

    # motion

    async def _arrive(self, status: EnclosureStatus, duration: Seconds) -> None:
        """Watch the motion to its end. Raises `DeviceError` when it stands still, `DeviceTimeout` when it is late."""
        begun = clock.time()
        progress = _Progress(status, self._times.stall)
        while True:
            reading = await self._look()
            too_soon = self._distrusted and clock.time() - begun < duration
            if reading.status is status and not too_soon:
                return
            if reading.status is status or (too_soon and reading.opening is None):
                progress.renew(clock.time())
            moving = progress.seen(reading, clock.time())
            self.closing_seen = moving and status is EnclosureStatus.CLOSED
            if progress.is_over(clock.time()):
                raise DeviceError(self._stands_still(reading, status), device=self._name)
            if clock.time() - begun > duration * MARGIN + self._times.answer:
                raise DeviceTimeout(
                    f"{self._name} is not {status.value} after {duration * MARGIN:.0f} s; look at it and its motor",
                    device=self._name,
                )
            await clock.sleep(min(_POLL, duration / 10))

    def _stands_still(self, reading: EnclosureReading, wanted: EnclosureStatus) -> str:
        where = "" if reading.opening is None else f" ({round(reading.opening, 1):.0%} open)"
        return f"{self._name} does not move to {wanted.value}: it says {reading.status.value}{where}; look at its motor"

    async def _command(self, command: Callable[[], Awaitable[None]], what: str) -> None:
        await self._connect()
        await self._ask(command, what)

    async def _connect(self) -> None:
        if not self._connected:
            await self._ask(self._hardware.connect, "connect")
            self._connected = True

    async def _ask(self, hook: Callable[[], Awaitable[T]], what: str) -> T:
        """Call a hook of the driver. One that neither answers nor lets itself be cancelled is left behind.

        What comes when there is another goal already does not count: it ends the stroke as a cancellation does.
        """
        task = asyncio.create_task(_awaited(hook), name=f"{self._name} {what}")
        task.add_done_callback(_retrieve)
        rate = clock.current().rate
        try:
            await asyncio.wait({task}, timeout=patient(self._times.answer, real=1.0) / rate)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_LETTING_GO / rate)
        if self._turned.is_set():
            raise asyncio.CancelledError
        if task.done() and not task.cancelled():
            return self._outcome(task, what)
        raise DeviceTimeout(
            f"{self._name} did not {what} within {self._times.answer:.1f} s; check its power and connection",
            device=self._name,
        )

    def _outcome(self, task: asyncio.Task[T], what: str) -> T:
        try:
            return task.result()
        except TimeoutError as error:
            text = f"{self._name} timed out on {what}; check its connection"
            raise DeviceTimeout(text, device=self._name) from error

    async def _look(self) -> EnclosureReading:
        """Read the sensor and weigh what it says."""
        try:
            await self._connect()
            said = await self._ask(self._hardware.read_enclosure, "tell its position")
            reading = self._weighed(_sane(said, self._name))
        except Exception as error:
            self._note(EnclosureReading(EnclosureStatus.UNKNOWN))
            self._watcher.sensor_answers(wrap(error))
            raise
        self._watcher.sensor_answers(None)
        if reading.status is not EnclosureStatus.CLOSED:
            self.secured = False
        self._note(reading)
        return reading

    def _note(self, reading: EnclosureReading) -> None:
        if reading != self.reading:
            self.reading = reading
            self._watcher.drive_changed()

    def _weighed(self, said: EnclosureReading) -> EnclosureReading:
        """Believe a reading if the motor can have got there since the last one that was believed."""
        opening = said.opening if said.opening is not None else _OPENINGS.get(said.status)
        now = clock.time()
        if opening is None:
            return said
        if self._believed is not None:
            before, when = self._believed
            lowest = before - _SLACK - FASTEST * (now - when) / self._times.closing
            highest = before + _SLACK + FASTEST * (now - when) / self._times.opening
            if not lowest <= opening <= highest:
                self.secured, self._distrusted = False, True
                self._watcher.sensor_lies(
                    DeviceError(
                        f"{self._name} says {said.status.value} sooner than it can be; look at its limit switches",
                        device=self._name,
                    )
                )
                moving = EnclosureStatus.CLOSING if opening < before else EnclosureStatus.OPENING
                return EnclosureReading(moving if self.goal in (Goal.OPEN, Goal.CLOSED) else EnclosureStatus.UNKNOWN)
        self._believed = (opening, now)
        return said


class _Progress:
    """Signs of motion: the opening changes, or (where it is not measured) the hardware says that it moves."""

    def __init__(self, wanted: EnclosureStatus, stall: Seconds) -> None:
        closing = wanted is EnclosureStatus.CLOSED
        self._status = EnclosureStatus.CLOSING if closing else EnclosureStatus.OPENING
        self._sign = -1.0 if closing else 1.0
        self._furthest: float | None = None
        self._stall = patient(stall)
        self._last = clock.time()

    def seen(self, reading: EnclosureReading, now: float) -> bool:
        """Note a reading; tells whether it moves the right way, as far as one can tell."""
        opening = reading.opening
        if opening is None:
            moved = reading.status is self._status
        else:
            moved = self._furthest is not None and self._sign * (opening - self._furthest) > 1e-9
            self._furthest = opening if moved or self._furthest is None else self._furthest
        if moved:
            self._last = now
        return reading.status is self._status and now - self._last <= self._stall

    def renew(self, now: float) -> None:
        """Be patient: the sensor is not to be trusted."""
        self._last = now

    def is_over(self, now: float) -> bool:
        """Tell whether it stands still."""
        return now - self._last > self._stall


async def _awaited(hook: Callable[[], Awaitable[T]]) -> T:
    return await hook()


def _sane(said: EnclosureReading, device: str) -> EnclosureReading:
    """A reading whose opening is a fraction. Raises `DeviceError` for what cannot be one."""
    if said.opening is None:
        return said
    if not -_SLACK <= said.opening <= 1.0 + _SLACK:
        raise DeviceError(f"{device} says that it is {said.opening:.0%} open; look at its sensor", device=device)
    return said._replace(opening=min(1.0, max(0.0, said.opening)))


def _failed_future(error: PytelError) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(_retrieve)
    future.set_exception(error)
    return future


def _retrieve(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()  # nobody may be waiting; the watcher was told
