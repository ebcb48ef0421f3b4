"""The simulated hardware of a site: a process of its own, or in this one on the virtual clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pytel.base import clock
from pytel.base.errors import ConnectionLost
from pytel.base.threads import in_thread
from pytel.devices.simulated.world.client import SocketWorld
from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.process import switch_off, switch_on
from pytel.devices.simulated.world.wire import setup_for
from pytel.module.site import SiteInfo

if TYPE_CHECKING:
    from pytel.devices.simulated.world.world import World


class Hardware(Protocol):
    """The one door to the simulated hardware."""

    async def execute(self, device: str, command: str, /, **params: Any) -> Any:
        """Send a command to a device; raises what the device says."""


class WorldInside:
    """A world in this process."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def execute(self, device: str, command: str, /, **params: Any) -> Any:
        """Send a command to a device."""
        if command == "read":
            return await in_thread(self.world.execute, device, command, params)
        return self.world.execute(device, command, params)


_inside: dict[Path, WorldInside] = {}


def world_directory(site: SiteInfo) -> Path:
    """Where the hardware keeps its state and the truth."""
    return site.state_dir / "world"


async def start_world(site: SiteInfo) -> RunningHardware:
    """Have the hardware of a site running; it goes on where a former one was. Raises `DeviceError`."""
    directory = world_directory(site)
    if not _is_virtual():
        await switch_on(directory, setup_for(world_config(site), site.location, site.seed, clock.current()))
    elif directory not in _inside:
        _inside[directory] = WorldInside(await in_thread(_make, site, directory))
    return RunningHardware(site)


async def connect_world(site: SiteInfo) -> Hardware:
    """Reach the hardware of a site. Raises `ConnectionLost` when it should be in this process and is not."""
    directory = world_directory(site)
    if directory in _inside:
        return _inside[directory]
    if _is_virtual():
        raise ConnectionLost(f"the simulated hardware of {site.name} does not run; start it with start_world()")
    return SocketWorld(directory)


class RunningHardware:
    """The hardware that a site started."""

    def __init__(self, site: SiteInfo) -> None:
        self._directory = world_directory(site)

    async def stop(self) -> None:
        """Switch it off; what it keeps on disk stays."""
        if _inside.pop(self._directory, None) is None:
            await switch_off(self._directory)


def world_config(site: SiteInfo) -> WorldConfig:
    """What the simulated hardware is like, so that its drivers are configured to fit it."""
    return msgspec.convert(site.simulation or {}, WorldConfig)


def _make(site: SiteInfo, directory: Path) -> World:
    from pytel.devices.simulated.world.world import World

    directory.mkdir(parents=True, exist_ok=True)
    return World(world_config(site), site.location, site.seed, directory)


def _is_virtual() -> bool:
    return isinstance(clock.current(), clock.VirtualClock)
