"""What is to be observed, and who knows it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.units import Declination, Degrees, Duration, Fraction, RightAscension
from pytel.interfaces.images import FrameType
from pytel.module import Event, Interface, Role, State, Struct, rpc


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Target(Struct, frozen=True, kw_only=True):
    """Where to point: ICRS degrees."""

    name: str
    ra: RightAscension
    dec: Declination


class Exposures(Struct, frozen=True, kw_only=True):
    """A series of equal exposures."""

    exposure_time: Duration
    count: int = 1
    filter: str | None = None
    binning: int = 1
    frame_type: FrameType = FrameType.OBJECT


class Constraints(Struct, frozen=True, kw_only=True):
    """When a task may be observed."""

    min_altitude: Degrees = 30.0
    max_sun_altitude: Degrees = -15.0
    min_moon_distance: Degrees = 20.0
    not_before: datetime | None = None
    not_after: datetime | None = None


class Task(Struct, frozen=True, kw_only=True):
    """One observation: a target, exposures and constraints.

    A higher `priority` (dimensionless) comes first; with `every_night` it is observed in each night anew.
    """

    id: str
    name: str
    target: Target
    exposures: tuple[Exposures, ...]
    constraints: Constraints = Constraints()
    priority: float = 1.0
    project: str | None = None
    observer: str | None = None
    every_night: bool = False


class TaskEntry(Struct, frozen=True, kw_only=True):
    """A task and where it stands. `reason` says why it failed or waits."""

    task: Task
    status: TaskStatus
    done: Fraction = 0.0
    attempts: int = 0
    reason: str | None = None
    changed: datetime | None = None


class TaskStoreState(State, frozen=True, kw_only=True):
    """How many tasks stand where, by status."""

    counts: dict[str, int]


class TaskChanged(Event, frozen=True, kw_only=True):
    """A task was added or stands elsewhere now."""

    id: str
    status: TaskStatus


class TaskStore(Interface, state=TaskStoreState, events=(TaskChanged,)):
    """Keeps the tasks and what became of them; survives a crash at any point."""

    @rpc(role=Role.VIEWER)
    async def list_tasks(self, status: TaskStatus | None = None) -> list[TaskEntry]:
        """List tasks, those of high priority first."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def get_task(self, id: str) -> TaskEntry:  # noqa: A002 - the word of the protocol
        """Look one task up. Raises `NotFound`."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER)
    async def add_task(self, task: Task) -> None:
        """Add a task. Raises `Conflict` when the id is taken by another one."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER)
    async def cancel_task(self, id: str) -> None:  # noqa: A002 - the word of the protocol
        """Take a task out. Raises `NotFound`."""
        raise NotImplementedError

    @rpc(role=Role.MODULE)
    async def set_task_status(
        self,
        id: str,  # noqa: A002 - the word of the protocol
        status: TaskStatus,
        done: Fraction | None = None,
        reason: str | None = None,
    ) -> None:
        """Record what became of a task; on disk when this returns. Raises `NotFound`."""
        raise NotImplementedError
