"""The base of every camera: limits, the exposure with its calculated time-outs, headers, and the way into the store.

A camera that hangs is named in a `DeviceTimeout`, its exposure is thrown away and its connection renewed, so that the
next exposure has a chance. Whoever cancels an exposure ends it in the hardware too.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pytel.base import clock
from pytel.base.errors import Cancelled, DeviceError, DeviceTimeout, InvalidParams, LimitExceeded, PytelError
from pytel.base.units import Adu, Celsius, Degrees, Duration, Electrons, ElectronsPerAdu, Micrometres, Percent, Seconds
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus, Window
from pytel.interfaces.fitsheaders import ExposureMoment
from pytel.interfaces.images import FrameType, ImageRef, NewImage
from pytel.module import Capabilities, limit, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.services.exposure import Exposure, write_exposure
from pytel.services.headers import CollectedHeaders, collect_headers, merge_headers
from pytel.services.module import Module
from pytel.services.timing import answered, patient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytel.imaging.stored import StoredFrame

_DARK = frozenset({FrameType.BIAS, FrameType.DARK})
_OF_THE_TASK = frozenset({"TASKID", "TASKEXP"})
"""Cards of the exposure that a guider's frames accompany: these frames are none of its task."""


class CameraPhase(StrEnum):
    """What the electronics do; `READY`: a frame waits to be read."""

    IDLE = "idle"
    EXPOSING = "exposing"
    READING = "reading"
    READY = "ready"


class CameraReading(NamedTuple):
    """What the camera says of itself."""

    phase: CameraPhase
    temperature: Celsius | None = None
    setpoint: Celsius | None = None
    cooler_power: Percent | None = None


class ExposureSettings(NamedTuple):
    """What is asked of the hardware; the window in unbinned pixels."""

    exposure_time: Seconds
    shutter: bool
    binning: int
    window: Window


class BaseCamera(Module, Camera, ABC):
    """What all cameras share; a driver writes the hooks, each of which talks to the hardware and returns at once
    (`read_frame` when the frame is there).

    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The detector and its place behind the telescope."""

        width: int = 2048
        height: int = 2048
        pixel_size: Micrometres = 9.0
        gain: ElectronsPerAdu = 1.5
        read_noise: Electrons = 6.0
        saturation: Adu = 65535.0
        binnings: tuple[int, ...] = (1, 2, 3, 4)
        readout_time: Duration = 3.0
        max_exposure_time: Duration = 7200.0
        has_shutter: bool = True
        has_cooler: bool = True
        setpoint: Celsius | None = None
        """Cool to this at the start; left as it is otherwise."""
        rotation: Degrees = 0.0
        """Position angle of the image's upward direction, from north through east."""
        flipped: bool = False
        """An odd number of mirrors: with north up, east is right."""
        focal_length: float | None = None
        """Millimetres, for the pixel scale; the telescope's FOCALLEN otherwise."""
        compress: bool = False
        """Write Rice-compressed images."""
        camera_name: str | None = None
        """For the header (INSTRUME); the module's address otherwise."""
        header_deadline: Duration = 5.0
        answer_time: Duration = 10.0
        extra_time: Duration = 10.0
        """Added to exposure and read-out before the camera counts as hanging."""
        poll_period: Duration = 30.0

    config: Config
    _exposing: Exposure | None = None
    _status = CameraStatus.IDLE
    _last_image: ImageRef | None = None
    _reading = CameraReading(CameraPhase.IDLE)

    # hooks

    @abstractmethod
    async def read_camera(self) -> CameraReading:
        """Ask what the camera does."""

    @abstractmethod
    async def begin_exposure(self, settings: ExposureSettings) -> None:
        """Start to expose."""

    @abstractmethod
    async def end_exposure(self) -> None:
        """Close the shutter now and keep what was collected."""

    @abstractmethod
    async def abort(self) -> None:
        """Throw the exposure away; harmless when there is none."""

    @abstractmethod
    async def read_frame(self) -> NDArray[np.uint16] | StoredFrame:
        """Fetch the frame: rows from the bottom, columns."""

    async def set_setpoint(self, setpoint: Celsius | None) -> None:
        """Cool to a temperature, or switch the cooler off."""

    async def reconnect(self) -> None:
        """Renew the connection after a failure."""

    # state

    async def on_start(self) -> None:
        """Reach the camera, end what a former start left exposing, and begin to cool."""
        self._aborted = asyncio.Event()
        reading = await self._look()
        if reading.phase is not CameraPhase.IDLE:
            await self._ask_abort()
        if self.config.setpoint is not None and self.config.has_cooler:
            await answered(
                self.set_setpoint(self.config.setpoint), self.config.answer_time, str(self.address), "begin to cool"
            )

    def capabilities(self) -> list[Capabilities]:
        """Tell the detector."""
        config = self.config
        return [
            CameraCapabilities(
                width=config.width,
                height=config.height,
                pixel_size=config.pixel_size,
                gain=config.gain,
                read_noise=config.read_noise,
                saturation=config.saturation,
                binnings=config.binnings,
                readout_time=config.readout_time,
                has_shutter=config.has_shutter,
                has_cooler=config.has_cooler,
                max_exposure_time=config.max_exposure_time,
            )
        ]

    @every("poll_period")
    async def poll(self) -> None:
        """Read the temperature, between exposures."""
        if self._exposing is not None:
            return
        try:
            await self._look()
        except PytelError:
            self._status = CameraStatus.ERROR
            self._tell()
            raise
        self._status = CameraStatus.IDLE if self._exposing is None else self._status
        self._tell()

    async def _look(self) -> CameraReading:
        self._reading = await answered(
            self.read_camera(), self.config.answer_time, str(self.address), "tell what it does"
        )
        self.clear_alarm("poll")
        return self._reading

    def _tell(self) -> None:
        exposing, reading = self._exposing, self._reading
        elapsed = None if exposing is None else min(exposing.exposure_time, exposing.elapsed())
        whole = 0.0 if exposing is None else exposing.exposure_time
        self.publish(
            CameraState(
                status=self._status,
                exposure_time=None if exposing is None else whole,
                remaining=None if elapsed is None else whole - elapsed,
                progress=None if elapsed is None else (elapsed / whole if whole else 1.0),
                frame_type=None if exposing is None else exposing.frame_type,
                temperature=reading.temperature,
                setpoint=reading.setpoint,
                cooler_power=reading.cooler_power,
                last_image=self._last_image,
            )
        )

    # calls

    @rpc(long=True)
    async def expose(
        self,
        exposure_time: Duration,
        frame_type: FrameType = FrameType.OBJECT,
        binning: int = 1,
        window: Window | None = None,
    ) -> ImageRef:
        """Take one image; done when the store has it."""
        new = await self._expose(self._checked(exposure_time, frame_type, binning, window), frame_type)
        self.publish(new)
        return new.image

    @rpc(long=True)
    async def take_guide_frame(
        self, exposure_time: Duration, binning: int = 1, window: Window | None = None
    ) -> ImageRef:
        """Take a frame that nobody archives; done when the store has it."""
        settings = self._checked(exposure_time, FrameType.GUIDE, binning, window)
        return (await self._expose(settings, FrameType.GUIDE)).image

    async def _expose(self, settings: ExposureSettings, frame_type: FrameType) -> NewImage:
        self._aborted.clear()
        headers = asyncio.create_task(self._headers(ExposureMoment.START))
        try:
            exposure = await self._take(settings, frame_type)
            self._last_image, new = await self._keep(exposure, await headers)
            self._status = CameraStatus.IDLE
        except BaseException:
            self._status = CameraStatus.ERROR
            await self._recover()
            raise
        finally:
            headers.cancel()
            await asyncio.wait([headers])
            self._exposing = None
            self._tell()
        self.clear_alarm("exposure")
        return new

    def estimate_take_guide_frame(
        self, exposure_time: Duration, binning: int = 1, window: Window | None = None
    ) -> Seconds:
        """Exposure and read-out."""
        return exposure_time + self.config.readout_time

    def estimate_expose(
        self,
        exposure_time: Duration,
        frame_type: FrameType = FrameType.OBJECT,
        binning: int = 1,
        window: Window | None = None,
    ) -> Seconds:
        """Exposure and read-out."""
        return exposure_time + self.config.readout_time

    async def stop_exposure(self) -> None:
        """End the exposure now and keep what was collected; harmless when there is none."""
        if self._status is CameraStatus.EXPOSING and self._exposing is not None:
            await answered(self.end_exposure(), self.config.answer_time, str(self.address), "end the exposure")
            self._exposing.ended = clock.now()

    async def abort_exposure(self) -> None:
        """End the exposure now and throw it away; harmless when there is none."""
        self._aborted.set()

    async def set_cooling(self, setpoint: Celsius | None) -> None:
        """Cool, or switch the cooler off. Raises `LimitExceeded` when there is no cooler."""
        if not self.config.has_cooler:
            raise LimitExceeded(f"{self.address} has no cooler", device=str(self.address))
        await answered(self.set_setpoint(setpoint), self.config.answer_time, str(self.address), "set its cooler")
        await self._look()
        self._tell()

    # the exposure

    def _checked(
        self, exposure_time: Duration, frame_type: FrameType, binning: int, window: Window | None
    ) -> ExposureSettings:
        config = self.config
        limit(exposure_time, 0.0, config.max_exposure_time, "an exposure time", "s")
        if binning not in config.binnings:
            raise InvalidParams(f"{self.address} bins by {', '.join(map(str, config.binnings))}, not by {binning}")
        part = window or Window(x=0, y=0, width=config.width, height=config.height)
        inside = 0 <= part.x <= part.x + part.width <= config.width
        inside = inside and 0 <= part.y <= part.y + part.height <= config.height
        if not (inside and min(part.width, part.height) >= binning):
            raise LimitExceeded(
                f"the window {part.width} x {part.height} at ({part.x}, {part.y}) is not within the "
                f"{config.width} x {config.height} pixels of {self.address}"
            )
        return ExposureSettings(exposure_time, frame_type not in _DARK, binning, part)

    async def _headers(self, moment: ExposureMoment) -> CollectedHeaders:
        return await collect_headers(self, moment, self.config.header_deadline)

    async def _take(self, settings: ExposureSettings, frame_type: FrameType) -> Exposure:
        """Expose and read out."""
        config = self.config
        before = await self._look()
        if before.phase is not CameraPhase.IDLE:
            await self._ask_abort()
        await answered(self.begin_exposure(settings), config.answer_time, str(self.address), "begin to expose")
        self._exposing = exposure = Exposure(
            frame_type=frame_type,
            exposure_time=settings.exposure_time,
            binning=settings.binning,
            window=settings.window,
            started=clock.now(),
        )
        exposure.temperature, exposure.setpoint = before.temperature, before.setpoint
        self._status = CameraStatus.EXPOSING
        await self._until_over(exposure)
        exposure.end_headers = asyncio.create_task(self._headers(ExposureMoment.END))
        try:
            self._status = CameraStatus.READING
            self._tell()
            await self._until_ready()
            real = 10.0 + self.transfer_time()
            exposure.pixels = await answered(
                self.read_frame(), self._readout_patience(), str(self.address), "hand over its frame", real=real
            )
            exposure.cards_at_end = await exposure.end_headers
        finally:
            exposure.end_headers.cancel()
            await asyncio.wait([exposure.end_headers])
        return exposure

    def transfer_time(self) -> Seconds:
        """Real seconds that the frame, once read out, may take to come here; 0 where it has no way to go."""
        return 0.0

    def _readout_patience(self) -> Seconds:
        return 1.5 * self.config.readout_time + patient(self.config.extra_time, 2.0)

    async def _until_over(self, exposure: Exposure) -> None:
        """Wait while the shutter is open. Raises `DeviceTimeout` when the camera goes on exposing."""
        patience = exposure.exposure_time + patient(self.config.extra_time, 2.0)
        step = min(5.0, max(1.0, exposure.exposure_time / 20))
        while True:
            self._tell()
            whole = exposure.exposure_time + self.config.readout_time
            self.report_progress(exposure.elapsed() / max(whole, 1e-3))
            left = exposure.exposure_time - exposure.elapsed()
            await clock.wait_for_event(self._aborted, min(step, left) if left > 0 else 0.5)
            self._refuse_aborted()
            if clock.time() < exposure.started.timestamp() + exposure.exposure_time and exposure.ended is None:
                if exposure.elapsed() % 10.0 < step:
                    await self._refuse_idle()
                continue
            if (await self._look()).phase is not CameraPhase.EXPOSING:
                break
            if exposure.elapsed() > patience:
                raise self._hangs("expose", patience)
        self._refuse_lost(self._reading)
        exposure.ended = exposure.ended or exposure.started + timedelta(seconds=exposure.exposure_time)

    async def _refuse_idle(self) -> None:
        """Notice early that an exposure is lost."""
        self._refuse_lost(await self._look())

    def _refuse_lost(self, reading: CameraReading) -> None:
        if reading.phase is CameraPhase.IDLE:
            raise DeviceError(f"{self.address} has lost its exposure; take it again", device=str(self.address))

    async def _until_ready(self) -> None:
        patience = self._readout_patience()
        ends = clock.time() + patience
        while (await self._look()).phase is not CameraPhase.READY:
            self._refuse_lost(self._reading)
            if clock.time() >= ends:
                raise self._hangs("read its detector out", patience)
            await clock.wait_for_event(self._aborted, 0.5)
            self._refuse_aborted()

    def _refuse_aborted(self) -> None:
        if self._aborted.is_set():
            raise Cancelled(f"the exposure of {self.address} was aborted")

    def _hangs(self, what: str, patience: Seconds) -> DeviceTimeout:
        error = DeviceTimeout(
            f"{self.address} did not {what} within {patience:.0f} s; if it does so again, switch it off and on",
            device=str(self.address),
        )
        self.raise_alarm("exposure", error)
        return error

    async def _recover(self) -> None:
        """Make the camera ready for the next exposure, after whatever happened."""
        try:
            await self._ask_abort()
            if (await self._look()).phase in (CameraPhase.EXPOSING, CameraPhase.READING):
                await answered(self.reconnect(), self.config.answer_time, str(self.address), "connect anew")
                await self._ask_abort()
        except PytelError as error:
            self.raise_alarm("exposure", error)
            return
        self._status = CameraStatus.IDLE

    async def _ask_abort(self) -> None:
        await answered(self.abort(), self.config.answer_time, str(self.address), "abort the exposure")

    # the image

    async def _keep(self, exposure: Exposure, at_start: CollectedHeaders) -> tuple[ImageRef, NewImage]:
        """Write the image with all its cards and commit it."""
        given = merge_headers(at_start, exposure.cards_at_end)
        if exposure.frame_type is FrameType.GUIDE:
            given = {keyword: card for keyword, card in given.items() if keyword not in _OF_THE_TASK}
        created: datetime = clock.now()
        ref = await self.images.put(
            lambda path: write_exposure(path, exposure, given, self.config, str(self.address), self.log, created)
        )
        exposure.pixels = None
        values = {keyword: card.value for keyword, card in given.items()}
        return ref, NewImage(
            image=ref,
            camera=str(self.address),
            frame_type=exposure.frame_type,
            exposure_time=exposure.true_time,
            start=exposure.started,
            filter=_text(values.get("FILTER")),
            object=_text(values.get("OBJECT")),
            task=_text(values.get("TASKID")),
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
