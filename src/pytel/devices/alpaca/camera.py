"""Cameras of Alpaca."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError, InvalidParams, MethodNotFound, NotReady, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Duration, Seconds
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.devices.alpaca.imagebytes import MEDIA_TYPE, frame_of, largest
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.camera import BaseCamera, CameraPhase, CameraReading, ExposureSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IDLE, _WAITING, _EXPOSING, _READING, _DOWNLOAD, _ERROR = range(6)
"""CameraStates of ASCOM."""
_LONGEST_EXPOSURE: Seconds = 86400.0
_FIRST_BYTE: Seconds = 10.0
_SLOWEST_LINK = 5e6
"""Bytes per second that a frame comes with at least."""
_MOST_PIXELS = 1 << 16
"""Along a side: what claims more is no detector."""


class AlpacaCamera(AlpacaDriver, BaseCamera):
    """Takes images with a camera of an Alpaca server that speaks ImageBytes."""

    class Config(BaseCamera.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell: noise, and how it stands behind the telescope."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        camera_gain: int | None = None
        """The camera's own gain setting (Gain), made at each connect; left alone otherwise."""
        camera_offset: int | None = None
        """The camera's own offset setting (Offset), likewise."""

    config: Config
    device_type = "camera"
    _shape: tuple[int, int] | None = None
    """Width and height of the frame to come, in binned pixels."""
    _shortest: Seconds = 0.0
    _can_abort = _can_stop = False

    async def on_start(self) -> None:
        """Connect, and learn what the detector is like."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the detector's size, binning, times and cooler, and make the camera's own settings."""
        alpaca = self.alpaca
        width, height = [await self._side(f"camera{axis}size") for axis in "xy"]
        longest, saturation = await self.optional("exposuremax"), await self.optional("maxadu")
        facts = {
            "width": width,
            "height": height,
            "binnings": tuple(range(1, max(1, min(await alpaca.whole("maxbinx", ANSWER), 16)) + 1)),
            "max_exposure_time": min(longest, _LONGEST_EXPOSURE) if longest and longest > 0 else 7200.0,
            "has_shutter": await alpaca.flag("hasshutter", ANSWER),
            "has_cooler": await alpaca.flag("cansetccdtemperature", ANSWER),
            "saturation": min(saturation, 65535.0) if saturation and saturation > 0 else 65535.0,
        }
        for fact, member in (("pixel_size", "pixelsizex"), ("gain", "electronsperadu")):
            told = await self.optional(member)
            if told is not None and told > 0:
                facts[fact] = told
        self.fit(**facts)
        self._shortest = max(0.0, await self.optional("exposuremin") or 0.0)
        self._can_abort = await alpaca.flag("canabortexposure", ANSWER)
        self._can_stop = await alpaca.flag("canstopexposure", ANSWER)
        await self._set_own()

    async def _side(self, member: str) -> int:
        side = await self.alpaca.whole(member, ANSWER)
        if not 0 < side <= _MOST_PIXELS:
            raise DeviceError(
                f"{self.address}: the camera tells a detector with {side} pixels along a side; look at its server",
                device=str(self.address),
            )
        return side

    async def _set_own(self) -> None:
        if self.config.camera_gain is not None:
            await self.alpaca.put("gain", self.config.answer_time, Gain=self.config.camera_gain)
        if self.config.camera_offset is not None:
            await self.alpaca.put("offset", self.config.answer_time, Offset=self.config.camera_offset)

    # reading

    async def read_camera(self) -> CameraReading:
        """Ask what it does, and how cold it is."""
        phase = await self._phase()
        setpoint = None
        if self.config.has_cooler and await self._cooler_is_on():
            setpoint = await self.optional("setccdtemperature")
        return CameraReading(phase, await self.optional("ccdtemperature"), setpoint, await self.optional("coolerpower"))

    async def _phase(self) -> CameraPhase:
        state = await self.alpaca.whole("camerastate", ANSWER)
        if not _IDLE <= state <= _ERROR:
            raise DeviceError(f"{self.address}: a camera's state is 0 to 5, not {state}", device=str(self.address))
        if state == _ERROR and self._shape is not None:
            raise DeviceError(
                f"{self.address}: the camera reports a fault of its exposure; look at its Alpaca server",
                device=str(self.address),
            )
        if state in (_WAITING, _EXPOSING):
            return CameraPhase.EXPOSING
        if self._shape is None:
            return CameraPhase.READING if state in (_READING, _DOWNLOAD) else CameraPhase.IDLE
        if await self.alpaca.flag("imageready", ANSWER):
            return CameraPhase.READY
        return CameraPhase.IDLE if state == _IDLE and await self._is_lost() else CameraPhase.READING

    async def _is_lost(self) -> bool:
        """An idle camera without an image; it may have become ready between two questions."""
        return not await self.alpaca.flag("imageready", ANSWER)

    async def _cooler_is_on(self) -> bool:
        try:
            return await self.alpaca.flag("cooleron", ANSWER)
        except (MethodNotFound, NotReady):
            return True

    # the exposure

    async def begin_exposure(self, settings: ExposureSettings) -> None:
        """Set binning and window, and start."""
        await self._set_up(settings)
        time = max(settings.exposure_time, self._shortest)
        await self.alpaca.put("startexposure", self.config.answer_time, Duration=time, Light=settings.shutter)

    async def _set_up(self, settings: ExposureSettings) -> None:
        window, binning = settings.window, settings.binning
        width, height = window.width // binning, window.height // binning
        # Our rows are counted from the bottom, ASCOM's from the top.
        top = (self.config.height - window.y - height * binning) // binning
        values = (
            ("BinX", binning),
            ("BinY", binning),
            ("StartX", window.x // binning),
            ("StartY", top),
            ("NumX", width),
            ("NumY", height),
        )
        for name, value in values:
            await self.alpaca.put(name.lower(), self.config.answer_time, **{name: value})
        self._shape = (width, height)

    async def end_exposure(self) -> None:
        """Close the shutter now and keep what was collected, where the camera can."""
        if not self._can_stop:
            raise DeviceError(
                f"{self.address} cannot end an exposure and keep it (CanStopExposure); abort it instead",
                device=str(self.address),
            )
        await self.alpaca.put("stopexposure", self.config.answer_time)

    async def abort(self) -> None:
        """Throw the exposure away."""
        self._shape = None
        state = await self.alpaca.whole("camerastate", ANSWER)
        if state == _IDLE or not (self._can_abort or self._can_stop):
            return
        await self.alpaca.put("abortexposure" if self._can_abort else "stopexposure", self.config.answer_time)

    def transfer_time(self) -> Seconds:
        """By the size of the frame to come, in the widest of ASCOM's types."""
        return 0.0 if self._shape is None else largest(*self._shape) / _SLOWEST_LINK

    async def read_frame(self) -> NDArray[np.uint16]:
        """Fetch the frame."""
        if self._shape is None:
            raise DeviceError(f"{self.address} has no frame to hand over", device=str(self.address))
        patience = _FIRST_BYTE + self.transfer_time()
        (width, height), self._shape = self._shape, None
        got = await self.alpaca.download("imagearray", patience, MEDIA_TYPE, largest(width, height))

        def failed(number: int, message: str) -> PytelError:
            return self.alpaca.error("imagearray", number, message)

        return await in_thread(frame_of, got, width, height, str(self.address), failed)

    async def reconnect(self) -> None:
        """Have the device connect to its hardware anew."""
        await self.alpaca.put("connected", self.config.connect_time, Connected=False)
        await self.connect_device()

    # cooler

    async def set_setpoint(self, setpoint: Celsius | None) -> None:
        """Cool, or switch the cooler off."""
        if setpoint is not None:
            await self.alpaca.put("setccdtemperature", self.config.answer_time, SetCCDTemperature=setpoint)
        try:
            await self.alpaca.put("cooleron", self.config.answer_time, CoolerOn=setpoint is not None)
        except (MethodNotFound, InvalidParams):
            if setpoint is None:
                raise
