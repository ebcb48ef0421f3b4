"""Focusers of Alpaca."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Micrometres, Millimetres
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.focuser import BaseFocuser, FocuserReading


class AlpacaFocuser(AlpacaDriver, BaseFocuser):
    """Drives a focuser of an Alpaca server that knows where it stands; it counts in steps."""

    class Config(BaseFocuser.Config, frozen=True, kw_only=True):
        """The device, and how far it goes with a step."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        step_size: Annotated[Micrometres, Meta(gt=0)] | None = None
        """Micrometres of a step; by default what the focuser tells, 1 where it does not."""
        speed: float = 1.0

    config: Config
    device_type = "focuser"
    _step: Millimetres = 0.001

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the travel and the size of a step."""
        if not await self.alpaca.flag("absolute", ANSWER):
            raise DeviceError(
                f"{self.address}: this focuser does not know where it stands, and cannot be used",
                device=str(self.address),
            )
        told = self.config.step_size or await self.optional("stepsize")
        if told is not None and told <= 0:
            raise DeviceError(f"{self.address}: the focuser tells of steps of {told:g} um", device=str(self.address))
        self._step = (told or 1.0) / 1000.0
        highest = await self.alpaca.whole("maxstep", ANSWER)
        self.fit(step=self._step, min_position=0.0, max_position=highest * self._step)

    async def read_focuser(self) -> FocuserReading:
        """Ask where it stands."""
        moving = await self.alpaca.flag("ismoving", ANSWER)
        position = await self.alpaca.whole("position", ANSWER)
        return FocuserReading(position * self._step, moving, await self.optional("temperature"))

    async def begin_move(self, position: Millimetres) -> None:
        """Start to move to the nearest step."""
        await self.alpaca.put("move", self.config.answer_time, Position=round(position / self._step))

    async def halt(self) -> None:
        """Stop at once."""
        await self.alpaca.put("halt", ANSWER)
