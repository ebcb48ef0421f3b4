"""A running site: its simulated hardware, if any, its modules in this process or their own, its control socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator, Sequence

from pytel.base import clock
from pytel.base.errors import ConfigError, ConnectionLost, DeviceError, PytelError, Timeout
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.bus.contract import Bus, CallOptions, Origin, Role
from pytel.bus.control_socket import ControlSocket
from pytel.cli.client import SOCKET
from pytel.cli.hardware import simulated_hardware
from pytel.cli.site_server import serving
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.observer import Observer
from pytel.interfaces.telescope import Telescope
from pytel.module.faults import nearest
from pytel.module.interface import Interface
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.process_supervisor import ProcessSupervisor
from pytel.module.specs import SiteFile
from pytel.module.supervisor import Supervisor

log = logging.getLogger("pytel.run")
LONGEST_CLOSING: Seconds = 600.0
SHORTEST_WAIT = 20.0
"""Real seconds that a roof gets at least, however fast the clock; and for the robot to stop."""
_AGAIN: Seconds = 5.0
_UNHEARD = 10
"""Times in a row that there is no way to a roof's module, before its own end has to close it."""


class SiteProcess:
    """What runs: the supervisor with its modules, and a bus to talk to them as the command line."""

    def __init__(self, site: SiteFile, supervisor: Supervisor, bus: Bus) -> None:
        self.site = site
        self.supervisor = supervisor
        self.bus = bus

    async def close_down(self) -> None:
        """Stop observing, close the roof and park the telescope, then stop all modules, last of the file first."""
        for address in self._offering(Observer):
            await self._stop_robot(address)
        closing = [self._close(address) for address in self._offering(Enclosure)]
        parking = [self._park(address) for address in self._offering(Telescope)]
        for failure in await asyncio.gather(*closing, *parking, return_exceptions=True):
            if isinstance(failure, BaseException):
                log.critical("a fault in closing down", exc_info=failure)
        await self.supervisor.stop()

    async def _stop_robot(self, address: str) -> None:
        """Stop a robot; one that does not end must not keep the roof from closing."""
        stopping = asyncio.create_task(self.supervisor.stop_module(address), name=f"stop {address}")
        done, _ = await asyncio.wait({stopping}, timeout=SHORTEST_WAIT)
        if not done:
            stopping.cancel()
            log.error("%s does not stop; the roof is closed all the same", address)
        elif not stopping.cancelled() and (error := stopping.exception()) is not None:
            log.error("%s did not stop in good order", address, exc_info=error)

    def _offering(self, interface: type[Interface]) -> list[str]:
        running = self.supervisor.running
        return [
            str(spec.address)
            for spec in reversed(self.site.modules)
            if spec.address in running and issubclass(spec.kind, interface)
        ]

    async def _park(self, address: str) -> None:
        fault: PytelError | None = Timeout("it takes too long")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_longest()):
                fault = await self._attempt(address, "park")
        if fault is not None:
            log.error("%s did not park: %s", address, fault.message)

    async def _close(self, address: str) -> None:
        """Close a roof, as often as it takes: one that hangs may yet be freed by whoever was called."""
        limit, known, unheard = _longest(), "", 0
        try:
            async with asyncio.timeout(limit):
                while (fault := await self._attempt(address, "close")) is not None:
                    if fault.message != known:
                        log.error("%s did not close and is told again: %s", address, fault.message)
                    known = fault.message
                    unheard = unheard + 1 if isinstance(fault, ConnectionLost) else 0
                    if unheard > _UNHEARD:
                        log.error("%s cannot be reached; it closes by itself when its module ends", address)
                        return
                    await clock.sleep(_AGAIN)
        except TimeoutError:
            log.critical("%s did not close within %.0f s: go there", address, limit)

    async def _attempt(self, address: str, method: str) -> PytelError | None:
        """Have a job done; returns what went wrong."""
        target, options = Address.parse(address), CallOptions(timeout=70.0, origin=Origin("cli/run", Role.ADMIN))
        try:
            job = (await self.bus.call(target, method, {}, options))["job"]
            report: dict[str, object] = {"status": "running"}
            while report["status"] in ("queued", "running"):
                report = await self.bus.call(target, "job.wait", {"job": job, "timeout": 60.0}, options)
        except PytelError as error:
            return error
        return None if report["status"] == "done" else DeviceError(str(report.get("error") or report["status"]))


def _longest() -> float:
    return max(SHORTEST_WAIT, LONGEST_CLOSING / clock.current().rate)


def refuse_unknown(site: SiteFile, only: Sequence[str]) -> None:
    """Raise `ConfigError` for a name that is no module of the site."""
    names = [str(spec.address) for spec in site.modules]
    for name in only:
        if name not in names:
            raise ConfigError(f"the site file has no module {name!r}; {nearest(name, names)}")


def supervised(site: SiteFile) -> tuple[Supervisor, Bus]:
    """What runs the modules, and the command line's own connection: on the local bus all share this process."""
    if site.bus == "local":
        local = LocalSupervisor(site)
        return local, local.hub.bus(Address("cli"), is_proxy=True)
    return ProcessSupervisor(site, lambda address: make_bus(site, address)), make_bus(site, Address("cli"))


@contextlib.asynccontextmanager
async def running_site(site: SiteFile, only: Sequence[str] = (), *, door: bool = True) -> AsyncIterator[SiteProcess]:
    """Run a site for the length of a block; `door` opens its control socket. The clock is the caller's."""
    async with serving(site), simulated_hardware(site):
        supervisor, bus = supervised(site)
        control = ControlSocket(site.info.state_dir / SOCKET, bus, site.info.name)
        process = SiteProcess(site, supervisor, bus)
        await control.start()
        try:
            await supervisor.open()
            if door:  # only now: whoever gets in finds that the site answers
                await control.listen()
            await supervisor.start(only)
            yield process
        finally:
            await process.close_down()
            await control.stop()


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that is set by SIGINT, SIGTERM or SIGHUP (a closed terminal); a second one ends the process as it is."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def ask() -> None:
        if stop.is_set():
            log.error("stopped at once, in whatever state things are")
            raise SystemExit(1)
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, ask)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
