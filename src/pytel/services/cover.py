"""The base of every mirror cover and flat-field lamp: calculated time-outs and state."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import NamedTuple

from pytel.base import clock
from pytel.base.errors import Cancelled, DeviceError, DeviceTimeout, PytelError
from pytel.base.units import Duration, Fraction, Seconds
from pytel.interfaces.cover import (
    CalibratorStatus,
    CoverCalibrator,
    CoverCalibratorCapabilities,
    CoverCalibratorState,
    CoverStatus,
)
from pytel.module import Capabilities, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.services.module import Module
from pytel.services.timing import MARGIN, answered, patient

_POLL = 0.5


class CoverReading(NamedTuple):
    """What the device says of itself; `brightness` is the fraction of the lamp's full light."""

    cover: CoverStatus
    calibrator: CalibratorStatus
    brightness: Fraction | None = None


class BaseCoverCalibrator(Module, CoverCalibrator, ABC):
    """What all covers and lamps share; a driver writes the hooks, each of which talks to the device and returns."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Speed of the cover and of the lamp."""

        opening_time: Duration = 10.0
        warm_up_time: Duration = 2.0
        extra_time: Duration = 5.0
        """Added to each calculated time-out."""
        answer_time: Duration = 5.0
        poll_period: Duration = 30.0
        brightness_levels: int = 100

    config: Config
    _told: CoverCalibratorState | None = None

    # hooks

    @abstractmethod
    async def read_cover(self) -> CoverReading:
        """Ask where the cover is and whether the lamp shines."""

    @abstractmethod
    async def begin_open(self) -> None:
        """Start to open."""

    @abstractmethod
    async def begin_close(self) -> None:
        """Start to close."""

    @abstractmethod
    async def halt(self) -> None:
        """Stop the cover at once."""

    @abstractmethod
    async def set_lamp(self, brightness: Fraction) -> None:
        """Switch the lamp on, or off with 0."""

    # state

    async def on_start(self) -> None:
        """Reach the device once before serving."""
        self._closing = asyncio.Event()
        self._stopped = asyncio.Event()
        self._first = await self._look()

    def capabilities(self) -> list[Capabilities]:
        """Tell what the device has."""
        has_lamp = self._first.calibrator is not CalibratorStatus.NOT_PRESENT
        return [
            CoverCalibratorCapabilities(
                has_cover=self._first.cover is not CoverStatus.NOT_PRESENT,
                has_calibrator=has_lamp,
                brightness_levels=self.config.brightness_levels if has_lamp else 0,
                opening_time=self.config.opening_time,
                warm_up_time=self.config.warm_up_time,
            )
        ]

    @every("poll_period")
    async def poll(self) -> None:
        """Read the device."""
        try:
            await self._look()
        except PytelError:
            self._tell(CoverReading(CoverStatus.UNKNOWN, CalibratorStatus.ERROR))
            raise

    async def _look(self) -> CoverReading:
        reading = await answered(self.read_cover(), self.config.answer_time, str(self.address), "tell where it is")
        self.clear_alarm("poll")
        self._tell(reading)
        return reading

    def _tell(self, reading: CoverReading) -> None:
        state = CoverCalibratorState(cover=reading.cover, calibrator=reading.calibrator, brightness=reading.brightness)
        if state != self._told:
            self._told = state
            self.publish(state)

    # cover

    @rpc(long=True)
    async def open_cover(self) -> None:
        """Open; a closing that is asked for meanwhile wins."""
        self._closing.clear()
        await self._move(CoverStatus.OPEN)

    @rpc(long=True)
    async def close_cover(self) -> None:
        """Close."""
        self._closing.set()
        await self._move(CoverStatus.CLOSED)

    def estimate_open_cover(self) -> Seconds:
        """The time of the whole way."""
        return self.config.opening_time

    def estimate_close_cover(self) -> Seconds:
        """The time of the whole way."""
        return self.config.opening_time

    async def stop_cover(self) -> None:
        """Stop the cover where it is."""
        self._stopped.set()
        await answered(self.halt(), self.config.answer_time, str(self.address), "stop")
        await self._look()

    async def _move(self, wanted: CoverStatus) -> None:
        if (await self._look()).cover in (wanted, CoverStatus.NOT_PRESENT):
            return
        self._stopped.clear()
        begin = self.begin_open if wanted is CoverStatus.OPEN else self.begin_close
        try:
            await answered(begin(), self.config.answer_time, str(self.address), "begin to move")
            await self._arrived(wanted)
        except BaseException:
            # A closing protects the mirror and is not stopped, whoever goes away.
            if wanted is CoverStatus.OPEN and not self._closing.is_set():
                await self._halt_quietly()
            raise

    async def _arrived(self, wanted: CoverStatus) -> None:
        patience = self.config.opening_time * MARGIN + patient(self.config.extra_time, 2.0)
        ends = clock.time() + patience
        while (reading := await self._look()).cover is not wanted:
            self._refuse_overtaken(wanted)
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} is {reading.cover.value}, not {wanted.value}, after {patience:.0f} s; look at it",
                    device=str(self.address),
                )
            await clock.sleep(_POLL)

    async def _halt_quietly(self) -> None:
        try:
            await answered(self.halt(), self.config.answer_time, str(self.address), "stop")
        except PytelError as error:
            self.log.warning("it could not be stopped: %s", error)

    def _refuse_overtaken(self, wanted: CoverStatus) -> None:
        if self._stopped.is_set():
            raise Cancelled(f"{self.address} was stopped")
        if wanted is CoverStatus.OPEN and self._closing.is_set():
            raise Cancelled(f"{self.address} was told to close")

    # lamp

    @rpc(long=True)
    async def calibrator_on(self, brightness: Fraction) -> None:
        """Switch the lamp on and wait for a steady light."""
        self._refuse_no_lamp((await self._look()).calibrator)
        await answered(self.set_lamp(brightness), self.config.answer_time, str(self.address), "switch its lamp on")
        patience = self.config.warm_up_time * MARGIN + patient(self.config.extra_time, 2.0)
        ends = clock.time() + patience
        await clock.sleep(self.config.warm_up_time)
        while (reading := await self._look()).calibrator is not CalibratorStatus.READY:
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"the lamp of {self.address} is {reading.calibrator.value} after {patience:.0f} s; look at it",
                    device=str(self.address),
                )
            await clock.sleep(_POLL)

    async def calibrator_off(self) -> None:
        """Switch the lamp off."""
        self._refuse_no_lamp((await self._look()).calibrator)
        await answered(self.set_lamp(0.0), self.config.answer_time, str(self.address), "switch its lamp off")
        await self._look()

    def _refuse_no_lamp(self, status: CalibratorStatus) -> None:
        if status is CalibratorStatus.NOT_PRESENT:
            raise DeviceError(f"{self.address} has no lamp", device=str(self.address))
