"""When in a night each task may be observed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytel.base.location import Location
from pytel.interfaces.tasks import Task
from pytel.sky.almanac import moon_position, sun_altitude
from pytel.sky.coordinates import separation
from pytel.sky.visibility import altitudes

Array = NDArray[np.float64]
Window = tuple[float, float]
_STEP = 180.0


class Windows:
    """The windows of many tasks in one night, computed once for each task (Unix seconds)."""

    def __init__(self, start: float, end: float, location: Location) -> None:
        self._times = np.linspace(start, end, max(2, int(np.ceil((end - start) / _STEP)) + 1))
        self._location = location
        self._sun = sun_altitude(self._times, location)
        self._moon = moon_position(self._times, location)
        self._known: dict[Task, list[Window]] = {}

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Compute what is not yet known, all in one go."""
        new = [task for task in tasks if task not in self._known]
        if not new:
            return
        ra, dec = (np.array([getattr(task.target, name) for task in new]) for name in ("ra", "dec"))
        heights = altitudes(ra, dec, self._times, self._location)
        for index, task in enumerate(new):
            self._known[task] = self._windows(task, heights[:, index])

    def of(self, task: Task) -> list[Window]:
        """When the task's constraints are met, in order of time; good to a few seconds."""
        self.prepare([task])
        return self._known[task]

    def end_of(self, task: Task, now: float) -> float | None:
        """Until when the task may be observed without a break, None when it may not be now."""
        return next((end for start, end in self.of(task) if start <= now < end), None)

    def next_start(self, task: Task, now: float) -> float | None:
        """When the task may next be begun."""
        return next((max(now, start) for start, end in self.of(task) if now < end), None)

    def _windows(self, task: Task, height: Array) -> list[Window]:
        limits = task.constraints
        margin = np.minimum(height - limits.min_altitude, limits.max_sun_altitude - self._sun)
        if limits.min_moon_distance > 0:
            moon = separation(np.full(len(height), task.target.ra), np.full(len(height), task.target.dec), *self._moon)
            margin = np.minimum(margin, moon - limits.min_moon_distance)
        first = limits.not_before.timestamp() if limits.not_before else -np.inf
        last = limits.not_after.timestamp() if limits.not_after else np.inf
        clipped = ((max(start, first), min(end, last)) for start, end in _positive(self._times, margin))
        return [(start, end) for start, end in clipped if start < end]


def _positive(times: Array, margin: Array) -> list[Window]:
    """Where a sampled function is not negative; the edges are interpolated."""
    good = margin >= 0
    turns = np.flatnonzero(good[1:] != good[:-1])
    share = margin[turns] / (margin[turns] - margin[turns + 1])
    edges = [float(edge) for edge in times[turns] + share * (times[turns + 1] - times[turns])]
    if good[0]:
        edges.insert(0, float(times[0]))
    if good[-1]:
        edges.append(float(times[-1]))
    return list(zip(edges[::2], edges[1::2], strict=True))
