"""Frames that need no sky: bias and dark."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import Duration, Fraction, Seconds
from pytel.interfaces.images import FrameType
from pytel.module import Event, Interface, State, Struct, rpc


class CalibrationStatus(StrEnum):
    """What goes on."""

    IDLE = "idle"
    EXPOSING = "exposing"


class CalibrationSet(Struct, frozen=True, kw_only=True):
    """A series of equal calibration frames, by their ids."""

    frame_type: FrameType
    exposure_time: Seconds
    binning: int
    images: tuple[str, ...]


class CalibrationFramesState(State, frozen=True, kw_only=True):
    """Progress of the set."""

    status: CalibrationStatus
    frame_type: FrameType | None = None
    taken: int = 0
    wanted: int = 0
    progress: Fraction | None = None
    last: CalibrationSet | None = None


class CalibrationTaken(Event, frozen=True, kw_only=True):
    """A set is complete."""

    result: CalibrationSet


class CalibrationFrames(Interface, state=CalibrationFramesState, events=(CalibrationTaken,)):
    """Takes sets of bias and dark frames."""

    @rpc(long=True, control=True, exclusive="calibration")
    async def take_bias(self, count: int = 20, binning: int = 1) -> CalibrationSet:
        """Take `count` bias frames. Raises `DeviceError` where light could fall in, and what the camera raises."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="calibration")
    async def take_darks(self, exposure_time: Duration, count: int = 10, binning: int = 1) -> CalibrationSet:
        """Take `count` darks of one exposure time. Raises as `take_bias`."""
        raise NotImplementedError
