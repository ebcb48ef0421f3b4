"""From raw frames to calibrated ones."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import msgspec

from pytel.base.errors import PytelError
from pytel.base.units import Fraction
from pytel.interfaces.images import FrameType, ImageRef
from pytel.module import Event, Interface, Role, State, Struct, rpc


class CalibrationMissing(PytelError):
    """No master frame fits this image; `data` has `frame_type` and what was asked of it."""


class ReductionStatus(StrEnum):
    """What the reduction does."""

    IDLE = "idle"
    REDUCING = "reducing"
    BUILDING_MASTERS = "building masters"


class ReducedImage(Struct, frozen=True, kw_only=True):
    """A calibrated image, the raw one it comes from, and the masters that were used, by frame type."""

    image: ImageRef
    raw: str
    masters: dict[str, str]


class MasterFrame(Struct, frozen=True, kw_only=True):
    """A combined calibration frame."""

    image: ImageRef
    frame_type: FrameType
    camera: str
    combined: int
    time: datetime
    binning: int = 1
    filter: str | None = None


class NightReduced(Struct, frozen=True, kw_only=True):
    """How many frames of a night were reduced, and those that were not, with the reason in words, by id."""

    night: date
    reduced: int
    failed: dict[str, str] = msgspec.field(default_factory=dict)


class ReductionState(State, frozen=True, kw_only=True):
    """What the reduction does and how many images wait."""

    status: ReductionStatus
    waiting: int = 0
    progress: Fraction | None = None
    last: ReducedImage | None = None


class ImageReduced(Event, frozen=True, kw_only=True):
    """A calibrated image is in the store."""

    reduced: ReducedImage


class MasterMade(Event, frozen=True, kw_only=True):
    """A master frame is in the store."""

    master: MasterFrame


class Reduction(Interface, state=ReductionState, events=(ImageReduced, MasterMade)):
    """Calibrates images with the masters that fit, and combines the masters."""

    @rpc(long=True, role=Role.OBSERVER, exclusive="reduction", queues=True)
    async def reduce(self, image: str) -> ReducedImage:
        """Calibrate one archived image by its id. Raises `NotFound`, `CalibrationMissing`, `StorageFull`."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OBSERVER, exclusive="reduction", queues=True)
    async def make_masters(self, night: date, frame_type: FrameType) -> list[MasterFrame]:
        """Combine a night's bias, dark or flat frames into masters. Raises `NotFound` when there are none."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OBSERVER, exclusive="reduction", queues=True)
    async def reduce_night(self, night: date) -> NightReduced:
        """Combine a night's masters and reduce all its frames with what fits best; what is done is not done again."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def list_masters(self, frame_type: FrameType | None = None) -> list[MasterFrame]:
        """List the masters that are in use, newest first."""
        raise NotImplementedError
