"""Dust caps and flat-field lamps of INDI."""

from __future__ import annotations

from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Fraction
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.interfaces.cover import CalibratorStatus, CoverStatus
from pytel.services.cover import BaseCoverCalibrator, CoverReading

_CAP, _LIGHT, _INTENSITY = "CAP_PARK", "FLAT_LIGHT_CONTROL", "FLAT_LIGHT_INTENSITY"
_VALUE = "FLAT_LIGHT_INTENSITY_VALUE"


class IndiCover(IndiDriver, BaseCoverCalibrator):
    """Drives a dust cap, a light box or both in one of an INDI server."""

    class Config(BaseCoverCalibrator.Config, frozen=True, kw_only=True):
        """The device; what it has is read at each connect."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0

    config: Config

    async def on_start(self) -> None:
        """Connect, and wait for cap or lamp."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Find out whether there is a cap, a lamp, and how finely that can be set."""
        from pytel.base import clock

        async with clock.deadline(self.config.connect_time):
            while not (self.indi.has(_CAP) or self.indi.has(_LIGHT)):
                await clock.sleep(0.2)
        if self.indi.has(_INTENSITY):
            highest = round(self.indi.vector(_INTENSITY).members[_VALUE].maximum)
            self.fit(brightness_levels=max(highest, 1))

    async def read_cover(self) -> CoverReading:
        """Read what it has told last."""
        return CoverReading(self._cover(), *self._lamp())

    def _cover(self) -> CoverStatus:
        if not self.indi.has(_CAP):
            return CoverStatus.NOT_PRESENT
        cap = self.indi.vector(_CAP)
        if cap.state is PropertyState.ALERT:
            return CoverStatus.ERROR
        opens, closes = cap.members_on("UNPARK"), cap.members_on("PARK")
        if opens == closes:
            return CoverStatus.UNKNOWN
        if cap.state is PropertyState.BUSY:
            return CoverStatus.OPENING if opens else CoverStatus.CLOSING
        return CoverStatus.OPEN if opens else CoverStatus.CLOSED

    def _lamp(self) -> tuple[CalibratorStatus, Fraction | None]:
        if not self.indi.has(_LIGHT):
            return CalibratorStatus.NOT_PRESENT, None
        light = self.indi.vector(_LIGHT)
        if light.state is PropertyState.ALERT:
            return CalibratorStatus.ERROR, None
        if not light.members_on("FLAT_LIGHT_ON"):
            return CalibratorStatus.OFF, 0.0
        return CalibratorStatus.READY, self._brightness()

    def _brightness(self) -> Fraction:
        if not self.indi.has(_INTENSITY):
            return 1.0
        return min(1.0, max(0.0, self.indi.number(_INTENSITY, _VALUE) / self.config.brightness_levels))

    async def begin_open(self) -> None:
        """Start to open."""
        await self._set_cap("UNPARK")

    async def begin_close(self) -> None:
        """Start to close."""
        await self._set_cap("PARK")

    async def _set_cap(self, member: str) -> None:
        if not self.indi.has(_CAP):
            raise DeviceError(f"{self.indi.name} has no cap", device=str(self.address))
        await self.indi.set(_CAP, {member: True}, self.config.answer_time, done=lambda now: now.members_on(member))

    async def halt(self) -> None:
        """Stop, where the device can."""
        if self.indi.has("CAP_ABORT"):
            await self.indi.set("CAP_ABORT", {"ABORT": True}, self.config.answer_time)

    async def set_lamp(self, brightness: Fraction) -> None:
        """Switch the lamp on or off."""
        patience = self.config.answer_time
        member = "FLAT_LIGHT_ON" if brightness > 0 else "FLAT_LIGHT_OFF"
        await self.indi.set(_LIGHT, {member: True}, patience, done=lambda now: now.members_on(member))
        if brightness > 0 and self.indi.has(_INTENSITY):
            level = max(1.0, float(round(brightness * self.config.brightness_levels)))
            await self.indi.set(_INTENSITY, {_VALUE: level}, patience)
