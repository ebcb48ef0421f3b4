"""Rotators of Alpaca."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base.units import Degrees, Duration
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.rotator import BaseRotator, RotatorReading


class AlpacaRotator(AlpacaDriver, BaseRotator):
    """Drives a rotator of an Alpaca server by its mechanical angle (IRotatorV3 or later)."""

    class Config(BaseRotator.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0

    config: Config
    device_type = "rotator"

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()
        await super().on_start()

    async def read_rotator(self) -> RotatorReading:
        """Ask where it stands."""
        moving = await self.alpaca.flag("ismoving", ANSWER)
        return RotatorReading(await self.alpaca.number_of("mechanicalposition", ANSWER), moving)

    async def begin_turn(self, mechanical: Degrees) -> None:
        """Start to turn."""
        await self.alpaca.put("movemechanical", self.config.answer_time, Position=mechanical % 360.0)

    async def halt(self) -> None:
        """Stop at once."""
        await self.alpaca.put("halt", ANSWER)
