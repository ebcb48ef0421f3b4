"""Exposures and cooling (ASCOM ICamera, INDI CCD)."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import Adu, Celsius, Duration, Electrons, ElectronsPerAdu, Fraction, Micrometres, Percent, Seconds
from pytel.interfaces.images import FrameType, ImageRef, NewImage
from pytel.module import Capabilities, Interface, Role, State, Struct, rpc


class CameraStatus(StrEnum):
    """What the camera does."""

    IDLE = "idle"
    EXPOSING = "exposing"
    READING = "reading"
    ERROR = "error"


class Window(Struct, frozen=True, kw_only=True):
    """Part of the detector, in unbinned pixels counted from 0 at the lower left."""

    x: int
    y: int
    width: int
    height: int


class CameraState(State, frozen=True, kw_only=True):
    """What the camera does now. `progress` and `remaining` belong to the exposure."""

    status: CameraStatus
    exposure_time: Seconds | None = None
    remaining: Seconds | None = None
    progress: Fraction | None = None
    frame_type: FrameType | None = None
    temperature: Celsius | None = None
    setpoint: Celsius | None = None
    cooler_power: Percent | None = None
    last_image: ImageRef | None = None


class CameraCapabilities(Capabilities, frozen=True, kw_only=True):
    """The detector."""

    width: int
    height: int
    pixel_size: Micrometres
    gain: ElectronsPerAdu
    read_noise: Electrons
    saturation: Adu
    binnings: tuple[int, ...]
    readout_time: Seconds
    has_shutter: bool
    has_cooler: bool
    max_exposure_time: Seconds | None = None
    """None where the camera does not tell."""


class Camera(Interface, state=CameraState, events=(NewImage,), capabilities=CameraCapabilities):
    """Takes images and hands them to the image store."""

    @rpc(long=True, control=True, exclusive="exposure")
    async def expose(
        self,
        exposure_time: Duration,
        frame_type: FrameType = FrameType.OBJECT,
        binning: int = 1,
        window: Window | None = None,
    ) -> ImageRef:
        """Take one image; done when the store has it. The shutter stays closed for bias and dark frames.

        Raises `LimitExceeded`, `DeviceError`, `DeviceTimeout`, `StorageFull`.
        """
        raise NotImplementedError

    @rpc(long=True, role=Role.MODULE, exclusive="exposure")
    async def take_guide_frame(
        self, exposure_time: Duration, binning: int = 1, window: Window | None = None
    ) -> ImageRef:
        """Take a frame of the kind `guide`, as a guider does; done when the store has it.

        Needs no lease, and is not announced: whoever asked for it releases it at the store, and nobody archives it.
        Raises what `expose` raises, and `Busy` during another exposure.
        """
        raise NotImplementedError

    @rpc(always=True)
    async def stop_exposure(self) -> None:
        """End the exposure now and keep what was collected."""
        raise NotImplementedError

    @rpc(always=True)
    async def abort_exposure(self) -> None:
        """End the exposure now and throw it away; the job ends with `Cancelled`."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR, control=True)
    async def set_cooling(self, setpoint: Celsius | None) -> None:
        """Cool to a temperature, or switch the cooler off (None)."""
        raise NotImplementedError
