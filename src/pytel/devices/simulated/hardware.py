"""Starting the simulated hardware of a site, and finding it: a process of its own, or in this one on the virtual clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from pytel.base import clock
from pytel.base.errors import ConnectionLost
from pytel.base.threads import in_thread
from pytel.devices.simulated.connection import world_config
from pytel.devices.simulated.world.world import World
from pytel.module.site import SiteInfo


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


async def start_inside(site: SiteInfo) -> WorldInside:
    """Make the world of a site in this process, or find the one that is there; it goes on where a former one was."""
    directory = world_directory(site)
    if directory not in _inside:
        _inside[directory] = WorldInside(await in_thread(_make, site, directory))
    return _inside[directory]


def _make(site: SiteInfo, directory: Path) -> World:
    directory.mkdir(parents=True, exist_ok=True)
    return World(world_config(site), site.location, site.seed, directory)


def stop_inside(site: SiteInfo) -> None:
    """Forget the world in this process; what it keeps on disk stays."""
    _inside.pop(world_directory(site), None)


def found_inside(site: SiteInfo) -> WorldInside | None:
    """The world of a site in this process, if it is here."""
    return _inside.get(world_directory(site))


def is_virtual() -> bool:
    """Whether this process runs on the virtual clock, where no other process can follow."""
    return isinstance(clock.current(), clock.VirtualClock)


def no_world(site: SiteInfo) -> ConnectionLost:
    """The error when no world runs."""
    return ConnectionLost(f"the simulated hardware of {site.name} does not run; start the site with 'pytel run'")


class RunningHardware:
    """The hardware that a site started; `stop()` switches it off."""

    def __init__(self, site: SiteInfo) -> None:
        self._site = site

    async def stop(self) -> None:
        """Switch it off; what it keeps on disk stays."""
        stop_inside(self._site)


async def start_world(site: SiteInfo) -> RunningHardware:
    """Have the hardware of a site running: in this process on the virtual clock."""
    await start_inside(site)
    return RunningHardware(site)


async def connect_world(site: SiteInfo) -> Hardware:
    """Reach the hardware of a site. Raises `ConnectionLost` when it does not run."""
    inside = found_inside(site)
    if inside is None:
        raise no_world(site)
    return inside
