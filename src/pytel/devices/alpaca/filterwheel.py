"""Filter wheels of Alpaca."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError
from pytel.base.units import Duration
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.filterwheel import BaseFilterWheel, FilterWheelReading


class AlpacaFilterWheel(AlpacaDriver, BaseFilterWheel):
    """Drives a filter wheel of an Alpaca server."""

    class Config(BaseFilterWheel.Config, frozen=True, kw_only=True):
        """The device, and what is in its slots."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        filters: tuple[str, ...] = ()
        """Names from the first slot on; those of the Alpaca server otherwise."""

    config: Config
    device_type = "filterwheel"
    _slots: tuple[str, ...] = ()

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the number of slots and the names of the filters."""
        told = await self.alpaca.texts("names", ANSWER)
        names = self.config.filters or told
        if not names or len(names) > len(told) or len(set(names)) < len(names):
            raise DeviceError(
                f"{self.address} has {len(told)} slots and the filters {', '.join(names)}: name each slot once, under "
                "'filters' or in the Alpaca server",
                device=str(self.address),
            )
        self._slots = names

    async def read_wheel(self) -> FilterWheelReading:
        """Ask what is in the beam."""
        slot = await self.alpaca.whole("position", ANSWER)
        if not -1 <= slot < len(self._slots):
            raise DeviceError(
                f"{self.address} stands at slot {slot} of {len(self._slots)}; look at the wheel",
                device=str(self.address),
            )
        return FilterWheelReading(None if slot < 0 else self._slots[slot], slot < 0, self._slots)

    async def begin_move(self, name: str) -> None:
        """Start to move to a filter."""
        await self.alpaca.put("position", self.config.answer_time, Position=self._slots.index(name))
