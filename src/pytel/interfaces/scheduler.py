"""Which task comes when."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pytel.base.units import Altitude, Duration, Fraction
from pytel.module import Event, Interface, Role, State, Struct, rpc


class SchedulerStatus(StrEnum):
    """What the scheduler does."""

    IDLE = "idle"
    PLANNING = "planning"


class ScheduleBlock(Struct, frozen=True, kw_only=True):
    """One observation in the plan: a task from `start` to `end`, and why it stands there."""

    task: str
    name: str
    start: datetime
    end: datetime
    altitude: Altitude | None = None
    reason: str = ""


class UnscheduledTask(Struct, frozen=True, kw_only=True):
    """A task that found no place, and why."""

    task: str
    name: str
    reason: str


class Schedule(Struct, frozen=True, kw_only=True):
    """The plan of a night. `id` changes with every planning; `filled` is the planned part of the dark time."""

    id: str
    night: date
    made: datetime
    blocks: tuple[ScheduleBlock, ...] = ()
    unscheduled: tuple[UnscheduledTask, ...] = ()
    filled: Fraction | None = None


class SchedulerState(State, frozen=True, kw_only=True):
    """The plan in short: what is on and what comes next."""

    status: SchedulerStatus
    schedule: str | None = None
    current: ScheduleBlock | None = None
    next: ScheduleBlock | None = None
    planning_time: Duration | None = None


class ScheduleChanged(Event, frozen=True, kw_only=True):
    """A new plan is in force, and why it was made."""

    schedule: str
    reason: str


class Scheduler(Interface, state=SchedulerState, events=(ScheduleChanged,)):
    """Plans the night and plans again when something changes."""

    @rpc(role=Role.VIEWER)
    async def get_schedule(self, night: date | None = None) -> Schedule:
        """Tell the plan of a night (None: the present or coming one). Raises `NotFound` when there is none."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OPERATOR, exclusive="planning", queues=True)
    async def reschedule(self, reason: str = "") -> Schedule:
        """Plan the rest of the night anew from what is known now."""
        raise NotImplementedError
