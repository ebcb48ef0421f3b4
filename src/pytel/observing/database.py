"""Tasks on disk. Blocking; import it where it is used: it brings SQLAlchemy along."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from pytel.base import clock
from pytel.base.errors import Conflict, NotFound
from pytel.interfaces.tasks import Task, TaskEntry, TaskStatus
from pytel.services.database import open_database

_task = sa.Table(
    "task",
    sa.MetaData(),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("definition", sa.Text),
    sa.Column("priority", sa.Float),
    sa.Column("status", sa.String),
    sa.Column("done", sa.Float),
    sa.Column("attempts", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("changed", sa.Float),
)


class TaskDatabase:
    """The table of tasks; each change is on disk when its call returns."""

    def __init__(self, path: Path) -> None:
        self._database = open_database(path, "pytel.observing.migrations")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def list_entries(self, status: TaskStatus | None = None) -> list[TaskEntry]:
        """All tasks (of one status), those of high priority first."""
        query = sa.select(_task).order_by(_task.c.priority.desc(), _task.c.id)
        if status is not None:
            query = query.where(_task.c.status == status.value)
        with self._database.transaction() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def get(self, task_id: str) -> TaskEntry:
        """One task. Raises `NotFound`."""
        with self._database.transaction() as connection:
            return _entry(_find(connection, task_id))

    def add(self, task: Task) -> bool:
        """Add a task; the same one again is fine and gives False. Raises `Conflict` for another one of its id."""
        with self._database.transaction() as connection:
            row = connection.execute(sa.select(_task).where(_task.c.id == task.id)).one_or_none()
            if row is None:
                connection.execute(sa.insert(_task).values(_new_row(task)))
            elif _entry(row).task != task:
                raise Conflict(f"there is another task with the id {task.id!r}: choose a new id", id=task.id)
            return row is None

    def update_definitions(self, tasks: Iterable[Task]) -> list[str]:
        """Bring in the tasks of a file, new or changed; where they stand is kept. Returns the ids that changed."""
        changed = []
        with self._database.transaction() as connection:
            known = {row.id: row for row in connection.execute(sa.select(_task))}
            for task in tasks:
                if task.id not in known:
                    connection.execute(sa.insert(_task).values(_new_row(task)))
                elif _entry(known[task.id]).task != task:
                    connection.execute(sa.update(_task).where(_task.c.id == task.id).values(_definition(task)))
                else:
                    continue
                changed.append(task.id)
        return changed

    def set_status(self, task_id: str, status: TaskStatus, done: float | None, reason: str | None) -> bool:
        """Record where a task stands; entering `running` counts as an attempt. Raises `NotFound`.

        Returns whether the status is another one now.
        """
        with self._database.transaction() as connection:
            row = _find(connection, task_id)
            began = status is TaskStatus.RUNNING and row.status != TaskStatus.RUNNING.value
            values = {
                "status": status.value,
                "done": row.done if done is None else done,
                "reason": reason,
                "attempts": row.attempts + began,
                "changed": clock.time(),
            }
            connection.execute(sa.update(_task).where(_task.c.id == task_id).values(values))
            return bool(row.status != status.value)

    def counts(self) -> dict[str, int]:
        """How many tasks stand where."""
        status = _task.c.status
        query = sa.select(status, sa.func.count().label("number")).group_by(status).order_by(status)
        with self._database.transaction() as connection:
            return {row.status: row.number for row in connection.execute(query)}


def _find(connection: sa.Connection, task_id: str) -> Any:
    row = connection.execute(sa.select(_task).where(_task.c.id == task_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no task with the id {task_id!r}", id=task_id)
    return row


def _definition(task: Task) -> dict[str, Any]:
    return {"definition": msgspec.json.encode(task).decode(), "priority": task.priority}


def _new_row(task: Task) -> dict[str, Any]:
    pending = {"status": TaskStatus.PENDING.value, "done": 0.0, "attempts": 0, "reason": None, "changed": clock.time()}
    return {"id": task.id, **_definition(task), **pending}


def _entry(row: Any) -> TaskEntry:
    return TaskEntry(
        task=msgspec.json.decode(row.definition, type=Task),
        status=TaskStatus(row.status),
        done=row.done,
        attempts=row.attempts,
        reason=row.reason,
        changed=datetime.fromtimestamp(row.changed, UTC),
    )
