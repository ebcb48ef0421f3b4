"""Cameras of INDI."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pytel.base.errors import DeviceError, DeviceTimeout, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Duration
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.frames import frame_of
from pytel.devices.indi.properties import PropertyState, Vector
from pytel.services.camera import BaseCamera, CameraPhase, CameraReading, ExposureSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytel.devices.indi.blobs import Blob, BlobStream
    from pytel.imaging.stored import StoredFrame

_EXPOSURE, _TIME = "CCD_EXPOSURE", "CCD_EXPOSURE_VALUE"
_ABORT, _FRAME, _BINNING, _INFO = "CCD_ABORT_EXPOSURE", "CCD_FRAME", "CCD_BINNING", "CCD_INFO"
_TYPE, _COOLER, _TEMPERATURE = "CCD_FRAME_TYPE", "CCD_COOLER", "CCD_TEMPERATURE"
_LONGEST_EXPOSURE = 86400.0


class IndiCamera(IndiDriver, BaseCamera):
    """Takes images with a camera of an INDI server."""

    class Config(BaseCamera.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell: gain, noise, and how it stands behind the telescope."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        camera_gain: float | None = None
        """The camera's own gain setting (CCD_GAIN), made at each connect; left alone otherwise."""
        camera_offset: float | None = None
        """The camera's own offset setting (CCD_OFFSET), likewise."""

    config: Config
    _frames: BlobStream | None = None
    _coming: asyncio.Task[Blob] | None = None

    async def on_start(self) -> None:
        """Connect, and learn what the detector is like."""
        await self.connect_device(_EXPOSURE, _INFO, _FRAME)
        self.at_stop(self._let_go)
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the detector's size, binning and cooler."""
        info, exposure = await self._info(), self.indi.vector(_EXPOSURE)
        longest = exposure.members[_TIME].maximum if exposure.has(_TIME) else 0.0
        self.fit(
            width=round(info.number("CCD_MAX_X")),
            height=round(info.number("CCD_MAX_Y")),
            pixel_size=info.number("CCD_PIXEL_SIZE"),
            saturation=float(2 ** min(16, round(info.number("CCD_BITSPERPIXEL")) or 16) - 1),
            binnings=self._binnings(),
            max_exposure_time=min(longest, _LONGEST_EXPOSURE) if longest > 0 else 7200.0,
            has_cooler=self._can_cool(),
        )
        if min(self.config.width, self.config.height) < 1:
            raise DeviceError(
                f"{self.indi.name} tells a detector of {self.config.width} x {self.config.height} pixels; give its "
                "'width' and 'height'",
                device=str(self.address),
            )

    async def _info(self) -> Vector:
        """The detector, once the INDI driver has asked its camera: it is told as 0 x 0 before."""
        info = self.indi.vector(_INFO)
        with contextlib.suppress(DeviceTimeout):
            return await self.indi.wait(_INFO, _is_told, self.config.connect_time / 3)
        return info

    def _binnings(self) -> tuple[int, ...]:
        if not self.indi.has(_BINNING, "HOR_BIN"):
            return (1,)
        highest = round(self.indi.vector(_BINNING).members["HOR_BIN"].maximum)
        return tuple(range(1, max(1, min(highest, 16)) + 1))

    def _can_cool(self) -> bool:
        return self.indi.has(_TEMPERATURE) and self.indi.vector(_TEMPERATURE).permission.value != "ro"

    async def on_connect(self) -> None:
        """Have frames sent to the client, as FITS files that are not compressed."""
        wanted = (
            ("UPLOAD_MODE", {"UPLOAD_CLIENT": True}),
            ("CCD_COMPRESSION", {"INDI_DISABLED": True}),
            ("CCD_TRANSFER_FORMAT", {"FORMAT_FITS": True}),
        )
        for name, switches in wanted:
            if all(self.indi.has(name, member) for member in switches):
                await self.indi.set(name, switches, self.config.answer_time)
        for name, member, value in (
            ("CCD_GAIN", "GAIN", self.config.camera_gain),
            ("CCD_OFFSET", "OFFSET", self.config.camera_offset),
        ):
            if value is not None:
                await self.indi.set(name, {member: value}, self.config.answer_time)

    # reading

    async def read_camera(self) -> CameraReading:
        """Read what it has told last."""
        temperature = self._number(_TEMPERATURE, "CCD_TEMPERATURE_VALUE")
        return CameraReading(
            self._phase(), temperature, self._setpoint, self._number("CCD_COOLER_POWER", "CCD_COOLER_VALUE")
        )

    _setpoint: Celsius | None = None

    def _number(self, name: str, member: str) -> float | None:
        return self.indi.number(name, member) if self.indi.has(name, member) else None

    def _phase(self) -> CameraPhase:
        exposure = self.indi.vector(_EXPOSURE)
        if self._coming is None:
            return CameraPhase.EXPOSING if exposure.state is PropertyState.BUSY else CameraPhase.IDLE
        if self._coming.done():
            return CameraPhase.READY
        if exposure.state is PropertyState.ALERT:
            raise DeviceError(
                f"{self.indi.name} reports a fault of its exposure: {self.indi.last_words() or 'nothing said'}",
                device=str(self.address),
            )
        running = exposure.state is PropertyState.BUSY and exposure.number(_TIME) > 0
        return CameraPhase.EXPOSING if running else CameraPhase.READING

    # the exposure

    async def begin_exposure(self, settings: ExposureSettings) -> None:
        """Set window, binning and type, and start."""
        await self._let_go()
        frames = self.indi.blobs("CCD1")
        self._frames = await frames.__aenter__()
        try:
            await self._set_up(settings)
            time = max(settings.exposure_time, self.indi.vector(_EXPOSURE).members[_TIME].minimum)
            await self.indi.set(
                _EXPOSURE,
                {_TIME: time},
                self.config.answer_time,
                done=lambda now: now.state in (PropertyState.BUSY, PropertyState.OK),
            )
        except BaseException:
            await self._let_go()
            raise
        patience = settings.exposure_time + 2.0 * self._readout_patience() + self.config.extra_time
        self._coming = asyncio.create_task(frames.get(patience), name=f"{self.address} frame")
        self._coming.add_done_callback(_retrieve)

    async def _set_up(self, settings: ExposureSettings) -> None:
        window, binning, patience = settings.window, settings.binning, self.config.answer_time
        kind = "FRAME_LIGHT" if settings.shutter else ("FRAME_DARK" if settings.exposure_time > 0 else "FRAME_BIAS")
        if self.indi.has(_TYPE, kind):
            await self.indi.set(_TYPE, {kind: True}, patience)
        if self.indi.has(_BINNING):
            await self.indi.set(_BINNING, {"HOR_BIN": float(binning), "VER_BIN": float(binning)}, patience)
        width, height = (side - side % binning for side in (window.width, window.height))
        values = {"X": float(window.x), "Y": float(window.y), "WIDTH": float(width), "HEIGHT": float(height)}
        await self.indi.set(_FRAME, values, patience)

    async def end_exposure(self) -> None:
        """Close the shutter now; INDI knows no way to keep what was collected."""
        raise DeviceError(
            f"{self.address} cannot end an exposure and keep it: INDI has no command for that; abort it instead",
            device=str(self.address),
        )

    async def abort(self) -> None:
        """Throw the exposure away."""
        await self._let_go()
        if self.indi.has(_ABORT) and self.indi.vector(_EXPOSURE).state is PropertyState.BUSY:
            await self.indi.set(_ABORT, {"ABORT": True}, self.config.answer_time)
            await self.indi.wait(
                _EXPOSURE, lambda now: now.state is not PropertyState.BUSY, self.config.answer_time, alert=False
            )

    async def read_frame(self) -> NDArray[np.uint16] | StoredFrame:
        """Fetch the frame."""
        if self._coming is None:
            raise DeviceError(f"{self.address} has no frame to hand over", device=str(self.address))
        blob = await self._coming
        try:
            return await in_thread(frame_of, blob)
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        """Listen for frames no longer; what comes late is nobody's."""
        coming, self._coming = self._coming, None
        frames, self._frames = self._frames, None
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait([coming])
        if frames is not None:
            with contextlib.suppress(PytelError):
                await frames.__aexit__(None, None, None)

    async def on_disconnect(self) -> None:
        """End an exposure whose device is gone."""
        if self._coming is not None and not self._coming.done():
            self._coming.cancel()

    async def reconnect(self) -> None:
        """Switch the device off and on."""
        await self.indi.set("CONNECTION", {"DISCONNECT": True}, self.config.answer_time)
        await self.connect_device(_EXPOSURE, _INFO, _FRAME)

    # cooler

    async def set_setpoint(self, setpoint: Celsius | None) -> None:
        """Cool, or switch the cooler off."""
        patience = self.config.answer_time
        if self.indi.has(_COOLER):
            member = "COOLER_OFF" if setpoint is None else "COOLER_ON"
            await self.indi.set(_COOLER, {member: True}, patience, done=lambda now: now.members_on(member))
        if setpoint is not None:
            busy_or_there = (PropertyState.BUSY, PropertyState.OK, PropertyState.IDLE)
            await self.indi.set(
                _TEMPERATURE, {"CCD_TEMPERATURE_VALUE": setpoint}, patience, done=lambda now: now.state in busy_or_there
            )
        self._setpoint = setpoint


def _is_told(info: Vector) -> bool:
    return info.number("CCD_MAX_X") > 0 and info.number("CCD_BITSPERPIXEL") > 0


def _retrieve(task: asyncio.Task[Blob]) -> None:
    """Take the error of a frame that nobody waits for."""
    if not task.cancelled():
        task.exception()
