"""The observer's view of the task store: what is open tonight, and writing down what became of it."""

from __future__ import annotations

import msgspec

from pytel.base import clock
from pytel.base.errors import NotFound, PytelError
from pytel.base.units import Seconds
from pytel.interfaces.tasks import Task, TaskEntry, TaskStatus, TaskStore
from pytel.observing.greedy import Candidate, candidate, done_fraction, exposure_count, is_open
from pytel.observing.night import NightTimes, utc
from pytel.observing.progress import Progress
from pytel.observing.report import TaskReport
from pytel.services import Module


class TaskQueue:
    """Open tasks of one night. While the store is away the last list holds and what changed is kept for it."""

    def __init__(self, module: Module, night: NightTimes, progress: Progress) -> None:
        self._module = module
        self._night = night
        self._progress = progress
        self._entries: list[TaskEntry] | None = None
        self._unsaved: dict[str, tuple[TaskStatus, float | None, str | None]] = {}
        self._postponed: dict[str, tuple[float, int]] = {}

    async def candidates(self) -> list[Candidate]:
        """What may be observed, with what is left of it. Raises what store and archive raise at the first time."""
        await self._refresh()
        entries = [entry for entry in self._entries or [] if is_open(entry, utc(self._night.begin))]
        await self._progress.refresh([entry.task for entry in entries])
        found = []
        for entry in entries:
            done = self._progress.done(entry.task)
            item = candidate(entry.task, done, begun=bool(done))
            if item is None:
                await self._finish(entry)
            elif self._postponed.get(entry.task.id, (0.0, 0))[0] <= clock.time():
                found.append(item)
        return found

    async def set_status(self, task: Task, status: TaskStatus, reason: str | None = None) -> None:
        """Record where a task stands, on disk in the store, or later when it is away."""
        if self._is_cancelled(task.id):
            return
        done = done_fraction(task, self._progress.done(task))
        self._unsaved[task.id] = (status, done, reason)
        self._entries = [
            msgspec.structs.replace(entry, status=status, done=done, reason=reason, changed=clock.now())
            if entry.task.id == task.id
            else entry
            for entry in self._entries or []
        ]
        await self._flush()

    def cancelled(self, task_id: str) -> None:
        """Somebody took a task out."""
        self._entries = [
            msgspec.structs.replace(entry, status=TaskStatus.CANCELLED) if entry.task.id == task_id else entry
            for entry in self._entries or []
        ]

    def _is_cancelled(self, task_id: str) -> bool:
        return any(e.status is TaskStatus.CANCELLED for e in self._entries or [] if e.task.id == task_id)

    def is_cancelled(self, task: Task) -> bool:
        """Whether somebody took the task out."""
        return self._is_cancelled(task.id)

    async def postpone(self, task: Task, pause: Seconds, reason: str) -> None:
        """Try a task again later: after `pause`, longer each time."""
        attempts = self._postponed.get(task.id, (0.0, 0))[1] + 1
        until = clock.time() + pause * 2 ** min(attempts - 1, 4)
        self._postponed[task.id] = (until, attempts)
        await self.set_status(task, TaskStatus.PENDING, f"{reason} (tried again after {utc(until):%H:%M} UTC)")

    def reports(self) -> list[TaskReport]:
        """Every task that was touched in the night."""
        return [
            TaskReport(
                id=entry.task.id,
                name=entry.task.name,
                status=entry.status,
                exposures_done=len(self._progress.done(entry.task)),
                exposures_planned=exposure_count(entry.task),
                reason=entry.reason,
            )
            for entry in sorted(self._entries or [], key=lambda entry: entry.task.id)
            if self._progress.done(entry.task) or self._touched_tonight(entry)
        ]

    def _touched_tonight(self, entry: TaskEntry) -> bool:
        changed = entry.changed is not None and entry.changed.timestamp() >= self._night.open
        return changed and (entry.attempts > 0 or entry.status is not TaskStatus.PENDING or entry.reason is not None)

    async def _finish(self, entry: TaskEntry) -> None:
        """Done is only what the archive has whole."""
        if self._progress.is_archived(entry.task, range(exposure_count(entry.task))):
            await self.set_status(entry.task, TaskStatus.DONE)

    async def finish_all(self) -> None:
        """See, at the end of a night, which tasks are done."""
        for entry in self._entries or []:
            if entry.status is not TaskStatus.RUNNING:
                continue
            await self._finish(entry)
            if candidate(entry.task, self._progress.done(entry.task), begun=True) is not None:
                await self.set_status(entry.task, TaskStatus.PENDING, "the night was over before it was finished")

    async def _refresh(self) -> None:
        await self._flush()
        try:
            listed = await self._module.find(TaskStore).list_tasks()
        except PytelError:
            if self._entries is None:
                raise
            return
        self._entries = [self._with_unsaved(entry) for entry in listed]

    def _with_unsaved(self, entry: TaskEntry) -> TaskEntry:
        if entry.task.id not in self._unsaved or entry.status is TaskStatus.CANCELLED:
            return entry
        status, done, reason = self._unsaved[entry.task.id]
        return msgspec.structs.replace(entry, status=status, done=done or entry.done, reason=reason)

    async def _flush(self) -> None:
        for task_id, (status, done, reason) in list(self._unsaved.items()):
            try:
                await self._module.find(TaskStore).set_task_status(task_id, status, done, reason)
            except NotFound:
                self._module.log.warning("the task %s is gone from the store", task_id)
            except PytelError as error:
                self._module.log.warning("the status of %s is written later: %s", task_id, error.message)
                return
            del self._unsaved[task_id]
