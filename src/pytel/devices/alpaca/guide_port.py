"""Guide ports of Alpaca: mounts and cameras that take timed pulses."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError, InvalidParams, MethodNotFound
from pytel.base.units import Duration
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.guideport import GuideDirection
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.guide_port import BaseGuidePort

_NUMBERS = {
    GuideDirection.NORTH: 0,
    GuideDirection.SOUTH: 1,
    GuideDirection.EAST: 2,
    GuideDirection.WEST: 3,
}
"""GuideDirections of ASCOM."""


class PulseDevice(StrEnum):
    """What gives the pulses."""

    TELESCOPE = "telescope"
    CAMERA = "camera"


class AlpacaGuidePort(AlpacaDriver, BaseGuidePort):
    """Gives pulses through a mount or a camera of an Alpaca server."""

    class Config(BaseGuidePort.Config, frozen=True, kw_only=True):
        """The device: a mount, or a camera with an ST-4 socket."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        device: PulseDevice = PulseDevice.TELESCOPE

    config: Config

    async def on_start(self) -> None:
        """Connect."""
        self.device_type = self.config.device.value
        await self.connect_device()

    async def read_capabilities(self) -> None:
        """Read the guide rates, which only mounts tell, in degrees per second."""
        if not await self.alpaca.flag("canpulseguide", ANSWER):
            raise DeviceError(
                f"{self.address}: this {self.config.device.value} takes no guide pulses (CanPulseGuide)",
                device=str(self.address),
            )
        rates = [await self.optional(f"guiderate{axis}") for axis in ("rightascension", "declination")]
        if rates[0] and rates[1] and min(rates[0], rates[1]) > 0:
            self.fit(rate_ra=3600.0 * rates[0], rate_dec=3600.0 * rates[1])

    async def begin_pulse(self, direction: GuideDirection, duration: Duration) -> None:
        """Start to move. A device that answers when the pulse is over may take that long."""
        await self.alpaca.put(
            "pulseguide",
            self.config.answer_time + duration,
            Direction=_NUMBERS[direction],
            Duration=round(1000.0 * duration),
        )

    async def is_guiding(self, direction: GuideDirection) -> bool:
        """Ask whether it moves; Alpaca does not tell the axes apart: one goes by time while the other moves."""
        other = self._ra if direction in (GuideDirection.NORTH, GuideDirection.SOUTH) else self._dec
        return other is None and await self.alpaca.flag("ispulseguiding", ANSWER)

    async def end_pulses(self) -> None:
        """Stop both axes, by pulses of no length; devices that know no such thing go on to the end of theirs."""
        for direction in (GuideDirection.NORTH, GuideDirection.EAST):
            with contextlib.suppress(InvalidParams, MethodNotFound):
                await self.alpaca.put("pulseguide", ANSWER, Direction=_NUMBERS[direction], Duration=0)
