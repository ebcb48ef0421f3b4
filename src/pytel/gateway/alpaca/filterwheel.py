"""A filter wheel of ours as ASCOM's IFilterWheelV3."""

from __future__ import annotations

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.filterwheel import Filter, FilterWheel, FilterWheelCapabilities, FilterWheelState

MOVING = -1


class AlpacaFilterWheel(Device):
    """Moves to slots."""

    kind = "filterwheel"
    type_name = "FilterWheel"
    interface = FilterWheel
    interface_version = 3
    operational = ("Position",)

    async def _filters(self) -> tuple[Filter, ...]:
        return (await self.site.capabilities(self.address, FilterWheelCapabilities)).filters

    @get("Names")
    async def names(self) -> list[str]:
        """The filters by slot."""
        return [one.name for one in await self._filters()]

    @get("FocusOffsets")
    async def focus_offsets(self) -> list[int]:
        """Micrometres by slot."""
        return [round(one.focus_offset * 1000.0) for one in await self._filters()]

    @get("Position")
    async def position(self) -> int:
        """The slot, -1 on the way; raises the error of a motion that failed."""
        if self.operation.is_running:
            return MOVING
        self.operation.check()
        state = self.site.state(self.address, FilterWheelState)
        return next((slot for slot, name in enumerate(await self.names()) if name == state.filter), MOVING)

    @put("Position", Position=int)
    async def set_position(self, client: Client, position: int) -> None:
        """Begin to move."""
        names = await self.names()
        in_range(position, 0, len(names) - 1, "a slot")
        wheel = await self.controlled(client, FilterWheel)
        await self.operation.begin(wheel.set_filter(names[position]))
