"""The driver of the simulated filter wheel."""

from __future__ import annotations

from pytel.base.units import Millimetres
from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
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

    def focus_offsets(self) -> dict[str, Millimetres]:
        """What the simulated filters do to the focus, unless the site file says otherwise."""
        offsets = {slot.name: slot.focus_offset for slot in world_config(self.site).filters.filters}
        return offsets | self.config.focus_offsets

    async def read_wheel(self) -> FilterWheelReading:
        """Ask what is in the beam."""
        said = await self.device.status()
        return FilterWheelReading(said["filter"], said["moving"], tuple(said["names"]))

    async def begin_move(self, name: str) -> None:
        """Start to move to a filter."""
        await self.device.execute("move", name=name)
