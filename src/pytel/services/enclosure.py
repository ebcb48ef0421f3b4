"""The base of every roof and dome: it refuses to open, and closes by itself, when safety is bad, stale or unknown.

The rules, which no driver can switch off:

- It opens only while every safety monitor in sight says safe and none has fallen silent.
- It begins to close within 2 s of a bad verdict, and at the expiry of a verdict that is not renewed, also from the
  midst of an opening, and whatever its sensor says. Closing is tried again without end.
- Until 20 s after its start it waits for a first word of safety (a word that says unsafe closes at once); then unknown
  is unsafe. What was left open by a crash stays open if it is safe.
- Closing that fails is an alarm within 2 s, and a person is called: once per incident, and again every 15 minutes.
- An opening that fails is closed again. An opening whose caller goes away stops where it is; closing never does.
- It begins to close at each turn to unsafe, also if its sensor says that it is shut; one that is opened by hand while
  it is unsafe closes again. For work at the roof stop the module.
- Every closing has its reason in words: in the state, in the log and as an event.
- A module that stops closes first. STOP of a person stops any motion; if it is unsafe, it closes again at once, and a
  STOP that comes again within 10 s does not hold it up any more.
- What cannot be understood counts as unsafe: a verdict that is garbled, and a fault in the guard's own code.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import Busy, Cancelled, DeviceError, PytelError, Unsafe, wrap
from pytel.base.units import Azimuth, Duration, Seconds
from pytel.interfaces.enclosure import (
    Enclosure,
    EnclosureCapabilities,
    EnclosureClosing,
    EnclosureState,
    EnclosureStatus,
)
from pytel.interfaces.safety import SafetyMonitor, SafetyMonitorState
from pytel.module import Capabilities, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, on
from pytel.services.enclosure_drive import DriveTimes, EnclosureDrive, Goal
from pytel.services.enclosure_guard import EnclosureGuard
from pytel.services.enclosure_incident import ClosingIncident
from pytel.services.enclosure_sensor import EnclosureReading
from pytel.services.module import Module
from pytel.services.safety import SafetyWatch, Verdict
from pytel.services.timing import patient

LONGEST_TRUST: Seconds = 60.0
"""No site file may have an enclosure stay open for longer than this without a word that it is safe."""


class BaseEnclosure(Module, Enclosure, ABC):
    """What all enclosures share; a driver writes the hooks `begin_open`, `begin_close`, `halt` and `read_enclosure`.

    Each hook talks to the hardware and returns at once; it may be cancelled at any await. `connect` is called before
    the others and again after a failure: do not connect in `on_start`, where a device that is off would keep the guard
    from its work.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Speed and patience of an enclosure."""

        opening_time: Duration = 30.0
        closing_time: Duration = 30.0
        safety_expiry: Annotated[Duration, Meta(le=LONGEST_TRUST)] = 20.0
        """The longest that a verdict counts, whatever the monitor promises."""
        startup_grace: Annotated[Duration, Meta(le=LONGEST_TRUST)] = 20.0
        answer_time: Duration = 1.5
        """For the hardware to answer one command."""
        stall_time: Duration = 1.4
        """Without a sign of motion before it counts as stuck; a sensor in coarse steps needs more."""
        poll_period: Duration = 10.0

    config: Config
    kind = "roof"

    # hooks

    async def connect(self) -> None:
        """Connect to the hardware, or connect anew after a failure."""

    @abstractmethod
    async def begin_open(self) -> None:
        """Start to open."""

    @abstractmethod
    async def begin_close(self) -> None:
        """Start to close, also in the midst of an opening."""

    async def begin_close_otherwise(self) -> None:
        """Start to close by other means than `begin_close`, which did not move it; called at every second attempt.

        A second relay, an emergency input: what the hardware has. Here it is stopped first, over a new connection.
        """
        await self.halt()
        await self.begin_close()

    @abstractmethod
    async def halt(self) -> None:
        """Stand still."""

    @abstractmethod
    async def read_enclosure(self) -> EnclosureReading:
        """Ask the sensors."""

    def azimuth(self) -> Azimuth | None:
        """Where a dome looks; None for a roof."""
        return None

    # life

    async def on_start(self) -> None:
        """Begin to watch; the hardware is reached later, as often as it takes."""
        config = self.config
        times = DriveTimes(
            config.opening_time, config.closing_time, config.answer_time, config.stall_time, config.poll_period
        )
        self._drive = EnclosureDrive(str(self.address), self, times, self)
        self._safety = SafetyWatch(patient(config.safety_expiry, real=2.0))
        self._guard = EnclosureGuard(self._drive, self._safety, config.startup_grace)
        self._wake = asyncio.Event()
        self._incident = ClosingIncident(self)
        self._told: EnclosureState | None = None
        self._verdict: Verdict = (False, ("it has just started",))
        self._why_closing: tuple[str, ...] = ()

    @property
    def stop_deadline(self) -> Seconds:
        """Long enough to close, and to try again."""
        return 3.0 * self.config.closing_time + 30.0

    async def on_stop(self) -> None:
        """Close before nobody watches any more."""
        drive: EnclosureDrive | None = getattr(self, "_drive", None)
        if drive is not None and not drive.secured:
            self._announce_closing((f"{self.address} is stopped",))
            try:
                await drive.close_for_good()
            except asyncio.CancelledError:
                self.log.critical("it ends without being closed, and nobody watches it any more: go there")
                raise

    def capabilities(self) -> list[Capabilities]:
        """Tell how fast it is."""
        config = self.config
        return [
            EnclosureCapabilities(kind=self.kind, opening_time=config.opening_time, closing_time=config.closing_time)
        ]

    @background
    async def drive(self) -> None:
        """Move as the goals say."""
        await self._drive.run()

    @background
    async def guard(self) -> None:
        """Watch over safety; this loop never waits for the hardware and never ends."""
        known = ""
        while True:
            try:
                pause = self._judge()
            except Exception as error:
                self._close_blindly(wrap(error))
                if str(error) != known:
                    self.log.exception("the guard failed by a fault in its code")
                known, pause = str(error), 1.0
                self.raise_alarm("guard", wrap(error))
            else:
                known = ""
                self.clear_alarm("guard")
            await clock.wait_for_event(self._wake, pause)
            self._wake.clear()

    @on(SafetyMonitorState)
    async def hear_safety(self, state: SafetyMonitorState) -> None:
        """Weigh a verdict at once."""
        self._safety.hear(str(self.sender()), state, clock.now())
        self._wake.set()

    # the guard

    def _judge(self) -> Seconds:
        """Weigh safety and act; returns after how many seconds to judge again."""
        now = clock.now()
        was_safe, _ = self._verdict
        self._verdict = self._weigh(now)
        safe, reasons = self._verdict
        if not safe and self._guard.must_close(turned=was_safe):
            self._close_by_itself(reasons)
        self._report_late()
        self._incident.remind()
        self._tell()
        return self._guard.pause(self._safety.next_expiry(now))

    def _close_blindly(self, error: PytelError) -> None:
        self._verdict = (False, (f"the guard of {self.address} failed: {error.message}",))
        if self._drive.goal is not Goal.CLOSED and not self._drive.secured:
            self._drive.go(Goal.CLOSED, error)
            self._announce_closing(self._verdict[1])

    def _weigh(self, now: datetime) -> Verdict:
        try:
            states = self.latest_all(SafetyMonitorState)
        except PytelError as error:
            self.raise_alarm("safety", error)
            return False, (f"a safety monitor cannot be understood: {error.message}",)
        self._safety.hear_all({str(address): state for address, state in states.items()}, now)
        self.clear_alarm("safety")
        return self._safety.verdict(now)

    def _close_by_itself(self, reasons: tuple[str, ...]) -> None:
        why = "; ".join(reasons)
        self._drive.go(Goal.CLOSED, Unsafe(f"{self.address} closes: {why}", reasons=list(reasons)))
        if self._drive.reading.status is not EnclosureStatus.CLOSED:
            self._announce_closing(reasons)

    def _announce_closing(self, reasons: tuple[str, ...], level: int = logging.WARNING) -> None:
        self._why_closing = reasons
        self.log.log(level, "closing: %s", "; ".join(reasons))
        self.publish(EnclosureClosing(reasons=reasons))

    def _report_late(self) -> None:
        if self._guard.is_late() and not self._incident and self._drive.reading.status is not EnclosureStatus.CLOSED:
            text = f"{self.address} was told to close and is not seen to close; look at it"
            self._incident.complain(DeviceError(text, device=str(self.address)))

    # what the drive tells

    def drive_changed(self) -> None:
        """The reading or the goal is another one."""
        self._wake.set()

    def drive_failed(self, goal: Goal, error: PytelError) -> None:
        """An attempt failed."""
        self._wake.set()
        if goal is Goal.CLOSED:
            self._incident.complain(error)
            return
        self.log.error("%s failed: %s", goal, error)
        self.raise_alarm("opening" if goal is Goal.OPEN else "stop", error)
        if goal is Goal.OPEN:
            self._announce_closing((f"it did not open: {error}",))

    def drive_closed(self) -> None:
        """It is shut; an incident is over."""
        self._incident.end()
        self.clear_alarm("sensor")
        self.clear_alarm("stop")
        self._wake.set()

    def sensor_lies(self, error: PytelError) -> None:
        """The sensor says what cannot be."""
        self.raise_alarm("sensor", error)

    def sensor_answers(self, error: PytelError | None) -> None:
        """The sensor answered, or failed to."""
        if error is None:
            self.clear_alarm("connection")
        else:
            self.raise_alarm("connection", error)

    # state

    def _tell(self) -> None:
        safe, reasons = self._verdict
        reading = self._drive.reading
        status = EnclosureStatus.ERROR if self._incident else reading.status
        state = EnclosureState(
            status=status,
            opening=reading.opening,
            azimuth=self._azimuth(),
            may_open=safe and self._drive.goal is not Goal.CLOSED,
            reasons=reasons,
            closed_because=self._why_closing,
        )
        if state != self._told:
            self._told = state
            self.publish(state)

    def _azimuth(self) -> Azimuth | None:
        try:
            azimuth = self.azimuth()
        except Exception as error:  # noqa: BLE001 - a driver that cannot tell where it looks can still close
            self.raise_alarm("azimuth", wrap(error))
            return None
        self.clear_alarm("azimuth")
        return azimuth

    # calls

    @rpc(long=True)
    async def open(self) -> None:
        """Open; done when fully open. A caller who goes away stops it where it is."""
        self._refuse_unsafe()
        if self._drive.goal is Goal.CLOSED:
            raise Busy(f"{self.address} is closing; wait until it is closed", by="itself", method="close", until=None)
        self.clear_alarm("opening")
        opened = self._drive.go(Goal.OPEN, Cancelled(f"{self.address} was told to open"))
        self._why_closing = ()
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            if self._drive.goal is Goal.OPEN:
                self._drive.go(Goal.STOP, Cancelled("the opening was cancelled"))
            raise

    def _refuse_unsafe(self) -> None:
        safe, reasons = self._weigh(clock.now())
        if safe and not self.has(SafetyMonitor):
            safe, reasons = False, ("no safety monitor is there",)
        if not safe:
            raise Unsafe(f"{self.address} stays closed: {'; '.join(reasons)}", reasons=list(reasons))

    def estimate_open(self) -> Seconds:
        """How long opening takes from here."""
        opening = self._drive.reading.opening
        return self.config.opening_time * (1.0 - (opening or 0.0))

    @rpc(long=True)
    async def close(self) -> None:
        """Close; done when closed. It closes on when the caller goes away."""
        drive = self._drive
        shut = drive.goal is Goal.REST and drive.reading.status is EnclosureStatus.CLOSED
        if drive.goal is not Goal.CLOSED and not shut:
            self._announce_closing((f"{self.origin.name} told it to close",), logging.INFO)
        await asyncio.shield(drive.go(Goal.CLOSED, Cancelled(f"{self.address} was told to close")))

    def estimate_close(self) -> Seconds:
        """How long closing takes from here."""
        opening = self._drive.reading.opening
        return self.config.closing_time * (1.0 if opening is None else opening)

    async def stop(self) -> None:
        """Stop the motion where it is; unless it is safe, it closes again at once."""
        self.clear_alarm("stop")
        await asyncio.shield(self._drive.go(Goal.STOP, Cancelled(f"{self.address} was stopped")))
