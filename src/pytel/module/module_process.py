"""A process that runs modules of a site: it does what its supervisor wants, and goes on when that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from pytel.base.errors import Conflict
from pytel.base.memory import give_back_memory
from pytel.base.unix_sockets import listen_at
from pytel.module.hosted import BusFactory, HostedModule
from pytel.module.process_wire import (
    BEAT,
    EXIT_CONFIG,
    EXIT_CONFLICT,
    LONGEST_LINE,
    SOCKET,
    Report,
    Want,
)
from pytel.module.sd_notify import notify, wants_watchdog
from pytel.module.specs import SiteFile
from pytel.module.stderr_log import StderrLog

_TIDY = 600
"""Beats between two times at which memory is given back."""
_BEHIND = 1 << 16
"""Bytes that wait for a supervisor which does not read; beyond, reports are left out."""
_log = logging.getLogger("pytel.process")


class ModuleProcess:
    """Runs modules until SIGTERM. `plan` is the checksum of what it was started from."""

    def __init__(
        self, site: SiteFile, plan: str, directory: Path, make_bus: BusFactory, log: StderrLog | None = None
    ) -> None:
        self._site, self._plan, self._directory, self._make_bus, self._log = site, plan, directory, make_bus, log
        self._hosted: dict[str, HostedModule] = {}
        self._wanted: asyncio.Queue[Want] = asyncio.Queue()
        self._serial = 0
        self._done = asyncio.Event()
        self._supervisor: asyncio.StreamWriter | None = None
        self._notified = False
        self._status = 0

    async def run(self, modules: Iterable[str]) -> int:
        """Run modules; returns the exit status."""
        path = self._directory / SOCKET
        with _ended_by(self._done.set):
            server = await asyncio.start_unix_server(self._serve, sock=listen_at(path), limit=LONGEST_LINE)
            self._wanted.put_nowait(Want(serial=0, modules=tuple(modules)))
            working = asyncio.create_task(self._do_what_is_wanted(), name="wanted modules")
            beating = asyncio.create_task(self._beat(), name="heartbeat")
            await self._done.wait()
            notify("STOPPING=1")
            await _ended(working)
            self._report()
            for address in reversed(list(self._hosted)):
                await self._stop(address)
            await _ended(beating)
            server.close()
            if self._supervisor is not None:
                self._supervisor.close()
        return self._status

    # what is wanted

    async def _do_what_is_wanted(self) -> None:
        while True:
            wanted = await self._wanted.get()
            for address in [known for known in reversed(list(self._hosted)) if known not in wanted.modules]:
                await self._stop(address)
            for spec in self._site.modules:
                address = str(spec.address)
                if address in wanted.modules and address not in self._hosted:
                    self._hosted[address] = HostedModule(spec, self._site.info, self._make_bus, self._changed)
            self._serial = wanted.serial
            self._report()

    async def _stop(self, address: str) -> None:
        try:
            await self._hosted[address].stop()
        except Exception:  # noqa: BLE001 - whatever it is, the others are stopped too
            _log.exception("%s did not stop in good order", address)
        del self._hosted[address]

    def _changed(self) -> None:
        self._report()
        if self._done.is_set():
            return
        hosted = list(self._hosted.values())
        if hosted and all(module.is_settled for module in hosted) and not self._notified:
            self._notified = notify("READY=1")
        if hosted and all(module.is_final for module in hosted):
            self._status = EXIT_CONFLICT if isinstance(hosted[0].failure, Conflict) else EXIT_CONFIG
            self._done.set()

    # what is told

    async def _beat(self) -> None:
        watchdog, beats = wants_watchdog(), 0
        while True:
            self._report()
            if watchdog:
                notify("WATCHDOG=1")
            beats += 1
            if beats % _TIDY == 0:
                give_back_memory()
            await asyncio.sleep(BEAT)

    def _report(self) -> None:
        writer = self._supervisor
        if writer is None or writer.is_closing() or writer.transport.get_write_buffer_size() > _BEHIND:
            return
        modules = {address: module.report() for address, module in self._hosted.items()}
        report = Report(pid=os.getpid(), plan=self._plan, serial=self._serial, modules=modules)
        writer.write(msgspec.json.encode(report) + b"\n")

    # the supervisor

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._supervisor is not None:
            self._supervisor.close()
        self._supervisor = writer
        self._report()
        try:
            while line := await reader.readline():
                self._hear(msgspec.json.decode(line, type=Want))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.error("what the supervisor says cannot be read: %s", error)
        finally:
            writer.close()
            if self._supervisor is writer:
                self._supervisor = None
                self._go_on_alone()

    def _hear(self, want: Want) -> None:
        if want.pipe is not None and self._log is not None:
            try:
                self._log.to_pipe(Path(want.pipe))
            except OSError as error:
                _log.error("the supervisor's pipe %s cannot be opened: %s", want.pipe, error.strerror)
        self._wanted.put_nowait(want)

    def _go_on_alone(self) -> None:
        if self._done.is_set():
            return
        if self._log is not None:
            self._log.to_file()
        _log.warning(
            "the supervisor is gone; its modules go on, and 'pytel run' takes them over: %s", ", ".join(self._hosted)
        )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@contextlib.contextmanager
def _ended_by(end: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
