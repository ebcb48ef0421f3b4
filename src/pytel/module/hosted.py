"""One module in a module process: started, tried again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from pytel.base import ids
from pytel.base.errors import ConfigError, Conflict, PytelError, wrap
from pytel.bus.address import Address
from pytel.bus.contract import Bus
from pytel.module.process_wire import ModuleReport
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.module.specs import ModuleSpec

BusFactory = Callable[[Address], Bus]
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_log = logging.getLogger("pytel.site")


class HostedModule:
    """Keeps one module running: a start that fails is tried again, unless only a person can mend it."""

    def __init__(self, spec: ModuleSpec, site: SiteInfo, make_bus: BusFactory, tell: Callable[[], None]) -> None:
        self.address = str(spec.address)
        self.failure: PytelError | None = None
        self.is_final = False
        self._spec, self._site, self._make_bus, self._tell = spec, site, make_bus, tell
        self._runtime: ModuleRuntime | None = None
        self._started = self._ends = False
        self._task = asyncio.create_task(self._start(), name=f"{self.address}.start")

    @property
    def is_settled(self) -> bool:
        """Whether the first attempt to start has ended, well or not."""
        return self._started or self.failure is not None

    def report(self) -> ModuleReport:
        """How it fares."""
        runtime = self._runtime
        return ModuleReport(
            status=runtime.lifecycle.status.value if runtime else None,
            error=runtime.lifecycle.complaint if runtime else None,
            started=self._started,
            failure=self.failure.to_wire() if self.failure else None,
            final=self.is_final,
            stop_deadline=runtime.module.stop_deadline if runtime else 0.0,
        )

    async def _start(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._attempt()
            except (ConfigError, Conflict) as error:
                self._fail(error, final=True)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the module is needed
                if self._ends:
                    return
                self._fail(error, final=False)
            else:
                self.failure, self._started = None, True
                self._tell()
                return
            await asyncio.sleep(pause * ids.uniform(0.8, 1.2))
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _attempt(self) -> None:
        spec = self._spec
        runtime = ModuleRuntime(
            spec.kind,
            config=spec.config,
            site=self._site,
            bus=self._make_bus(spec.address),
            uses=spec.uses,
            primary=spec.primary,
        )
        runtime.lifecycle.watcher = self._tell
        self._runtime = runtime
        try:
            await runtime.start()
        except BaseException:
            self._runtime = None
            raise

    def _fail(self, error: Exception, *, final: bool) -> None:
        known, self.failure, self.is_final = self.failure, wrap(error), final
        if known is None or known.message != self.failure.message:
            told = None if isinstance(error, PytelError) else error
            _log.error("%s cannot start: %s", self.address, self.failure.message, exc_info=told)
        self._tell()

    async def stop(self) -> None:
        """Stop the module in good order, at whatever point of its life it is."""
        self._ends = True
        if self._runtime is not None:
            await self._runtime.stop()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
