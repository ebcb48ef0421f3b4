"""What starts, stops and restarts the modules of a site, each on its own: one interface, two ways to do it.

`local_supervisor.LocalSupervisor` runs them in this process, `process_supervisor.ProcessSupervisor` in processes of
their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

from pytel.base.errors import NotFound
from pytel.bus.address import Address
from pytel.module.interface import interfaces_of
from pytel.module.messages import Struct
from pytel.module.site import SiteInfo
from pytel.module.specs import ModuleSpec, SiteFile


class ModuleEntry(Struct, frozen=True, kw_only=True):
    """A module of the site file, running or not.

    `pid` is its process, if it has one of its own or shares one with some; `restarts` counts how often that was
    started anew because it had died.
    """

    address: str
    module_type: str
    interfaces: tuple[str, ...]
    running: bool
    status: str | None = None
    error: str | None = None
    pid: int | None = None
    restarts: int = 0


class Supervisor(ABC):
    """Runs the modules of a site file."""

    def __init__(self, site: SiteFile) -> None:
        self.site: SiteInfo = site.info
        self._specs = {spec.address: spec for spec in site.modules}
        self._watchers: list[Callable[[], None]] = []

    @property
    @abstractmethod
    def running(self) -> Collection[Address]:
        """The modules that run, or that are kept running."""

    @abstractmethod
    async def open(self) -> None:
        """Answer as `site`, before any module starts."""

    @abstractmethod
    async def start(self, only: Sequence[str] = ()) -> None:
        """Start the modules of the site file (those that are not `autostart: false`), or `only` some.

        One that cannot start is reported and does not hold up the others.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Stop all modules, the last of the site file first."""

    @abstractmethod
    async def start_module(self, address: str) -> None:
        """Start a module. Raises `NotFound` and what its start raises; harmless when it runs."""

    @abstractmethod
    async def stop_module(self, address: str) -> None:
        """Stop a module in good order. Raises `NotFound`; harmless when it does not run."""

    async def restart_module(self, address: str) -> None:
        """Stop a module and start it anew."""
        await self.stop_module(address)
        await self.start_module(address)

    def spec(self, address: str) -> ModuleSpec:
        """Look a module of the site file up. Raises `NotFound`, naming those there are."""
        for known, spec in self._specs.items():
            if str(known) == address:
                return spec
        names = ", ".join(sorted(str(known) for known in self._specs))
        raise NotFound(f"the site file has no module {address!r}; it has {names}")

    def _chosen(self, only: Sequence[str]) -> list[ModuleSpec]:
        return [spec for spec in self._specs.values() if (str(spec.address) in only if only else spec.autostart)]

    def entries(self) -> list[ModuleEntry]:
        """How the modules of the site file fare."""
        return [self._entry(spec) for spec in self._specs.values()]

    @abstractmethod
    def _entry(self, spec: ModuleSpec) -> ModuleEntry:
        """How one module fares."""

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever `entries` may have changed."""
        self._watchers.append(watcher)

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()


def plain_entry(spec: ModuleSpec) -> ModuleEntry:
    """The entry of a module that does not run."""
    return ModuleEntry(
        address=str(spec.address),
        module_type=f"{spec.kind.__module__}:{spec.kind.__qualname__}",
        interfaces=tuple(interface.__name__ for interface in interfaces_of(spec.kind)),
        running=False,
    )
