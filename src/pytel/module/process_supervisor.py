"""One process for each module of a site, or for those that share one: a module that crashes takes no other with it.

Processes outlive their supervisor, and the next one takes them over: see docs/decisions/0006.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from pytel.base.errors import PytelError, wrap
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.module.desk import ADDRESS, open_desk
from pytel.module.hosted import BusFactory
from pytel.module.kept_process import KeptProcess
from pytel.module.patience import Patience
from pytel.module.plan import plan_of, process_names
from pytel.module.process_life import found
from pytel.module.process_wire import process_directory
from pytel.module.runtime import ModuleRuntime
from pytel.module.specs import ModuleSpec, SiteFile
from pytel.module.supervisor import ModuleEntry, Supervisor, plain_entry

COMMAND = (sys.executable, "-m", "pytel.cli.child")
_STRANGERS_END_WITHIN = 300.0
_log = logging.getLogger("pytel.site")


class ProcessSupervisor(Supervisor):
    """Runs the modules of a site file in processes; `command` starts one, given its directory and its modules."""

    def __init__(
        self,
        site: SiteFile,
        make_bus: BusFactory,
        *,
        command: Sequence[str] = COMMAND,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(site)
        self._make_bus = make_bus
        self._home = process_directory(site.info.state_dir, "")
        self._processes = {
            name: KeptProcess(name, self._home / name, plan_of(site, name), command, patience or Patience(), self._tell)
            for name in process_names(site)
        }
        self._of = {spec.address: self._processes[site.process_of(spec.address)] for spec in site.modules}
        self._desk: ModuleRuntime | None = None

    @property
    def running(self) -> Collection[Address]:
        """The modules that are kept running."""
        return [address for address, process in self._of.items() if str(address) in process.wanted]

    async def open(self) -> None:
        """Answer as `site`, before any module starts."""
        self._desk = await open_desk(self, self._make_bus(ADDRESS))

    async def start(self, only: Sequence[str] = ()) -> None:
        """Start the modules of the site file, or `only` some; what runs already is taken over."""
        if self._desk is None:
            await self.open()
        await self._end_strangers()
        for process in self._processes.values():
            process.take_over()
        await asyncio.gather(*(self._start_reported(spec) for spec in self._chosen(only)))

    async def _end_strangers(self) -> None:
        """End processes that an earlier site file wanted and this one does not."""

        async def end(directory: Path) -> None:
            if (life := await found(directory)) is not None:
                _log.warning(
                    "%s still runs as process %d and is not in the site file: it ends", directory.name, life.pid
                )
                await life.end(_STRANGERS_END_WITHIN)

        directories = await in_thread(_directories, self._home)
        await asyncio.gather(*(end(path) for path in directories if path.name not in self._processes))

    async def _start_reported(self, spec: ModuleSpec) -> None:
        try:
            await self._of[spec.address].start(str(spec.address))
        except Exception as error:  # noqa: BLE001 - one module that cannot start must not stop the others
            told = None if isinstance(error, PytelError) else error
            _log.error("%s does not start: %s", spec.address, wrap(error).message, exc_info=told)

    async def start_module(self, address: str) -> None:
        """Start a module. Raises `NotFound` and what its start raises."""
        await self._of[self.spec(address).address].start(address)

    async def stop_module(self, address: str) -> None:
        """Stop a module in good order. Raises `NotFound`."""
        await self._of[self.spec(address).address].stop(address)

    async def stop(self) -> None:
        """Stop all modules, the last of the site file first."""
        for spec in reversed(self._specs.values()):
            try:
                await self._of[spec.address].stop(str(spec.address))
            except Exception:  # noqa: BLE001 - whatever it is, the others are stopped too
                _log.exception("%s did not stop; the others do", spec.address)
        for process in self._processes.values():
            await process.close()
        if self._desk is not None:
            await self._desk.stop()
            self._desk = None

    def _entry(self, spec: ModuleSpec) -> ModuleEntry:
        address, process = str(spec.address), self._of[spec.address]
        report = process.reports.get(address)
        trouble = process.trouble.message if process.trouble is not None else None
        if address not in process.wanted and report is None:
            return msgspec.structs.replace(plain_entry(spec), error=trouble, restarts=process.restarts)
        failure = str(report.failure["message"]) if report is not None and report.failure is not None else None
        status = report.status if report is not None else None
        return msgspec.structs.replace(
            plain_entry(spec),
            running=True,
            status=status or ("error" if trouble or failure else "starting"),
            error=trouble or failure or (report.error if report is not None else None),
            pid=process.pid,
            restarts=process.restarts,
        )


def _directories(home: Path) -> list[Path]:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [path for path in home.iterdir() if path.is_dir()]
