"""A camera of ours as ASCOM's ICameraV4: its pixels are counted from the upper left, ours from the lower left."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from pytel.base.units import Celsius
from pytel.gateway.alpaca.errors import VALUE_NOT_SET, AlpacaError, in_range, invalid_operation
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.picture import Picture
from pytel.gateway.alpaca.site import AlpacaSite, Client
from pytel.gateway.alpaca.subframe import SubFramed
from pytel.interfaces.camera import Camera, CameraState, CameraStatus
from pytel.interfaces.images import FrameType, ImageRef

_STATES = {CameraStatus.IDLE: 0, CameraStatus.EXPOSING: 2, CameraStatus.READING: 3, CameraStatus.ERROR: 5}
COLDEST: Celsius = -100.0
WARMEST: Celsius = 50.0


class AlpacaCamera(SubFramed):
    """Exposes, bins, cools; hands its last image out."""

    kind = "camera"
    type_name = "Camera"
    interface = Camera
    interface_version = 4
    constants = {  # noqa: RUF012 - declared as such by the base
        "CanAbortExposure": True,
        "CanAsymmetricBin": False,
        "CanFastReadout": False,
        "CanPulseGuide": False,
        "CanStopExposure": True,
        "ExposureMin": 0.0,
        "ExposureResolution": 0.0,
        "ReadoutMode": 0,
        "ReadoutModes": ["Normal"],
        "SensorType": 0,
    }
    missing = {  # noqa: RUF012
        "BayerOffsetX": None,
        "BayerOffsetY": None,
        "FastReadout": {"FastReadout": bool},
        "Gain": {"Gain": int},
        "GainMax": None,
        "GainMin": None,
        "Gains": None,
        "HeatSinkTemperature": None,
        "IsPulseGuiding": None,
        "Offset": {"Offset": int},
        "OffsetMax": None,
        "OffsetMin": None,
        "Offsets": None,
        "PulseGuide": {"Direction": int, "Duration": int},
        "SensorName": None,
        "SubExposureDuration": {"SubExposureDuration": float},
    }
    operational = (
        "CameraState",
        "CCDTemperature",
        "CoolerPower",
        "HeatSinkTemperature",
        "ImageReady",
        "IsPulseGuiding",
        "PercentCompleted",
    )
    _setpoint: Celsius | None = None
    _taken = False
    """Whether an exposure has been begun here since the start of the server."""

    def __init__(self, site: AlpacaSite, *where: Any) -> None:
        super().__init__(site, *where)
        self._reading = asyncio.Lock()
        self._last: Callable[[], Picture | None] = lambda: None
        """The picture that is being handed out, however many want it."""

    def _state(self) -> CameraState:
        return self.site.state(self.address, CameraState)

    # detector

    @get("CameraXSize")
    async def camera_x_size(self) -> int:
        """Unbinned pixels."""
        return (await self.detector()).width

    @get("CameraYSize")
    async def camera_y_size(self) -> int:
        """Unbinned pixels."""
        return (await self.detector()).height

    @get("PixelSizeX")
    async def pixel_size_x(self) -> float:
        """Micrometres."""
        return (await self.detector()).pixel_size

    @get("PixelSizeY")
    async def pixel_size_y(self) -> float:
        """Micrometres."""
        return (await self.detector()).pixel_size

    @get("ElectronsPerADU")
    async def electrons_per_adu(self) -> float:
        """The gain."""
        return (await self.detector()).gain

    @get("FullWellCapacity")
    async def full_well_capacity(self) -> float:
        """Electrons at which a pixel saturates."""
        detector = await self.detector()
        return detector.saturation * detector.gain

    @get("MaxADU")
    async def max_adu(self) -> int:
        """The largest value of a pixel."""
        return int((await self.detector()).saturation)

    @get("HasShutter")
    async def has_shutter(self) -> bool:
        """Whether dark frames are dark."""
        return (await self.detector()).has_shutter

    @get("ExposureMax")
    async def exposure_max(self) -> float:
        """Seconds."""
        longest = (await self.detector()).max_exposure_time
        if longest is None:
            raise absent("ExposureMax")
        return longest

    @put("ReadoutMode", ReadoutMode=int)
    def set_readout_mode(self, client: Client, mode: int) -> None:
        """There is one."""
        in_range(mode, 0, 0, "a readout mode")

    # cooling

    async def _cooled(self, what: str) -> CameraState:
        if not (await self.detector()).has_cooler:
            raise absent(what)
        return self._state()

    @get("CanSetCCDTemperature")
    async def can_set_ccd_temperature(self) -> bool:
        """Whether it cools."""
        return (await self.detector()).has_cooler

    @get("CanGetCoolerPower")
    async def can_get_cooler_power(self) -> bool:
        """Whether it cools and tells how much."""
        return (await self.detector()).has_cooler and self._state().cooler_power is not None

    @get("CCDTemperature")
    def ccd_temperature(self) -> float:
        """Degrees Celsius."""
        temperature = self._state().temperature
        if temperature is None:
            raise absent("CCDTemperature")
        return temperature

    @get("CoolerPower")
    async def cooler_power(self) -> float:
        """Percent."""
        power = (await self._cooled("CoolerPower")).cooler_power
        if power is None:
            raise absent("CoolerPower")
        return power

    @get("CoolerOn")
    async def cooler_on(self) -> bool:
        """Whether there is a set point."""
        return (await self._cooled("CoolerOn")).setpoint is not None

    @put("CoolerOn", CoolerOn=bool)
    async def set_cooler_on(self, client: Client, on: bool) -> None:
        """Cool to the set point, or no longer."""
        state = await self._cooled("CoolerOn")
        setpoint = await self.set_point() if on else None
        self._setpoint = self._setpoint if state.setpoint is None else state.setpoint
        await (await self.controlled(client, Camera)).set_cooling(setpoint)

    @get("SetCCDTemperature")
    async def set_point(self) -> float:
        """Degrees Celsius."""
        state = await self._cooled("SetCCDTemperature")
        setpoint = self._setpoint if state.setpoint is None else state.setpoint
        if setpoint is None:
            raise AlpacaError(VALUE_NOT_SET, "SetCCDTemperature has not been set")
        return setpoint

    @put("SetCCDTemperature", SetCCDTemperature=float)
    async def set_set_point(self, client: Client, setpoint: float) -> None:
        """Change the set point; an idle cooler stays idle."""
        state = await self._cooled("SetCCDTemperature")
        in_range(setpoint, COLDEST, WARMEST, "a set point")
        if state.setpoint is not None:
            await (await self.controlled(client, Camera)).set_cooling(setpoint)
        self._setpoint = setpoint

    # exposure

    @get("CameraState")
    def camera_state(self) -> int:
        """What it does."""
        status = self._state().status
        if status is CameraStatus.IDLE and self.operation.is_running:
            return 4  # the frame is on its way into the store
        return _STATES[status]

    @get("PercentCompleted")
    def percent_completed(self) -> int:
        """Of the exposure under way; 100 when there is an image."""
        if not self.operation.is_running:
            return 100 if self._taken else 0
        return max(0, min(100, int(100 * (self._state().progress or 0.0))))

    @get("ImageReady")
    def image_ready(self) -> bool:
        """Whether the exposure is over and its image can be fetched; raises the error of one that failed."""
        if self.operation.is_running:
            return False
        self.operation.check()
        return self._taken and self.operation.result is not None

    @put("StartExposure", Duration=float, Light=bool)
    async def start_exposure(self, client: Client, duration: float, light: bool) -> None:
        """Begin to expose."""
        longest = (await self.detector()).max_exposure_time
        in_range(duration, 0.0, 86400.0 if longest is None else longest, "an exposure time")
        if self.operation.is_running:
            raise invalid_operation(f"{self.address} exposes already; wait, or abort it")
        window = await self.window()
        kind = FrameType.OBJECT if light else FrameType.DARK if duration else FrameType.BIAS
        camera = await self.controlled(client, Camera)
        self.operation.result, self._taken = None, True
        await self.operation.begin(camera.expose(duration, kind, self.binning, window))

    @put("AbortExposure")
    async def abort_exposure(self, client: Client) -> None:
        """Throw the exposure away."""
        self.operation.excuse()
        if self.operation.is_running:
            self._taken = False
            await self.of(client, Camera).abort_exposure()

    @put("StopExposure")
    async def stop_exposure(self, client: Client) -> None:
        """End the exposure early and keep it."""
        if self.operation.is_running:
            await self.of(client, Camera).stop_exposure()

    # image

    async def picture(self) -> Picture:
        """The last image. Raises `AlpacaError` while there is none."""
        ref: ImageRef | None = self.operation.result
        if not self.image_ready() or ref is None:
            raise invalid_operation(f"{self.address} has no image; begin an exposure and wait for ImageReady")
        async with self._reading:
            picture = self._last()
            if picture is None or picture.ref != ref:
                picture = await Picture.read(self.site, ref)
                self._last = weakref.ref(picture)
            return picture

    @get("ImageArray")
    async def image_array(self) -> Picture:
        """Columns of pixels from the top."""
        return await self.picture()

    @get("ImageArrayVariant")
    async def image_array_variant(self) -> Picture:
        """The same: whole numbers."""
        return await self.picture()

    async def _card(self, keyword: str) -> Any:
        header = (await self.picture()).header
        if header.get(keyword) is None:
            raise invalid_operation(f"the last image of {self.address} does not tell its {keyword}")
        return header[keyword]

    @get("LastExposureDuration")
    async def last_exposure_duration(self) -> float:
        """Seconds."""
        return float(await self._card("EXPTIME"))

    @get("LastExposureStartTime")
    async def last_exposure_start_time(self) -> str:
        """UTC, as FITS writes it."""
        return str(await self._card("DATE-OBS"))
