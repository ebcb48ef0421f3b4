"""The driver of the simulated filter wheel."""

from __future__ import annotations

from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.interfaces.filterwheel import Filter, FilterWheelCapabilities
from pytel.module import Capabilities
from pytel.services.filterwheel import BaseFilterWheel, FilterWheelReading
from pytel.services.fitted import fitted


class SimulatedFilterWheel(BaseFilterWheel):
    """Turns the filters of the simulated world, whose focus offsets are known unless the site file says otherwise."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Connect, and learn what the hardware is like."""
        self.config = fitted(self.config, slot_time=world_config(self.site).filters.move_time)
        self.device = await connect_device(self, "filters")
        await super().on_start()

    def capabilities(self) -> list[Capabilities]:
        """Tell the filters with their offsets."""
        offsets = {slot.name: slot.focus_offset for slot in world_config(self.site).filters.filters}
        offsets |= self.config.focus_offsets
        filters = tuple(Filter(name=name, focus_offset=offsets.get(name, 0.0)) for name in self._names)
        return [FilterWheelCapabilities(filters=filters)]

    async def read_wheel(self) -> FilterWheelReading:
        """Ask what is in the beam."""
        said = await self.device.status()
        return FilterWheelReading(said["filter"], said["moving"], tuple(said["names"]))

    async def begin_move(self, name: str) -> None:
        """Start to move to a filter."""
        await self.device.execute("move", name=name)
