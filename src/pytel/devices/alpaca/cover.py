"""Dust caps and flat-field lamps of Alpaca (CoverCalibrator)."""

from __future__ import annotations

import contextlib
from typing import Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError, MethodNotFound
from pytel.base.units import Duration, Fraction
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.cover import CalibratorStatus, CoverStatus
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.cover import BaseCoverCalibrator, CoverReading

_COVER = (
    CoverStatus.NOT_PRESENT,
    CoverStatus.CLOSED,
    CoverStatus.STOPPED,
    CoverStatus.OPEN,
    CoverStatus.UNKNOWN,
    CoverStatus.ERROR,
)
"""By CoverStatus of ASCOM, from 0; 2 is Moving."""
_MOVING = 2
_LAMP = (
    CalibratorStatus.NOT_PRESENT,
    CalibratorStatus.OFF,
    CalibratorStatus.WARMING_UP,
    CalibratorStatus.READY,
    CalibratorStatus.ERROR,
    CalibratorStatus.ERROR,
)
"""By CalibratorStatus of ASCOM, from 0; 4 is Unknown."""


class AlpacaCover(AlpacaDriver, BaseCoverCalibrator):
    """Drives a dust cap, a lamp or both in one of an Alpaca server."""

    class Config(BaseCoverCalibrator.Config, frozen=True, kw_only=True):
        """The device; what it has is read at each connect."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0

    config: Config
    device_type = "covercalibrator"
    _opens = False

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Find out how finely the lamp can be set, if there is one."""
        highest = await self.optional("maxbrightness")
        if highest is not None and highest >= 1:
            self.fit(brightness_levels=round(highest))

    async def read_cover(self) -> CoverReading:
        """Ask for cap and lamp."""
        cover, lamp = await self._number("coverstate"), await self._number("calibratorstate")
        status = _COVER[cover]
        if cover == _MOVING:
            status = CoverStatus.OPENING if self._opens else CoverStatus.CLOSING
        return CoverReading(status, _LAMP[lamp], await self._brightness(_LAMP[lamp]))

    async def _number(self, member: str) -> int:
        number = await self.alpaca.whole(member, ANSWER)
        if not 0 <= number < len(_COVER):
            raise DeviceError(f"{self.address}: {member} is 0 to 5, not {number}", device=str(self.address))
        return number

    async def _brightness(self, lamp: CalibratorStatus) -> Fraction | None:
        if lamp is CalibratorStatus.OFF:
            return 0.0
        if lamp in (CalibratorStatus.NOT_PRESENT, CalibratorStatus.ERROR):
            return None
        told = await self.alpaca.number_of("brightness", ANSWER)
        return min(1.0, max(0.0, told / self.config.brightness_levels))

    async def begin_open(self) -> None:
        """Start to open."""
        self._opens = True
        await self.alpaca.put("opencover", self.config.answer_time)

    async def begin_close(self) -> None:
        """Start to close."""
        self._opens = False
        await self.alpaca.put("closecover", self.config.answer_time)

    async def halt(self) -> None:
        """Stop, where the device can."""
        with contextlib.suppress(MethodNotFound):
            await self.alpaca.put("haltcover", self.config.answer_time)

    async def set_lamp(self, brightness: Fraction) -> None:
        """Switch the lamp on or off."""
        if brightness <= 0:
            await self.alpaca.put("calibratoroff", self.config.answer_time)
            return
        level = max(1, round(brightness * self.config.brightness_levels))
        await self.alpaca.put("calibratoron", self.config.answer_time, Brightness=level)
