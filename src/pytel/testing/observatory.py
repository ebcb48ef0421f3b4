"""A whole observatory in the process of a test.

async with Observatory() as observatory:
    await observatory.find(Telescope).move_radec(83.82, -5.39)
    assert observatory.state(TelescopeState).status is TelescopeStatus.TRACKING
"""

from __future__ import annotations

import contextlib
import importlib.resources
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from pytel.base import clock
from pytel.base.errors import ConfigError, ModuleNotFound
from pytel.base.files import no_room_below
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.contract import Publication, Role
from pytel.bus.local import LocalHub
from pytel.devices.simulated.hardware import Hardware, connect_world, start_world
from pytel.devices.simulated.world.client import SocketWorld
from pytel.interfaces.images import ImageRef
from pytel.module import Capabilities, Event, Interface, State
from pytel.module.faults import raise_for
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.runtime import ModuleRuntime
from pytel.module.sitefile import SiteFile, parse_site
from pytel.module.yaml_lines import read_yaml
from pytel.services.images import Image
from pytel.testing.seat import Heard, Seat

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
S = TypeVar("S", bound=State)
M = TypeVar("M", bound=State | Event)
C = TypeVar("C", bound=Capabilities)
SiteSource = str | Mapping[str, Any]


def default_site() -> dict[str, Any]:
    """The site of the test kit as a mapping, to be changed and handed to `Observatory`."""
    text = importlib.resources.files("pytel.testing").joinpath("site.yaml").read_text(encoding="utf-8")
    value, _, faults = read_yaml(text, "site.yaml")
    raise_for(faults)
    site: dict[str, Any] = value
    return site


class Observatory:
    """A site that runs in this process, with its simulated hardware, and a seat for the test on its bus.

    `site` is YAML text or a mapping (default: everything, in clear weather, the robot not started). `pixels` chooses
    whole frames or stamps of one star for its simulated camera. With a `directory` a later `Observatory` goes on where
    this one was. `keep` says which publications go into `events` (default: all).
    """

    def __init__(
        self,
        site: SiteSource | None = None,
        *,
        seed: int = 1,
        pixels: Literal["full", "stamp"] = "stamp",
        directory: Path | None = None,
        keep: Callable[[Publication], bool] = lambda _: True,
    ) -> None:
        self._source = site
        self._seed, self._pixels = seed, pixels
        self._directory = directory
        self._keep = keep
        self._stack = contextlib.AsyncExitStack()
        self._connection: SocketWorld | None = None
        self._full: dict[str, contextlib.ExitStack] = {}
        self.hub = LocalHub()
        self.site: SiteFile
        self.supervisor: LocalSupervisor
        self._seat: Seat

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self) -> None:
        directory = self._directory
        if directory is None:
            holder = tempfile.TemporaryDirectory(prefix="pytel-observatory-")
            self._stack.push_async_callback(in_thread, holder.cleanup)
            directory = Path(holder.name)
        self.site = await in_thread(self._parse, directory)
        if self.site.info.simulation is not None:
            running = await start_world(self.site.info)
            self._stack.push_async_callback(running.stop)
        self._seat = Seat(self.hub.bus(Address("test"), Role.ADMIN), self.site.info, self._keep)
        await self._seat.open()
        self._stack.push_async_callback(self._seat.close)
        self.supervisor = LocalSupervisor(self.site, self.hub)
        self._stack.callback(self._mend_disks)
        self._stack.push_async_callback(self.supervisor.stop)
        await self.supervisor.start()
        wanted = [spec.address for spec in self.site.modules if spec.autostart]
        failed = [str(address) for address in wanted if address not in self.supervisor.running]
        if failed:
            raise ConfigError(f"{', '.join(failed)} could not be started; the log says why")

    def _parse(self, directory: Path) -> SiteFile:
        value = self._source if self._source is not None else default_site()
        if isinstance(value, str):
            value, _, faults = read_yaml(value, "site.yaml")
            raise_for(faults)
        changed: dict[str, Any] = {**dict(value), "seed": self._seed}
        if changed.get("simulation") is not None:
            changed["simulation"] = {**changed["simulation"], "pixels": self._pixels}
        site, faults = parse_site(changed, directory=directory)
        raise_for(faults)
        if site is None:
            raise ConfigError("the site is empty")
        return site

    # as a module sees it

    @property
    def events(self) -> list[Heard]:
        """Everything published so far, in order."""
        return self._seat.record

    def heard(self, kind: type[M]) -> list[M]:
        """All states or events of a kind that were published, oldest first."""
        return self._seat.heard(kind)

    def watch(self, watcher: Callable[[Heard], None]) -> None:
        """Call `watcher` with everything that is published."""
        self._seat.watch(watcher)

    def watch_presence(self, watcher: Callable[[str, bool], None]) -> None:
        """Call `watcher` with the address of each module that comes (True) or goes (False); those present at once."""
        self._seat.runtime.bus.watch_peers(lambda peer, present: watcher(str(peer.address), present))

    def find(
        self, interface: type[I], *, name: str | None = None, group: str | None = None, deadline: Seconds | None = None
    ) -> I:
        """A proxy of whoever implements the interface; the test may do anything."""
        return self._seat.find(interface, name=name, group=group, deadline=deadline)

    def latest(self, kind: type[S]) -> S | None:
        """The last state of the module that `find` would pick, None when there is none."""
        return self._seat.state(kind)

    def state(self, kind: type[S]) -> S:
        """The same for a state that must be there. Raises `ModuleNotFound`."""
        state = self._seat.state(kind)
        if state is None:
            raise ModuleNotFound(f"nobody has published a {kind.__name__}")
        return state

    async def capabilities_of(self, kind: type[C]) -> C:
        """What the module that `find` would pick can do. Raises `ModuleNotFound`."""
        return await self._seat.module.capabilities_of(kind)

    async def image(self, ref: ImageRef) -> Image:
        """The pixels and the header behind a reference. Raises as `ImageClient.get` does."""
        image: Image = await self._seat.module.images.get(ref)
        return image

    async def until(self, condition: Callable[[], Any], deadline: Seconds = 3600.0) -> None:
        """Wait until `condition()` is true, up to `deadline` seconds of site time. Raises `Timeout`."""
        await self._seat.until(condition, deadline)

    # what goes wrong

    async def world(self) -> Hardware:
        """The simulated hardware itself. Raises `ConnectionLost` when the site has none."""
        if self._connection is not None:
            return self._connection
        hardware = await connect_world(self.site.info)
        if isinstance(hardware, SocketWorld):
            self._connection = hardware
            self._stack.push_async_callback(hardware.close)
        return hardware

    async def inject(
        self, device: str, kind: str, *, value: Any = None, after: Seconds = 0.0, duration: Seconds | None = None
    ) -> int:
        """Let a device fail `after` some seconds, for `duration` (default: until cleared). Returns the fault's id.

        `kind` is hang, stuck, slow, disconnect, silent, lie, or weather (of the device `weather`). Raises
        `InvalidParams` for what there is not.
        """
        hardware = await self.world()
        fault = await hardware.execute(
            "faults", "inject", device=device, kind=kind, value=value, start=clock.time() + after, duration=duration
        )
        return int(fault["id"])

    async def clear(self, fault: int | None = None) -> None:
        """End one fault of the hardware, or all."""
        await (await self.world()).execute("faults", "clear", **({} if fault is None else {"id": fault}))

    def fill_disk(self, directory: Path | None = None) -> None:
        """Leave no room below a directory (default: all that the site keeps), until `free_disk`."""
        path = directory or self.site.info.state_dir
        if str(path) not in self._full:
            self._full[str(path)] = stack = contextlib.ExitStack()
            stack.enter_context(no_room_below(path))

    def free_disk(self, directory: Path | None = None) -> None:
        """Make room again."""
        stack = self._full.pop(str(directory or self.site.info.state_dir), None)
        if stack is not None:
            stack.close()

    def _mend_disks(self) -> None:
        for stack in self._full.values():
            stack.close()
        self._full.clear()

    def runtime(self, module: str) -> ModuleRuntime:
        """What carries a running module. Raises `ModuleNotFound`."""
        found = self.supervisor.running.get(Address.parse(module))
        if found is None:
            raise ModuleNotFound(f"{module} does not run")
        return found

    async def start(self, module: str) -> None:
        """Start a module of the site, such as the robot (`observer`)."""
        await self.supervisor.start_module(module)

    async def stop(self, module: str) -> None:
        """Stop a module in good order."""
        await self.supervisor.stop_module(module)

    async def crash(self, module: str) -> None:
        """End a module as `kill -9` does."""
        await self.supervisor.crash_module(module)

    async def restart(self, module: str) -> None:
        """Start a module again, whether it runs or crashed."""
        await self.supervisor.restart_module(module)
