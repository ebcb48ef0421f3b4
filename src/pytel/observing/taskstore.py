"""The store of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytel.base.threads import in_thread
from pytel.base.units import Fraction
from pytel.interfaces.tasks import Task, TaskChanged, TaskEntry, TaskStatus, TaskStore, TaskStoreState
from pytel.module.config import ModuleConfig
from pytel.observing.taskfile import DEMO_TASKS, read_task_file
from pytel.services import Module

if TYPE_CHECKING:
    from pytel.observing.database import TaskDatabase


class SqlTaskStore(Module, TaskStore):
    """Keeps tasks in an SQLite database in its folder; each change is on disk before the call returns.

    At start it brings in the tasks of a file: new ones are added, changed ones get their new definition, and where
    they stand is kept.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """`tasks` is a YAML file (relative to the site file), or `demo` for the list that comes with pytel."""

        tasks: str | None = None

    config: Config
    _database: TaskDatabase | None = None

    async def on_start(self) -> None:
        """Open the database and bring in the file. Raises `ConfigError` for a wrong file."""
        if self._database is None:
            self._database = await in_thread(_open_database, self.directory / "tasks.sqlite")
        if self.config.tasks is not None:
            tasks = await in_thread(read_task_file, self._task_file(self.config.tasks))
            changed = await in_thread(self._open.update_definitions, tasks)
            self.log.info("%d tasks in %s, %d of them new or changed", len(tasks), self.config.tasks, len(changed))
        await self._publish_counts()

    async def on_stop(self) -> None:
        """Close the database."""
        if self._database is not None:
            database, self._database = self._database, None
            await in_thread(database.close)

    async def list_tasks(self, status: TaskStatus | None = None) -> list[TaskEntry]:
        """List tasks, those of high priority first."""
        return await in_thread(self._open.list_entries, status)

    async def get_task(self, id: str) -> TaskEntry:  # noqa: A002 - the word of the protocol
        """Look one task up."""
        return await in_thread(self._open.get, id)

    async def add_task(self, task: Task) -> None:
        """Add a task; adding the same one twice does no harm."""
        if await in_thread(self._open.add, task):
            await self._tell(task.id, TaskStatus.PENDING)

    async def cancel_task(self, id: str) -> None:  # noqa: A002 - the word of the protocol
        """Take a task out; a running one ends with its present exposure."""
        await self.set_task_status(id, TaskStatus.CANCELLED)

    async def set_task_status(
        self,
        id: str,  # noqa: A002 - the word of the protocol
        status: TaskStatus,
        done: Fraction | None = None,
        reason: str | None = None,
    ) -> None:
        """Record what became of a task."""
        if await in_thread(self._open.set_status, id, status, done, reason):
            await self._tell(id, status)

    @property
    def _open(self) -> TaskDatabase:
        if self._database is None:
            raise RuntimeError("the database of tasks is not open")
        return self._database

    def _task_file(self, name: str) -> Path:
        if name == "demo":
            return DEMO_TASKS
        base = self.site.path.parent if self.site.path is not None else Path()
        return base / Path(name).expanduser()

    async def _tell(self, task_id: str, status: TaskStatus) -> None:
        self.publish(TaskChanged(id=task_id, status=status))
        await self._publish_counts()

    async def _publish_counts(self) -> None:
        self.publish(TaskStoreState(counts=await in_thread(self._open.counts)))


def _open_database(path: Path) -> TaskDatabase:
    """Import SQLAlchemy, which takes a while, beside the event loop."""
    from pytel.observing.database import TaskDatabase

    return TaskDatabase(path)
