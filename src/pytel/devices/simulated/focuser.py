"""The driver of the simulated focuser."""

from __future__ import annotations

from pytel.base.units import Millimetres
from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.services.fitted import fitted
from pytel.services.focuser import BaseFocuser, FocuserReading


class SimulatedFocuser(BaseFocuser):
    """Drives the focuser of the simulated world."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Connect, and learn what the hardware is like."""
        hardware = world_config(self.site).focuser
        self.config = fitted(self.config, max_position=hardware.travel, speed=hardware.speed)
        self.device = await connect_device(self, "focuser")
        await super().on_start()

    async def read_focuser(self) -> FocuserReading:
        """Ask where it stands."""
        said = await self.device.status()
        return FocuserReading(said["position"], said["moving"], said["temperature"])

    async def begin_move(self, position: Millimetres) -> None:
        """Start to move."""
        await self.device.execute("move", position=position)

    async def halt(self) -> None:
        """Stop at once."""
        await self.device.execute("stop")
