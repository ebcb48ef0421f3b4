"""All modules of a site in one process, on a local bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from pytel.base.errors import PytelError, wrap
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.module.desk import ADDRESS, open_desk
from pytel.module.runtime import ModuleRuntime
from pytel.module.specs import ModuleSpec, SiteFile
from pytel.module.supervisor import ModuleEntry, Supervisor, plain_entry


class LocalSupervisor(Supervisor):
    """Runs the modules of a site file in this process."""

    def __init__(self, site: SiteFile, hub: LocalHub | None = None) -> None:
        super().__init__(site)
        self.hub = hub or LocalHub()
        self._running: dict[Address, ModuleRuntime] = {}
        self._failed: dict[Address, str] = {}
        """Why those that were to start do not run."""
        self._log = logging.getLogger("pytel.site")
        self._desk: ModuleRuntime | None = None

    @property
    def running(self) -> dict[Address, ModuleRuntime]:
        """The modules that run, by address."""
        return dict(self._running)

    async def open(self) -> None:
        """Answer as `site`, before any module starts."""
        self._desk = await open_desk(self, self.hub.bus(ADDRESS))

    async def start(self, only: Sequence[str] = ()) -> None:
        """Start the modules of the site file, or `only` some."""
        if self._desk is None:
            await self.open()
        await asyncio.gather(*(self._start_reported(spec) for spec in self._chosen(only)))

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
            bus=self.hub.bus(spec.address, is_proxy=getattr(spec.kind, "is_proxy", False)),
            uses=spec.uses,
            primary=spec.primary,
        )
        runtime.lifecycle.watcher = self._tell
        self._running[spec.address] = runtime
        self._failed.pop(spec.address, None)
        try:
            await runtime.start()
        except BaseException as error:
            if isinstance(error, Exception):
                self._failed[spec.address] = wrap(error).message
            self._forget(spec.address, runtime)
            raise

    async def _stop(self, address: Address, runtime: ModuleRuntime) -> None:
        await runtime.stop()
        self._forget(address, runtime)

    def _forget(self, address: Address, runtime: ModuleRuntime) -> None:
        if self._running.get(address) is runtime:
            del self._running[address]
            self._tell()

    async def start_module(self, address: str) -> None:
        """Start a module. Raises `NotFound` and what its start raises."""
        await self._start(self.spec(address))

    async def stop_module(self, address: str) -> None:
        """Stop a module in good order. Raises `NotFound`."""
        known = self.spec(address).address
        if self._failed.pop(known, None) is not None:
            self._tell()
        if (runtime := self._running.get(known)) is not None:
            await self._stop(known, runtime)

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
            self._desk = None

    async def _stop_reported(self, runtime: ModuleRuntime) -> None:
        try:
            await self._stop(runtime.address, runtime)
        except Exception:  # noqa: BLE001 - whatever it is, the others are stopped too
            self._log.exception("%s did not stop; the others do", runtime.address)

    def _entry(self, spec: ModuleSpec) -> ModuleEntry:
        entry, runtime = plain_entry(spec), self._running.get(spec.address)
        if runtime is None:
            return msgspec.structs.replace(entry, error=self._failed.get(spec.address))
        return msgspec.structs.replace(
            entry,
            running=True,
            status=runtime.lifecycle.status.value,
            error=runtime.lifecycle.complaint,
        )


def _fault(error: Exception) -> Exception | None:
    return None if isinstance(error, PytelError) else error
