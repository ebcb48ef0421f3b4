"""Sets of bias and dark frames."""

from __future__ import annotations

from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Seconds
from pytel.interfaces.calibration import (
    CalibrationFrames,
    CalibrationFramesState,
    CalibrationSet,
    CalibrationStatus,
    CalibrationTaken,
)
from pytel.interfaces.camera import Camera, CameraCapabilities
from pytel.interfaces.cover import CoverCalibratorState, CoverStatus
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.interfaces.images import FrameType
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module


class DarkFrames(Module, CalibrationFrames):
    """Takes bias and dark frames with the shutter closed.

    A camera without a shutter needs a closed cover or a closed enclosure; light that falls in would be in every frame
    that these calibrate.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """What counts as dark."""

        dark_dome: bool = True
        """Whether a closed enclosure alone keeps the light off a camera without a shutter."""

    config: Config
    _last: CalibrationSet | None = None

    async def on_start(self) -> None:
        """Show that nothing is done."""
        self.follow(CoverCalibratorState, EnclosureState)
        self._idle()

    @rpc(long=True)
    async def take_bias(self, count: int = 20, binning: int = 1) -> CalibrationSet:
        """Take bias frames."""
        return await self._set(FrameType.BIAS, 0.0, count, binning)

    @rpc(long=True)
    async def take_darks(self, exposure_time: Duration, count: int = 10, binning: int = 1) -> CalibrationSet:
        """Take darks."""
        return await self._set(FrameType.DARK, exposure_time, count, binning)

    def estimate_take_darks(self, exposure_time: Duration, count: int = 10, binning: int = 1) -> Seconds:
        """Exposures and a usual readout."""
        return count * (exposure_time + 5.0)

    async def _set(self, frame_type: FrameType, exposure_time: Seconds, count: int, binning: int) -> CalibrationSet:
        able = await self.capabilities_of(CameraCapabilities)
        images: list[str] = []
        try:
            for index in range(count):
                self._refuse_light(able)
                self._show(frame_type, index, count)
                camera = self.find(Camera, deadline=1.5 * exposure_time + 3 * able.readout_time + 120.0)
                image = await camera.expose(exposure_time, frame_type=frame_type, binning=binning)
                images.append(image.id)
            self._last = CalibrationSet(
                frame_type=frame_type, exposure_time=exposure_time, binning=binning, images=tuple(images)
            )
        finally:
            self._idle()
        self.publish(CalibrationTaken(result=self._last))
        return self._last

    def _refuse_light(self, camera: CameraCapabilities) -> None:
        if camera.has_shutter:
            return
        cover, enclosure = self.latest(CoverCalibratorState), self.latest(EnclosureState)
        if cover is not None and cover.brightness:
            raise DeviceError("the lamp of the cover shines: switch it off for darks", device="cover")
        if cover is not None and cover.cover is CoverStatus.CLOSED:
            return
        if self.config.dark_dome and enclosure is not None and enclosure.status is EnclosureStatus.CLOSED:
            return
        raise DeviceError(
            "the camera has no shutter, and neither cover nor enclosure is closed: close one of them for darks",
            device="camera",
        )

    def _show(self, frame_type: FrameType, taken: int, wanted: int) -> None:
        self.report_progress(taken / max(1, wanted))
        self.publish(
            CalibrationFramesState(
                status=CalibrationStatus.EXPOSING,
                frame_type=frame_type,
                taken=taken,
                wanted=wanted,
                progress=taken / max(1, wanted),
                last=self._last,
            )
        )

    def _idle(self) -> None:
        self.publish(CalibrationFramesState(status=CalibrationStatus.IDLE, last=self._last))
