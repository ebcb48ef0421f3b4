"""What the observer does with the devices: open, point, focus, expose, park. Every wait has a deadline."""

from __future__ import annotations

import asyncio

from pytel.base import clock
from pytel.base.errors import Busy, DeviceError, ModuleNotFound, NotReady, PytelError, Timeout
from pytel.base.units import Celsius, Seconds
from pytel.interfaces.acquisition import Acquisition
from pytel.interfaces.autofocus import AutoFocus, FocusResult
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus
from pytel.interfaces.cover import CalibratorStatus, CoverCalibrator, CoverCalibratorState, CoverStatus
from pytel.interfaces.enclosure import Enclosure, EnclosureCapabilities, EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore
from pytel.interfaces.tasks import Exposures, Target
from pytel.interfaces.telescope import Telescope, TelescopeState, TelescopeStatus
from pytel.observing.together import together
from pytel.services import Module
from pytel.sky.coordinates import local_sidereal_time

MOTION: Seconds = 600.0
"""No slew, parking, roof or focuser takes longer."""
FOCUS_RUN: Seconds = 1800.0
ACQUISITION: Seconds = 900.0


class Rig:
    """The devices of a group, as one instrument."""

    def __init__(self, module: Module) -> None:
        self._module = module
        module.follow(CameraState, CoverCalibratorState, EnclosureState, FilterWheelState, FocuserState, TelescopeState)

    # enclosure

    def opening_fault(self) -> str | None:
        """Why one cannot look at the sky now, None when the enclosure is open (or there is none)."""
        state = self._module.latest(EnclosureState)
        if state is None:
            return "the enclosure does not answer" if self._module.has(Enclosure) else None
        return None if state.status is EnclosureStatus.OPEN else f"the enclosure is {state.status.value}"

    @property
    def _is_closing(self) -> bool:
        state = self._module.latest(EnclosureState)
        return state is not None and state.status is EnclosureStatus.CLOSING

    @property
    def is_closed(self) -> bool:
        """Whether the enclosure says that it is closed."""
        state = self._module.latest(EnclosureState)
        return state is not None and state.status is EnclosureStatus.CLOSED

    async def open(self) -> None:
        """Open the enclosure. Raises `Unsafe`, `DeviceError`, `DeviceTimeout`; `Busy` while it still closes."""
        if self.opening_fault() is None:
            return
        enclosure = self._module.find(Enclosure, deadline=await self._opening_deadline())
        try:
            await enclosure.open()
        except Busy as error:
            if self._is_closing:
                raise
            name = str(self._module.address_of(enclosure))
            raise DeviceError(f"{name} cannot be opened now: {error.message}", device=name) from error

    async def close(self) -> None:
        """Close the enclosure and see that it is closed. Raises `DeviceError`, `DeviceTimeout`."""
        if self.is_closed or not self._module.has(Enclosure):
            return
        await self._module.find(Enclosure, deadline=await self._opening_deadline()).close()

    async def _opening_deadline(self) -> Seconds:
        try:
            able = await self._module.capabilities_of(EnclosureCapabilities)
        except PytelError:
            return MOTION
        return 4 * max(able.opening_time, able.closing_time) + 120.0

    # cover of the tube

    async def uncover(self) -> None:
        """Open the mirror cover, where there is one, with its lamp off. Raises `DeviceError`, `DeviceTimeout`."""
        state = self._module.latest(CoverCalibratorState)
        if state is None or state.cover in (CoverStatus.OPEN, CoverStatus.NOT_PRESENT):
            return
        cover = self._module.find(CoverCalibrator, deadline=MOTION)
        if state.calibrator in (CalibratorStatus.READY, CalibratorStatus.WARMING_UP):
            await cover.calibrator_off()
        await cover.open_cover()

    async def cover(self) -> None:
        """Close the mirror cover, where there is one. Raises `DeviceError`, `DeviceTimeout`."""
        state = self._module.latest(CoverCalibratorState)
        if state is not None and state.cover not in (CoverStatus.CLOSED, CoverStatus.NOT_PRESENT):
            await self._module.find(CoverCalibrator, deadline=MOTION).close_cover()

    # telescope

    async def point(self, target: Target) -> None:
        """Slew to a target. A mount that fails is stopped, parked and asked once more."""
        telescope = self._module.find(Telescope, deadline=MOTION)
        await self._unpark()
        try:
            await telescope.move_radec(target.ra, target.dec)
        except (DeviceError, Timeout) as error:
            self._module.log.warning("the slew failed and is tried again after parking: %s", error)
            await telescope.stop()
            await telescope.park()
            await telescope.unpark()
            await telescope.move_radec(target.ra, target.dec)

    async def acquire(self, target: Target) -> None:
        """Bring a target to the middle of the detector, where a module for it is there; the telescope points there.

        Raises `AcquisitionFailed` and what devices raise.
        """
        if self._module.has(Acquisition):
            await self._module.find(Acquisition, deadline=ACQUISITION).acquire(target.ra, target.dec)

    async def point_high(self) -> None:
        """Slew to a field near the zenith, where any focus frame is good."""
        location = self._module.site.location
        ra = local_sidereal_time(clock.time(), location)
        dec = max(-85.0, min(85.0, location.latitude))
        await self.point(Target(name="zenith", ra=ra, dec=dec))

    async def park(self) -> None:
        """Park the telescope. Raises `DeviceError`, `DeviceTimeout`."""
        state = self._module.latest(TelescopeState)
        if self._module.has(Telescope) and (state is None or state.status is not TelescopeStatus.PARKED):
            await self._module.find(Telescope, deadline=MOTION).park()

    async def _unpark(self) -> None:
        state = self._module.latest(TelescopeState)
        if state is not None and state.status is TelescopeStatus.PARKED:
            await self._module.find(Telescope, deadline=MOTION).unpark()

    # filter and focus

    async def prepare(self, target: Target, series: Exposures) -> None:
        """Slew and change the filter at the same time."""
        await together(self.point(target), self.set_filter(series.filter))

    async def set_filter(self, name: str | None) -> None:
        """Put a filter into the beam and shift the focus for it. Raises `InvalidParams` for an unknown one."""
        if name is None:
            return
        state = self._module.latest(FilterWheelState)
        if state is None or state.filter != name:
            await self._module.find(FilterWheel, deadline=MOTION).set_filter(name)
        await self._shift_focus(name)

    async def _shift_focus(self, name: str) -> None:
        if not self._module.has(Focuser):
            return
        able = await self._module.capabilities_of(FilterWheelCapabilities)
        offset = next((known.focus_offset for known in able.filters if known.name == name), 0.0)
        state = self._module.latest(FocuserState)
        if state is None or abs(state.offset - offset) > 1e-6:
            await self._module.find(Focuser, deadline=MOTION).set_focus_offset(offset)

    async def focus(self) -> FocusResult:
        """Run the autofocus. Raises `FocusFailed` and what devices raise."""
        return await self._module.find(AutoFocus, deadline=FOCUS_RUN).focus()

    # camera

    async def cool(self, setpoint: Celsius | None) -> None:
        """Cool the camera, or let it warm up."""
        if (await self._module.capabilities_of(CameraCapabilities)).has_cooler:
            await self._module.find(Camera).set_cooling(setpoint)

    async def expose(self, series: Exposures) -> ImageRef:
        """Take one frame of a series; done when the store has it. Raises `ModuleNotFound` when no store is there."""
        if not self._module.has(ImageStore):
            raise ModuleNotFound("no image store is there to take a frame; is it started?", device="store")
        readout = (await self._module.capabilities_of(CameraCapabilities)).readout_time
        camera = self._module.find(Camera, deadline=1.5 * series.exposure_time + 3 * readout + 180.0)
        return await camera.expose(series.exposure_time, frame_type=series.frame_type, binning=series.binning)

    async def abort_exposure(self) -> None:
        """Stop what the camera may still be doing; a camera that does not answer is left alone."""
        try:
            await self._module.find(Camera).abort_exposure()
        except PytelError as error:
            self._module.log.info("the exposure could not be aborted: %s", error)

    async def camera_settled(self, within: Seconds) -> None:
        """Wait until the camera is idle, so that whatever it took is on its way. Raises `NotReady`."""
        ends = clock.time() + within
        while (state := self._module.latest(CameraState)) is None or state.status is not CameraStatus.IDLE:
            if clock.time() >= ends:
                status = "away" if state is None else state.status.value
                raise NotReady(f"the camera is {status}: it does not become idle")
            await clock.sleep(1.0)

    async def secure(self) -> list[PytelError]:
        """Park, cover and close at the same time, as far as each can; tells what failed."""
        results = await asyncio.gather(self.park(), self.cover(), self.close(), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, PytelError):
                raise failure
        return [failure for failure in failures if isinstance(failure, PytelError)]
