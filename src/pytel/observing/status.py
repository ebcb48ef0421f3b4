"""What the observer shows of itself: its state, and the cards for the header of a running exposure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from pytel.interfaces.fitsheaders import Card
from pytel.interfaces.observer import ObserverState, ObserverStatus
from pytel.interfaces.tasks import Task
from pytel.observing.night import utc


class StatusBoard:
    """Keeps what is going on and publishes each change."""

    def __init__(self, publish: Callable[[ObserverState], None]) -> None:
        self._publish = publish
        self.status = ObserverStatus.DAY
        self.night: date | None = None
        self.task: Task | None = None
        self.exposing: int | None = None
        """Index of the exposure that is running."""

    def show(self, status: ObserverStatus, message: str = "", until: float | None = None) -> None:
        """Publish what is going on, and until when as far as one knows (Unix seconds)."""
        self.status = status
        self._publish(self._state(message, until))

    def expose(self, index: int, exposures: int, until: float) -> None:
        """Show that an exposure begins."""
        self.status, self.exposing = ObserverStatus.EXPOSING, index
        self._publish(self._state("", until, exposures))

    def _state(self, message: str, until: float | None, exposures: int | None = None) -> ObserverState:
        return ObserverState(
            status=self.status,
            night=self.night,
            task=self.task.id if self.task else None,
            task_name=self.task.name if self.task else None,
            exposure=self.exposing,
            exposures=exposures,
            until=None if until is None else utc(until),
            message=message,
        )

    def cards(self) -> dict[str, Card]:
        """The header cards of the running exposure, none between exposures."""
        task = self.task
        if task is None or self.exposing is None:
            return {}
        return {
            "OBJECT": Card(value=task.target.name, comment="name of the target"),
            "OBSERVER": Card(value=task.observer or "pytel robot", comment="who asked for the observation"),
            **({"PROPID": Card(value=task.project, comment="project")} if task.project else {}),
            "TASKID": Card(value=task.id, comment="task of the observation"),
            "TASKEXP": Card(value=self.exposing, comment="exposure of the task, counted from 0"),
        }
