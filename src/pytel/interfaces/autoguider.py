"""Keeping the target where it is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.errors import PytelError
from pytel.base.units import Arcsec, ArcsecPerSecond
from pytel.module import Event, Interface, Role, State, Struct, rpc


class GuidingLost(PytelError):
    """The field is not found again, or too far away to correct; nothing was moved."""


class AutoGuiderStatus(StrEnum):
    """What the guider does; `WAITING` has no reference yet, `LOST` waits for the field to come back."""

    OFF = "off"
    WAITING = "waiting"
    GUIDING = "guiding"
    LOST = "lost"


class GuideOffset(Struct, frozen=True, kw_only=True):
    """How far the telescope was from where it should have been, on the sky (`ra` times cos(dec)), and when."""

    time: datetime
    ra: Arcsec
    dec: Arcsec


class GuideStatistics(Struct, frozen=True, kw_only=True):
    """How well it guides since the reference was taken.

    `frames` were measured, `rejected` ones showed no field or an offset that was not believed; the drift is that of
    the telescope without corrections, as far as it is known.
    """

    corrections: int
    rms_ra: Arcsec
    rms_dec: Arcsec
    max_offset: Arcsec
    frames: int = 0
    rejected: int = 0
    drift_ra: ArcsecPerSecond = 0.0
    drift_dec: ArcsecPerSecond = 0.0


class AutoGuiderState(State, frozen=True, kw_only=True):
    """What the guider does, the last offset it measured and how it fares."""

    status: AutoGuiderStatus
    offset: GuideOffset | None = None
    statistics: GuideStatistics | None = None
    reference: str | None = None
    message: str = ""


class GuideCorrected(Event, frozen=True, kw_only=True):
    """The telescope was moved by a correction."""

    measured: GuideOffset
    applied_ra: Arcsec
    applied_dec: Arcsec


class AutoGuider(Interface, state=AutoGuiderState, events=(GuideCorrected,)):
    """Measures where the field drifts and corrects the telescope."""

    @rpc(control=True)
    async def start_guiding(self) -> None:
        """Guide from now on; the next image gives the reference."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER, always=True)
    async def stop_guiding(self) -> None:
        """Correct no more, and forget the reference."""
        raise NotImplementedError

    @rpc(control=True)
    async def new_reference(self) -> None:
        """Take the next image as the reference, after the telescope was moved on purpose."""
        raise NotImplementedError
