"""The queue of a foreign scheduler as a store of tasks: it decides what is observed, and is told what became of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from pytel.base.errors import NotFound
from pytel.base.units import Fraction, Seconds
from pytel.devices.foreign.client import ForeignSystem
from pytel.devices.foreign.device import ForeignCall, ForeignDevice, Question, faults_of_config, open_device
from pytel.interfaces.tasks import Task, TaskChanged, TaskEntry, TaskStatus, TaskStore, TaskStoreState
from pytel.module.config import ModuleConfig
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.services import Module, every


class TaskList(Struct, frozen=True, kw_only=True):
    """What is wanted of `list`."""

    tasks: list[TaskEntry]


class _Which(Struct, frozen=True, kw_only=True):
    id: str


class _Report(Struct, frozen=True, kw_only=True):
    id: str
    status: TaskStatus
    done: Fraction | None = None
    reason: str | None = None


QUESTIONS = {
    "list": Question(wants=TaskList, again=True),
    "submit": Question(Task),
    "cancel": Question(_Which),
    "report": Question(_Report),
}


class ForeignScheduler(Module, TaskStore):
    """Presents the tasks of a foreign scheduler: the robot observes what it lists, and people submit theirs to it."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The system, how each thing is asked of it, and how often its list is looked at."""

        system: ForeignSystem
        list: ForeignCall
        submit: ForeignCall | None = None
        cancel: ForeignCall | None = None
        report: ForeignCall | None = None
        period: Annotated[Seconds, Meta(gt=0)] = 15.0

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with the mapping."""
            return faults_of_config(self, QUESTIONS)

    config: Config
    device: ForeignDevice
    _known: dict[str, TaskStatus] | None = None

    async def on_start(self) -> None:
        """Make ready."""
        self._one_by_one = asyncio.Lock()
        self.device = await open_device(self, QUESTIONS)

    @every("period")
    async def look(self) -> None:
        """See what has changed, and tell."""
        await self._entries()

    async def list_tasks(self, status: TaskStatus | None = None) -> list[TaskEntry]:
        """List tasks, those of high priority first."""
        return [entry for entry in await self._entries() if status in (None, entry.status)]

    async def get_task(self, id: str) -> TaskEntry:  # noqa: A002 - the word of the protocol
        """Look one task up."""
        for entry in await self._entries():
            if entry.task.id == id:
                return entry
        raise NotFound(f"{self.address} has no task {id!r}")

    async def add_task(self, task: Task) -> None:
        """Submit a task."""
        if self._known is None:
            # What is there before is told apart from what changes.
            await self._entries()
        await self.device.ask("submit", **{name: getattr(task, name) for name in task.__struct_fields__})
        await self._entries()

    async def cancel_task(self, id: str) -> None:  # noqa: A002 - the word of the protocol
        """Take a task out."""
        await self.device.ask("cancel", id=id)
        await self._entries()

    async def set_task_status(
        self,
        id: str,  # noqa: A002 - the word of the protocol
        status: TaskStatus,
        done: Fraction | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell the scheduler what became of a task."""
        await self.device.ask("report", id=id, status=status, done=done, reason=reason)
        await self._entries()

    async def _entries(self) -> list[TaskEntry]:
        # An older list that comes after a younger one would tell of changes that were none.
        async with self._one_by_one:
            listed: TaskList = await self.device.ask("list")
            entries = sorted(listed.tasks, key=lambda entry: -entry.task.priority)
            self._tell({entry.task.id: entry.status for entry in entries})
        return entries

    def _tell(self, now: dict[str, TaskStatus]) -> None:
        before, self._known = self._known, now
        if before == now:
            return
        for task, status in now.items():
            if before is not None and before.get(task) is not status:
                self.publish(TaskChanged(id=task, status=status))
        counts = Counter(status.value for status in now.values())
        self.publish(TaskStoreState(counts={status.value: counts[status.value] for status in TaskStatus}))
