"""Starting, ready, error, closing: one state machine for every module."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from pytel.base import clock, ids
from pytel.base.errors import InternalError, PytelError
from pytel.bus.address import Address
from pytel.module.messages import ErrorRaised, ErrorReport, Event, ModuleState, State


class Status(StrEnum):
    """Where a module stands in its life."""

    STARTING = "starting"
    READY = "ready"
    ERROR = "error"
    CLOSING = "closing"


def is_asked_to_end() -> bool:
    """Whether a `CancelledError` is meant for the present task, and not for something it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def stray_cancellation(what: str) -> PytelError:
    """The error of something that waited for what another one cancelled."""
    return InternalError(f"{what} waited for something that was cancelled")


class Lifecycle:
    """Where one module stands, and what troubles it. Publishes each change as `ModuleState`."""

    def __init__(self, address: Address, module_type: str, publish: Callable[[State | Event], None]) -> None:
        self.address = address
        self.boot = ids.new_id()
        self.was_ready = False
        self.watcher: Callable[[], None] | None = None
        """Called whenever the status or an alarm changes."""
        self._module_type = module_type
        self._publish = publish
        self._status = Status.STARTING
        self._since: datetime = clock.now()
        self._alarms: dict[str, ErrorReport] = {}

    @property
    def status(self) -> Status:
        """The status that others see: ready becomes error while an alarm stands."""
        return Status.ERROR if self._alarms and self._status is Status.READY else self._status

    @property
    def serves(self) -> bool:
        """Whether calls are answered: once ready, even with an alarm, until closing."""
        return self._status is Status.READY

    @property
    def is_closing(self) -> bool:
        """Whether the module is being stopped, or was."""
        return self._status is Status.CLOSING

    @property
    def healthy(self) -> bool:
        """Whether no alarm stands."""
        return not self._alarms

    @property
    def explanation(self) -> str:
        """The status in words."""
        return f"{self._status.value} ({self.complaint})" if self._alarms else self._status.value

    @property
    def complaint(self) -> str | None:
        """What is wrong, in words; None when nothing is."""
        alarms = "; ".join(f"{report.name} in {report.source}: {report.message}" for report in self._alarms.values())
        return alarms or None

    def move_to(self, status: Status) -> None:
        """Enter a status and tell it."""
        self._status = status
        self.was_ready = self.was_ready or status is Status.READY
        self._since = clock.now()
        self.tell()

    def raise_alarm(self, source: str, error: PytelError) -> bool:
        """Keep an error until it is cleared; the same one again is not told twice. Returns whether it is new."""
        known = self._alarms.get(source)
        if known is not None and (known.name, known.message) == (error.name, error.message):
            return False
        report = ErrorReport(source=source, name=error.name, message=error.message, time=clock.now())
        self._alarms[source] = report
        self._publish(ErrorRaised(error=report))
        self.tell()
        return True

    def clear_alarm(self, source: str) -> bool:
        """Forget an error; returns whether there was one."""
        if self._alarms.pop(source, None) is None:
            return False
        self.tell()
        return True

    def tell(self) -> None:
        """Publish the present status."""
        newest = max(self._alarms.values(), key=lambda report: report.time, default=None)
        self._publish(
            ModuleState(
                status=self.status.value,
                since=self._since,
                module_type=self._module_type,
                boot=self.boot,
                error=newest,
            )
        )
        if self.watcher is not None:
            self.watcher()
