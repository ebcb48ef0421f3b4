"""Who carries out the night."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pytel.module import Event, Interface, Role, State, rpc


class ObserverStatus(StrEnum):
    """What the observer does."""

    WAITING_FOR_DUSK = "waiting for dusk"
    WAITING_FOR_SAFETY = "waiting for safety"
    WAITING_FOR_TARGET = "waiting for a target"
    OPENING = "opening"
    FOCUSING = "focusing"
    ACQUIRING = "acquiring"
    EXPOSING = "exposing"
    CALIBRATING = "calibrating"
    CLOSING = "closing"
    PAUSED = "paused"
    DAY = "day"


class ObserverState(State, frozen=True, kw_only=True):
    """What the night looks like now."""

    status: ObserverStatus
    night: date | None = None
    task: str | None = None
    task_name: str | None = None
    exposure: int | None = None
    exposures: int | None = None
    until: datetime | None = None
    message: str = ""


class NightEnded(Event, frozen=True, kw_only=True):
    """The night is over; the report is on disk."""

    night: date
    report: str
    frames: int


class Observer(Interface, state=ObserverState, events=(NightEnded,)):
    """Observes by itself, from dusk to dawn."""

    @rpc(role=Role.OPERATOR)
    async def pause(self, reason: str = "") -> None:
        """Finish nothing more: stop the running exposure, keep the roof as safety has it, and wait."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def resume(self) -> None:
        """Go on after a pause."""
        raise NotImplementedError
