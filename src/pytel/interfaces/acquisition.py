"""Bringing a target to its place on the detector."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.errors import PytelError
from pytel.base.units import Arcsec, Declination, Degrees, Fraction, Pixels, RightAscension
from pytel.module import Event, Interface, State, Struct, rpc


class AcquisitionFailed(PytelError):
    """The target is not where it should be; `data` has `attempts` and the last `distance` in arcsec."""


class FieldNotSolved(AcquisitionFailed):
    """No plate solution: no stars, clouds, or a field far from the expected one."""


class AcquisitionStatus(StrEnum):
    """What the acquisition does."""

    IDLE = "idle"
    EXPOSING = "exposing"
    SOLVING = "solving"
    MOVING = "moving"


class AcquisitionResult(Struct, frozen=True, kw_only=True):
    """Where the telescope really points (ICRS), and how far that is from what was asked."""

    ra: RightAscension
    dec: Declination
    distance: Arcsec
    attempts: int
    time: datetime
    position_angle: Degrees | None = None
    x: Pixels | None = None
    y: Pixels | None = None
    image: str | None = None


class AcquisitionState(State, frozen=True, kw_only=True):
    """Progress and the last result."""

    status: AcquisitionStatus
    attempt: int | None = None
    progress: Fraction | None = None
    distance: Arcsec | None = None
    last: AcquisitionResult | None = None


class TargetAcquired(Event, frozen=True, kw_only=True):
    """A target is in its place."""

    result: AcquisitionResult


class Acquisition(Interface, state=AcquisitionState, events=(TargetAcquired,)):
    """Takes images, solves them, and moves the telescope until the target is in its place."""

    @rpc(long=True, control=True, exclusive="acquisition")
    async def acquire(self, ra: RightAscension, dec: Declination, tolerance: Arcsec | None = None) -> AcquisitionResult:
        """Bring ICRS coordinates to the middle of the detector within `tolerance` (None: as configured).

        The telescope must have slewed there. Raises `FieldNotSolved`, `AcquisitionFailed` when it does not come closer,
        and what camera and telescope raise.
        """
        raise NotImplementedError
