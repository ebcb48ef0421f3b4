"""How the simulated drivers reach their hardware: in this process, or by a socket, as others reach a serial port."""

from __future__ import annotations

from typing import Any

from pytel.devices.simulated.hardware import Hardware, connect_world, world_config
from pytel.devices.simulated.world.client import SocketWorld
from pytel.services import Module

__all__ = ["SimulatedDevice", "connect_device", "world_config"]


class SimulatedDevice:
    """One device of the simulated world."""

    def __init__(self, world: Hardware, name: str) -> None:
        self._world, self._name = world, name

    async def execute(self, command: str, **params: Any) -> Any:
        """Send a command. Raises `DeviceError`, `DeviceTimeout`, `ConnectionLost`, `LimitExceeded`, `Busy`."""
        return await self._world.execute(self._name, command, **params)

    async def status(self) -> dict[str, Any]:
        """Ask what the device reports of itself."""
        reported: dict[str, Any] = await self.execute("status")
        return reported


async def connect_device(module: Module, name: str) -> SimulatedDevice:
    """Reach a device of the site's simulated world, until the module stops.

    Raises `ConnectionLost` when the world does not run.
    """
    world = await connect_world(module.site)
    if isinstance(world, SocketWorld):
        module.at_stop(world.close)
    return SimulatedDevice(world, name)
