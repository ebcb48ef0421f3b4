from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytel.base.errors import Conflict, NotFound
from pytel.interfaces.tasks import Exposures, Target, Task, TaskChanged, TaskStatus, TaskStore, TaskStoreState
from pytel.module.handlers import on
from pytel.observing.database import TaskDatabase
from pytel.observing.taskstore import SqlTaskStore
from pytel.services import Module

Run = Callable[[Callable[[Any], Any]], Any]
TASK = Task(id="a", name="A", target=Target(name="A", ra=10.0, dec=-5.0), exposures=(Exposures(exposure_time=60.0),))
FILE = """
- name: Low
  target: {ra: 10, dec: 10}
  exposures: [{exposure_time: 60}]
- name: High
  priority: 5
  target: {ra: 20, dec: 10}
  exposures: [{exposure_time: 60}]
"""


class Listener(Module):
    async def on_start(self) -> None:
        self.changes: list[tuple[str, str]] = []

    @on(TaskChanged)
    async def changed(self, event: TaskChanged) -> None:
        self.changes.append((event.id, event.status.value))


def test_tasks_of_a_file_keep_their_standing_over_crash_and_change(site: Run, tmp_path: Path) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE)
    config = SqlTaskStore.Config(tasks=str(file))

    async def scenario(site: Any) -> None:
        await site.start("store", SqlTaskStore, config)
        asker = await site.start("asker", Module)
        store = asker.find(TaskStore)
        assert [entry.task.id for entry in await store.list_tasks()] == ["high", "low"]
        await store.set_task_status("low", TaskStatus.RUNNING, 0.5)
        await store.set_task_status("low", TaskStatus.RUNNING, 0.6)
        await site.crash("store")
        (tmp_path / "tasks.yaml").write_text(FILE.replace("ra: 10,", "ra: 11,"))
        await site.start("store", SqlTaskStore, config)
        entry = await store.get_task("low")
        assert (entry.status, entry.done, entry.attempts) == (TaskStatus.RUNNING, 0.6, 1)
        assert entry.task.target.ra == 11.0
        assert asker.latest(TaskStoreState).counts == {"pending": 1, "running": 1}

    site(scenario)


def test_adding_cancelling_and_what_is_told(site: Run) -> None:
    async def scenario(site: Any) -> None:
        await site.start("store", SqlTaskStore)
        listener = await site.start("listener", Listener)
        store = listener.find(TaskStore)
        await store.add_task(TASK)
        await store.add_task(TASK)
        with pytest.raises(Conflict):
            await store.add_task(msgspec.structs.replace(TASK, name="B"))
        await store.cancel_task("a")
        with pytest.raises(NotFound):
            await store.cancel_task("b")
        assert listener.changes == [("a", "pending"), ("a", "cancelled")]
        assert await store.list_tasks(TaskStatus.PENDING) == []

    site(scenario)


def test_one_process_owns_the_database_and_a_kill_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tasks.sqlite"
    script = f"""
        import pathlib, msgspec, sys
        from pytel.observing.database import TaskDatabase
        from pytel.interfaces.tasks import Task, TaskStatus
        database = TaskDatabase(pathlib.Path({str(path)!r}))
        database.add(msgspec.json.decode({msgspec.json.encode(TASK).decode()!r}, type=Task))
        database.set_status("a", TaskStatus.RUNNING, 0.25, None)
        print("ready", flush=True)
        sys.stdin.read()
    """
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        with pytest.raises(Conflict, match="another process owns"):
            TaskDatabase(path)
        owner.kill()
        owner.wait()
    database = TaskDatabase(path)
    entry = database.get("a")
    database.close()
    assert (entry.status, entry.done, entry.task) == (TaskStatus.RUNNING, 0.25, TASK)
