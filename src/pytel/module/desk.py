"""The supervisor as others reach it over the bus: the module `site`."""

from __future__ import annotations

from pytel.base.memory import give_back_memory
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Role
from pytel.module.handlers import every
from pytel.module.interface import Interface
from pytel.module.messages import State
from pytel.module.module import Module
from pytel.module.rpc import rpc
from pytel.module.runtime import ModuleRuntime
from pytel.module.supervisor import ModuleEntry, Supervisor

ADDRESS = Address("site")


class SiteState(State, frozen=True, kw_only=True):
    """The modules of the site and how they fare."""

    name: str
    modules: tuple[ModuleEntry, ...]


class Site(Interface, state=SiteState):
    """Switches the functions of a site on and off."""

    @rpc(role=Role.VIEWER)
    async def list_modules(self) -> list[ModuleEntry]:
        """List the modules of the site file."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def start_module(self, address: str) -> None:
        """Start a module. Raises `NotFound`; harmless when it runs."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def stop_module(self, address: str) -> None:
        """Stop a module in good order. Raises `NotFound`; harmless when it does not run."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def restart_module(self, address: str) -> None:
        """Stop a module and start it anew. Raises `NotFound`."""
        raise NotImplementedError


class _Desk(Module, Site):
    """Does for others what the supervisor can, and tells how the modules fare whenever that changes."""

    supervisor: Supervisor
    _told: SiteState | None = None
    _open = False

    async def on_start(self) -> None:
        self._open = True
        self.supervisor.watch(self._tell)

    async def on_stop(self) -> None:
        self._open = False

    @every(600.0)
    async def tidy(self) -> None:
        give_back_memory()
        self._told = None
        self._tell()

    async def list_modules(self) -> list[ModuleEntry]:
        return self.supervisor.entries()

    async def start_module(self, address: str) -> None:
        await self.supervisor.start_module(address)

    async def stop_module(self, address: str) -> None:
        await self.supervisor.stop_module(address)

    async def restart_module(self, address: str) -> None:
        await self.supervisor.restart_module(address)

    def _tell(self) -> None:
        state = SiteState(name=self.site.name, modules=tuple(self.supervisor.entries()))
        if self._open and state != self._told:
            self._told = state
            self.publish(state)


async def open_desk(supervisor: Supervisor, bus: Bus) -> ModuleRuntime:
    """Make a supervisor reachable as `site`; the bus must have that address. Raises what opening the bus raises."""
    runtime = ModuleRuntime(_Desk, site=supervisor.site, bus=bus)
    if isinstance(runtime.module, _Desk):
        runtime.module.supervisor = supervisor
    await runtime.start()
    return runtime
