"""The driver of the simulated cover with its light panel."""

from __future__ import annotations

from pytel.base.errors import ConfigError
from pytel.base.units import Fraction
from pytel.devices.simulated.connection import SimulatedDevice, connect_device, world_config
from pytel.interfaces.cover import CalibratorStatus, CoverStatus
from pytel.services.cover import BaseCoverCalibrator, CoverReading
from pytel.services.fitted import fitted


class SimulatedCover(BaseCoverCalibrator):
    """Drives the cover of the simulated world; `simulation: {cover: {present: true}}` fits one."""

    device: SimulatedDevice

    async def on_start(self) -> None:
        """Connect, and learn what the hardware is like. Raises `ConfigError` where no cover is fitted."""
        hardware = world_config(self.site).cover
        if not hardware.present:
            raise ConfigError("the simulated telescope has no cover; set simulation: {cover: {present: true}}")
        self.config = fitted(self.config, opening_time=hardware.move_time)
        self.device = await connect_device(self, "cover")
        await super().on_start()

    async def read_cover(self) -> CoverReading:
        """Ask the limit switches and the lamp."""
        said = await self.device.status()
        shining = said["light"] > 0
        return CoverReading(
            CoverStatus(said["status"]), CalibratorStatus.READY if shining else CalibratorStatus.OFF, said["light"]
        )

    async def begin_open(self) -> None:
        """Start to open."""
        await self.device.execute("open")

    async def begin_close(self) -> None:
        """Start to close."""
        await self.device.execute("close")

    async def halt(self) -> None:
        """Stand still."""
        await self.device.execute("stop")

    async def set_lamp(self, brightness: Fraction) -> None:
        """Set the light."""
        await self.device.execute("light", level=brightness)
