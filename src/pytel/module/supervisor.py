"""All modules of a site in one process: start, stop and restart them, each on its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pytel.base.errors import NotFound, PytelError, wrap
from pytel.base.memory import give_back_memory
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.local import LocalHub
from pytel.module.handlers import every
from pytel.module.interface import Interface, interfaces_of
from pytel.module.messages import State, Struct
from pytel.module.module import Module
from pytel.module.rpc import rpc
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.module.specs import ModuleSpec, SiteFile


class ModuleEntry(Struct, frozen=True, kw_only=True):
    """A module of the site file, running or not."""

    address: str
    module_type: str
    interfaces: tuple[str, ...]
    running: bool
    status: str | None = None
    error: str | None = None


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


class Supervisor:
    """Runs the modules of a site file on a local bus."""

    def __init__(self, site: SiteFile, hub: LocalHub | None = None) -> None:
        self.hub = hub or LocalHub()
        self.site: SiteInfo = site.info
        self._specs = {spec.address: spec for spec in site.modules}
        self._running: dict[Address, ModuleRuntime] = {}
        self._log = logging.getLogger("pytel.site")
        self._desk: ModuleRuntime | None = None

    @property
    def running(self) -> dict[Address, ModuleRuntime]:
        """The modules that run, by address."""
        return dict(self._running)

    async def start(self, only: Sequence[str] = ()) -> None:
        """Start the modules of the site file (those that are not `autostart: false`), or `only` some.

        One that cannot start is reported and does not hold up the others.
        """
        self._desk = ModuleRuntime(_Desk, site=self.site, bus=self.hub.bus(Address("site")))
        desk = self._desk.module
        if isinstance(desk, _Desk):
            desk.supervisor = self
        await self._desk.start()
        chosen = [spec for spec in self._specs.values() if (str(spec.address) in only if only else spec.autostart)]
        await asyncio.gather(*(self._start_reported(spec) for spec in chosen))

    async def _start_reported(self, spec: ModuleSpec) -> None:
        try:
            await self._start(spec)
        except Exception as error:  # noqa: BLE001 - one module that cannot start must not stop the others
            self._log.error("%s cannot start: %s", spec.address, wrap(error).message, exc_info=_fault(error))

    async def _start(self, spec: ModuleSpec) -> None:
        running = self._running.get(spec.address)
        if running is not None and not running.lifecycle.is_closing:
            return
        if running is not None:
            await self._stop(spec.address, running)
        runtime = ModuleRuntime(
            spec.kind,
            config=spec.config,
            site=self.site,
            bus=self.hub.bus(spec.address),
            uses=spec.uses,
            primary=spec.primary,
        )
        self._running[spec.address] = runtime
        try:
            await runtime.start()
        except BaseException:
            self._forget(spec.address, runtime)
            raise

    async def _stop(self, address: Address, runtime: ModuleRuntime) -> None:
        await runtime.stop()
        self._forget(address, runtime)

    def _forget(self, address: Address, runtime: ModuleRuntime) -> None:
        if self._running.get(address) is runtime:
            del self._running[address]

    def spec(self, address: str) -> ModuleSpec:
        """Look a module of the site file up. Raises `NotFound`, naming those there are."""
        for known, spec in self._specs.items():
            if str(known) == address:
                return spec
        names = ", ".join(sorted(str(known) for known in self._specs))
        raise NotFound(f"the site file has no module {address!r}; it has {names}")

    async def start_module(self, address: str) -> None:
        """Start a module. Raises `NotFound` and what its start raises."""
        await self._start(self.spec(address))

    async def stop_module(self, address: str) -> None:
        """Stop a module in good order. Raises `NotFound`."""
        known = self.spec(address).address
        if (runtime := self._running.get(known)) is not None:
            await self._stop(known, runtime)

    async def restart_module(self, address: str) -> None:
        """Stop a module and start it anew."""
        await self.stop_module(address)
        await self.start_module(address)

    async def crash_module(self, address: str) -> None:
        """End a module as `kill -9` does (for tests)."""
        runtime = self._running.pop(self.spec(address).address, None)
        if runtime is not None:
            await runtime.crash()

    async def stop(self) -> None:
        """Stop all modules, the last of the site file first."""
        for address in reversed([spec.address for spec in self._specs.values()]):
            if (runtime := self._running.get(address)) is not None:
                await self._stop_reported(runtime)
        if self._desk is not None:
            await self._desk.stop()

    async def _stop_reported(self, runtime: ModuleRuntime) -> None:
        try:
            await self._stop(runtime.address, runtime)
        except Exception:  # noqa: BLE001 - whatever it is, the others are stopped too
            self._log.exception("%s did not stop; the others do", runtime.address)

    def entries(self) -> list[ModuleEntry]:
        """How the modules of the site file fare."""
        return [self._entry(spec) for spec in self._specs.values()]

    def _entry(self, spec: ModuleSpec) -> ModuleEntry:
        runtime = self._running.get(spec.address)
        return ModuleEntry(
            address=str(spec.address),
            module_type=f"{spec.kind.__module__}:{spec.kind.__qualname__}",
            interfaces=tuple(interface.__name__ for interface in interfaces_of(spec.kind)),
            running=runtime is not None,
            status=runtime.lifecycle.status.value if runtime else None,
            error=runtime.lifecycle.explanation if runtime and not runtime.lifecycle.healthy else None,
        )


class _Desk(Module, Site):
    """The supervisor as others reach it over the bus."""

    supervisor: Supervisor

    @every(600.0)
    async def tidy(self) -> None:
        give_back_memory()
        self._tell()

    async def list_modules(self) -> list[ModuleEntry]:
        return self.supervisor.entries()

    async def start_module(self, address: str) -> None:
        await self.supervisor.start_module(address)
        self._tell()

    async def stop_module(self, address: str) -> None:
        await self.supervisor.stop_module(address)
        self._tell()

    async def restart_module(self, address: str) -> None:
        await self.supervisor.restart_module(address)
        self._tell()

    def _tell(self) -> None:
        self.publish(SiteState(name=self.site.name, modules=tuple(self.supervisor.entries())))


def _fault(error: Exception) -> Exception | None:
    return None if isinstance(error, PytelError) else error
