"""One process with modules, kept alive: begun or taken over, watched, replaced when it dies or stands still."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict, PytelError, Timeout, wrap
from pytel.base.threads import in_thread
from pytel.module.patience import Backoff, Patience
from pytel.module.plan import checksum, write_plan
from pytel.module.process_life import Life, begin, found
from pytel.module.process_link import ProcessLink
from pytel.module.process_log import ProcessLog
from pytel.module.process_wire import (
    EXIT_CONFLICT,
    FOR_A_PERSON,
    PIPE,
    PLAN,
    SOCKET,
    ModuleReport,
    Report,
    Want,
)

_TICKS = 30
"""Silence is counted in so many steps: a supervisor that stood still itself must not take others for dead."""
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1"}
_log = logging.getLogger("pytel.site")


class ProcessDied(PytelError):
    """The process of a module has died; it is started again after a pause."""


class KeptProcess:
    """Keeps a process running for as long as any of its modules is wanted."""

    def __init__(
        self,
        name: str,
        directory: Path,
        plan: bytes,
        command: Sequence[str],
        patience: Patience,
        tell: Callable[[], None],
    ) -> None:
        self.name = name
        self.restarts = 0
        self.trouble: PytelError | None = None
        """Why it does not run."""
        self.wanted: list[str] = []
        self.reports: dict[str, ModuleReport] = {}
        self._directory, self._plan, self._plan_id = directory, plan, checksum(plan)
        self._command, self._patience, self._tell_others = command, patience, tell
        self._log = ProcessLog(directory / PIPE, name)
        self._link = ProcessLink(directory / SOCKET, self._next_want, self._hear)
        self._life: Life | None = None
        self._serial = self._heard_serial = int(clock.real_time() * 1000)  # not one of an earlier supervisor
        self._silent_ticks = 0
        self._is_heard = self._is_outdated = self._closes = False
        self._news, self._wake = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The number of the process, None while there is none."""
        return self._life.pid if self._life is not None else None

    # what is wanted of it

    def take_over(self) -> None:
        """Keep what runs already, with the modules that it runs."""
        self._keep_running(takes_over=True)

    async def start(self, address: str) -> None:
        """Have a module started. Raises what its start raises, `ProcessDied`, `Timeout`."""
        async with self._turn:
            report = self.reports.get(address)
            if report is not None and report.failure is not None:
                self._set_wanted([known for known in self.wanted if known != address])
            if address not in self.wanted:
                self._set_wanted([*self.wanted, address])
            self.trouble = None
            self._keep_running()
            self._wake.set()
        if not await self._until(lambda: self._outcome(address) is not None, self._patience.start):
            raise Timeout(f"{address} has not started within {self._patience.start:.0f} s; it is still tried")
        if isinstance(error := self._outcome(address), PytelError):
            raise error

    def _outcome(self, address: str) -> PytelError | bool | None:
        """How the start of a module ended: with an error or well; None when it has not."""
        report = self.reports.get(address)
        if report is None or self._heard_serial != self._serial:
            return self.trouble
        if report.failure is not None:
            return PytelError.from_wire(report.failure)
        return report.started or None

    async def stop(self, address: str) -> None:
        """Have a module stopped in good order; with its last module the process ends."""
        async with self._turn:
            await self._stop(address)

    async def _stop(self, address: str) -> None:
        if address not in self.wanted:
            self.trouble = None
            self._tell()
            return
        within = self._stop_within([address])
        self._set_wanted([known for known in self.wanted if known != address])
        if not self.wanted:
            await self._end(within)
        elif self._life is not None and not await self._until(lambda: self._heard_serial == self._serial, within):
            _log.error("%s does not stop; its process %s is killed and started without it", address, self.name)
            self._life.signal(signal.SIGKILL)

    async def _end(self, within: float) -> None:
        self._wake.set()
        if self._life is not None and not await self._life.end(within):
            _log.error("%s did not end within %.0f s and was killed", self.name, within)
        await self.close()

    async def close(self) -> None:
        """Have no process any more, even one that was just found."""
        self.wanted, self._closes = [], True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        self._log.close()

    def _stop_within(self, addresses: Sequence[str]) -> float:
        """Real seconds for the end of modules: their jobs, tasks and `on_stop` have their deadline each."""
        reports = [self.reports[address] for address in addresses if address in self.reports]
        site_time = sum(3.0 * report.stop_deadline for report in reports)
        return site_time / clock.current().rate + self._patience.margin

    def _set_wanted(self, modules: list[str]) -> None:
        self.wanted = modules
        self._serial += 1
        self._link.send()

    def _next_want(self) -> Want | None:
        """What to tell the process; nothing before it has told what it is."""
        if not self._is_heard:
            return None
        return Want(serial=self._serial, modules=tuple(self.wanted), pipe=str(self._log.path))

    # its lives

    def _keep_running(self, *, takes_over: bool = False) -> None:
        if self._task is None or self._task.done():
            self._closes = False
            self._task = asyncio.create_task(self._keep(takes_over), name=f"process {self.name}")

    async def _keep(self, takes_over: bool) -> None:
        backoff = Backoff(self._patience)
        while self.wanted or takes_over:
            began = time.monotonic()
            try:
                life = await self._begin(takes_over)
                if life is None:
                    break
                takes_over = False
                await self._accompany(life)
            except (OSError, PytelError) as error:
                self._fail(wrap(error))
            else:
                if not self.wanted or self._is_outdated or self._waits_for_a_person(life):
                    continue
                self._fail(ProcessDied(f"the process {self.name} has died: {self._last_words(life)}"))
            pause = backoff.pause_after(time.monotonic() - began)
            _log.error("%s; it is started again in %.1f s", self.trouble, pause)
            await self._pause(pause)
            self.restarts += bool(self.wanted)
        self.reports = {}
        self._tell()

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if self.wanted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _begin(self, takes_over: bool) -> Life | None:
        self._is_heard = self._is_outdated = False
        self._silent_ticks = 0
        self.reports = {}
        await self._log.open()
        if (life := await found(self._directory)) is not None:
            _log.info("%s still runs as process %d and is taken over", self.name, life.pid)
            return life
        if takes_over and not self.wanted:
            return None
        await in_thread(self._prepare)
        return await begin([*self._command, str(self._directory), *self.wanted], self._log.path, _ENVIRONMENT)

    def _prepare(self) -> None:
        write_plan(self._directory / PLAN, self._plan)
        (self._directory / SOCKET).unlink(missing_ok=True)

    async def _accompany(self, life: Life) -> None:
        self._life = life
        self._tell()
        talking = asyncio.create_task(self._link.run(), name=f"link to {self.name}")
        try:
            await self._watch(life)
        finally:
            talking.cancel()
            await asyncio.wait([talking])
            self._life = None

    async def _watch(self, life: Life) -> None:
        tick = self._patience.silence / _TICKS
        while not await life.ends_within(tick):
            self._silent_ticks += 1
            begins = life.is_own and not self._is_heard
            limit = self._patience.start if begins else self._patience.silence
            if self._is_outdated:
                _log.info("%s was started from another site file; it is stopped and started anew", self.name)
                await life.end(self._stop_within(list(self.reports)))
            elif self._closes:
                await life.end(self._stop_within(list(self.reports)))
            elif self._silent_ticks * tick > limit:
                await self._put_down(life, limit)

    async def _put_down(self, life: Life, silent: float) -> None:
        _log.error("%s has given no sign of life for %.0f s and is killed; where it stands follows", self.name, silent)
        life.signal(signal.SIGABRT)
        if not await life.ends_within(self._patience.dump):
            life.signal(signal.SIGKILL)
            await life.ended.wait()

    def _hear(self, report: Report) -> None:
        self._silent_ticks = 0
        self.reports = report.modules
        if report.plan != self._plan_id:
            self._is_outdated = True
            return
        if not self._is_heard:
            self._is_heard = True
            if unasked := [address for address in report.modules if address not in self.wanted]:
                self._set_wanted([*self.wanted, *unasked])
        self._heard_serial = report.serial
        if any(module.started for module in report.modules.values()):
            self.trouble = None
        self._tell()

    # its deaths

    def _waits_for_a_person(self, life: Life) -> bool:
        """Whether it ended for a reason that another start does not mend."""
        if life.code not in FOR_A_PERSON:
            return False
        told = next((report.failure for report in self.reports.values() if report.failure is not None), None)
        words = self._log.drain()
        kind = Conflict if life.code == EXIT_CONFLICT else ConfigError
        self.wanted = []
        self._fail(PytelError.from_wire(told) if told is not None else kind(words or "the log says why"))
        return True

    def _last_words(self, life: Life) -> str:
        words = self._log.drain()
        return f"{life.how} ({words})" if words else life.how

    def _fail(self, error: PytelError) -> None:
        self.reports, self.trouble = {}, error
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
        self._tell_others()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._news.wait()
        return condition()
