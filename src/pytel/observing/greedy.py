"""What to observe next: the most important task that can be done now, of equals the one that sets soonest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pytel.base.units import Fraction, Seconds
from pytel.interfaces.tasks import Task, TaskEntry, TaskStatus
from pytel.observing.windows import Windows

OVERHEAD: Seconds = 10.0
"""Readout and filter change after each exposure, for planning."""
SLEW: Seconds = 60.0
"""Until the first exposure of a task, for planning."""


class Candidate(NamedTuple):
    """A task with what is left of it."""

    task: Task
    remaining: Seconds
    """How long all missing exposures take."""
    next_exposure: Seconds
    """How long the next one takes."""
    begun: bool = False
    """Some of it is done and the rest should follow."""


class Choice(NamedTuple):
    """What to do now, and how long it may last (Unix seconds)."""

    task: Task
    until: float
    complete: bool
    """Whether all that is left fits before then."""


def is_open(entry: TaskEntry, night_start: datetime) -> bool:
    """Whether a task may be observed in the night that begins at `night_start` (its noon).

    What is observed every night and was ended in an earlier one is open again; what was cancelled never is.
    """
    if entry.status in (TaskStatus.PENDING, TaskStatus.RUNNING):
        return True
    if entry.status is TaskStatus.CANCELLED or not entry.task.every_night:
        return False
    return entry.changed is not None and entry.changed < night_start


def missing_exposures(task: Task, done: set[int]) -> list[int]:
    """The indices (counted over all series of a task) that are not done."""
    return [index for index in range(exposure_count(task)) if index not in done]


def exposure_count(task: Task) -> int:
    """How many exposures a task has."""
    return sum(series.count for series in task.exposures)


def exposure_times(task: Task) -> list[Seconds]:
    """The exposure time of each exposure of a task, in order."""
    return [series.exposure_time for series in task.exposures for _ in range(series.count)]


def done_fraction(task: Task, done: set[int]) -> Fraction:
    """How much of a task is done, by exposure time."""
    times = exposure_times(task)
    total = sum(times) or 1.0
    return min(1.0, sum(time for index, time in enumerate(times) if index in done) / total)


def candidate(task: Task, done: set[int], *, begun: bool) -> Candidate | None:
    """What is left of a task, None when nothing is."""
    times, missing = exposure_times(task), missing_exposures(task, done)
    if not missing:
        return None
    return Candidate(
        task=task,
        remaining=sum(times[index] + OVERHEAD for index in missing),
        next_exposure=times[missing[0]] + OVERHEAD,
        begun=begun,
    )


def choose(candidates: Sequence[Candidate], now: float, windows: Windows) -> Choice | None:
    """Choose the next task at `now` (Unix seconds), or None when nothing can be done.

    What fits whole goes before what only can be begun; then what was begun before, higher priority, earlier setting.
    What can only be begun must have room for one exposure; of those the one with most room left is taken.
    """
    windows.prepare([item.task for item in candidates])
    visible = [(item, end) for item in candidates if (end := windows.end_of(item.task, now)) is not None]
    whole = [(item, end) for item, end in visible if now + SLEW + item.remaining <= end]
    if whole:
        item, end = min(whole, key=lambda pair: (not pair[0].begun, -pair[0].task.priority, pair[1], pair[0].task.id))
        return Choice(item.task, end, True)
    part = [(item, end) for item, end in visible if now + SLEW + item.next_exposure <= end]
    if part:
        item, end = min(part, key=lambda pair: (not pair[0].begun, -pair[0].task.priority, -pair[1], pair[0].task.id))
        return Choice(item.task, end, False)
    return None


def next_start(candidates: Sequence[Candidate], now: float, windows: Windows) -> float | None:
    """When any of the tasks can next be begun with room for one exposure; None: never tonight."""
    starts = [
        max(now, start)
        for item in candidates
        for start, end in windows.of(item.task)
        if max(now, start) + SLEW + item.next_exposure <= end
    ]
    return min(starts, default=None)
