"""The driver of the simulated roof."""

from __future__ import annotations

from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_sensor import EnclosureReading
from pytel.services.fitted import fitted


class SimulatedRoof(BaseEnclosure):
    """Drives the roll-off roof of the simulated world."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Learn what the hardware is like; it is reached later."""
        time = world_config(self.site).roof.open_time
        self.config = fitted(self.config, opening_time=time, closing_time=time)
        await super().on_start()

    async def connect(self) -> None:
        """Connect."""
        self.device = await connect_device(self, "roof")

    async def begin_open(self) -> None:
        """Start to open."""
        await self.device.execute("open")

    async def begin_close(self) -> None:
        """Start to close."""
        await self.device.execute("close")

    async def halt(self) -> None:
        """Stand still."""
        await self.device.execute("stop")

    async def read_enclosure(self) -> EnclosureReading:
        """Ask the limit switches."""
        said = await self.device.status()
        return EnclosureReading(EnclosureStatus(said["status"]), said["fraction"])
