"""Tasks in YAML: read, checked against the structs, every fault with its line.

    - name: Omega Centauri
      target: {ra: "13:26:47.3", dec: "-47:28:46"}
      exposures:
        - {filter: V, exposure_time: 2 min, count: 10}
      every_night: true

`id` is made from the name when it is not given, and the target's name is that of the task. Right ascension and
declination are degrees, or text in hours and degrees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytel.base.errors import ConfigError, InvalidParams
from pytel.interfaces.tasks import Constraints, Exposures, Target, Task
from pytel.module import Struct
from pytel.module.yaml_lines import Fault, Lines, parse_struct, raise_for, read_yaml

DEMO_TASKS = Path(__file__).parent / "data" / "demo_tasks.yaml"
_SLUG = re.compile(r"[^a-z0-9]+")


class TaskLine(Struct, frozen=True, kw_only=True):
    """A task as it stands in a file."""

    name: str
    target: Target
    exposures: tuple[Exposures, ...]
    constraints: Constraints = Constraints()
    id: str | None = None
    priority: float = 1.0
    project: str | None = None
    observer: str | None = None
    every_night: bool = False


def read_task_file(path: Path) -> list[Task]:
    """Read a file of tasks. Raises `ConfigError` that lists every fault with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a file of tasks: {error}", faults=[]) from error
    return parse_tasks(text, path.name)


def parse_tasks(text: str, file: str = "tasks.yaml") -> list[Task]:
    """Turn YAML into tasks: a list, or a section `tasks` with one. Raises `ConfigError` that lists every fault."""
    document = read_yaml(text, file)
    raise_for(document.faults)
    entries: Any = document.value
    start: tuple[str | int, ...] = ()
    if isinstance(entries, dict) and list(entries) == ["tasks"]:
        entries, start = entries["tasks"], ("tasks",)
    if not isinstance(entries, list):
        raise_for([document.lines.fault((), "a file of tasks is a list: begin each task with '- name: …'")])
    reader = _Reader(document.lines)
    tasks = [task for index, entry in enumerate(entries) if (task := reader.task(entry, (*start, index))) is not None]
    raise_for(reader.faults)
    return tasks


def slug(name: str) -> str:
    """Make an id of a name: small letters, digits and hyphens."""
    return _SLUG.sub("-", name.lower()).strip("-") or "task"


class _Reader:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._ids: dict[str, int] = {}
        self.faults: list[Fault] = []

    def task(self, entry: Any, path: tuple[str | int, ...]) -> Task | None:
        plain = self._completed(entry, path)
        line, faults = parse_struct(plain, TaskLine, self._lines, path)
        self.faults += faults
        if line is None:
            return None
        self.faults += [self._lines.fault(place, message) for place, message in _judge(line, path)]
        task_id = line.id or slug(line.name)
        self._note_id(task_id, path)
        fields = {name: getattr(line, name) for name in TaskLine.__struct_fields__}
        return Task(**{**fields, "id": task_id})

    def _completed(self, entry: Any, path: tuple[str | int, ...]) -> Any:
        """Fill in the target's name and turn its coordinates into degrees."""
        if not isinstance(entry, dict) or not isinstance(entry.get("target"), dict):
            return entry
        from pytel.sky.sexagesimal import parse_dec, parse_ra

        target = {"name": entry["name"], **entry["target"]} if "name" in entry else dict(entry["target"])
        self._angle(target, "ra", parse_ra, (*path, "target"))
        self._angle(target, "dec", parse_dec, (*path, "target"))
        return {"name": target.get("name"), **entry, "target": target}

    def _angle(self, target: dict[str, Any], key: str, parse: Callable[[str], float], path: Any) -> None:
        if not isinstance(target.get(key), str):
            return
        try:
            target[key] = parse(target[key])
        except InvalidParams as error:
            self.faults.append(self._lines.fault((*path, key), error.message))
            target[key] = 0.0  # reported; the rest of the task is still checked

    def _note_id(self, task_id: str, path: tuple[str | int, ...]) -> None:
        line = self._lines.value(path).line
        if task_id in self._ids:
            message = f"the id {task_id!r} is taken by the task in line {self._ids[task_id]}; give one of them an 'id'"
            self.faults.append(self._lines.fault(path, message))
        self._ids.setdefault(task_id, line)


def _judge(line: TaskLine, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What no type can say."""
    if not line.exposures:
        yield (*path, "exposures"), f"the task {line.name!r} has no exposures"
    for index, exposures in enumerate(line.exposures):
        if exposures.count < 1:
            yield (*path, "exposures", index, "count"), f"count must be at least 1, not {exposures.count}"
        if exposures.binning < 1:
            yield (*path, "exposures", index, "binning"), f"binning must be at least 1, not {exposures.binning}"
    limits = line.constraints
    if limits.not_before is not None and limits.not_after is not None and limits.not_after <= limits.not_before:
        yield (*path, "constraints", "not_after"), "not_after must be later than not_before"
