"""Debian's indiserver with its simulators, started by tests with a home, a port and a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

_NUMBERS = itertools.count(1)
_PATIENCE = 20.0
MOUNT, CAMERA, FOCUSER = "Telescope Simulator", "CCD Simulator", "Focuser Simulator"
WHEEL, DOME, ROTATOR = "Filter Simulator", "Dome Simulator", "Rotator Simulator"
WEATHER, GUIDER = "Weather Simulator", "Guide Simulator"


class IndiServer:
    """One indiserver, which can be killed hard and started again on the same port and socket.

        await server.start("indi_simulator_focus", "indi_simulator_ccd")
        client = IndiClient(server.address)   # or server.socket: shared-memory BLOBs
        await server.kill(); await server.restart()

    `env` goes to the server and so to its drivers (PATH with a `gsc`, for one). Settings of the drivers land in
    `home/.indi` and outlive a restart.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.socket = f"/tmp/pytel-indi-{os.getpid()}-{next(_NUMBERS)}"
        """The address of its Unix socket (an abstract one: there is no such file)."""
        self.log = folder / "indiserver.log"
        self._env, self._fifo = dict(env or {}), folder / "drivers"
        self._drivers: tuple[str, ...] = ()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """The address over TCP."""
        return f"127.0.0.1:{self.port}"

    async def start(self, *drivers: str) -> IndiServer:
        """Start with some drivers, such as `indi_simulator_ccd`, and wait until it listens."""
        self._drivers = drivers
        await self.restart()
        return self

    async def restart(self) -> None:
        """Start as last time."""
        await self.kill()
        program = shutil.which("indiserver")
        if program is None:
            raise AssertionError("indiserver is not installed: run scripts/install_test_servers.sh (Debian's indi-bin)")
        if not self._fifo.exists():
            os.mkfifo(self._fifo)
        command = [program, "-v", "-m", "400", "-p", str(self.port), "-u", self.socket, "-f", str(self._fifo)]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                *self._drivers,
                env={**os.environ, **self._env, "HOME": str(self.home)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self._until_listening()

    async def _until_listening(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                assert self._process is not None
                if self._process.returncode is not None:
                    raise AssertionError(f"indiserver ended at once:\n{self.log.read_text()}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Kill it and its drivers hard (SIGKILL); harmless when it does not run."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def pause(self) -> None:
        """Have server and drivers stand still (SIGSTOP): links stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have them go on."""
        self._signal(signal.SIGCONT)

    async def plug(self, driver: str, name: str | None = None) -> None:
        """Start one more driver, under another device name if that is given."""
        await self._tell(f"start {driver}" + (f' -n "{name}"' if name else ""))

    async def unplug(self, driver: str) -> None:
        """Stop a driver: its device vanishes."""
        await self._tell(f"stop {driver}")

    async def _tell(self, order: str) -> None:
        fifo = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(fifo, f"{order}\n".encode())
        finally:
            os.close(fifo)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)


Starter = Callable[..., Awaitable[IndiServer]]
"""What the fixture `indi_server` gives."""


def free_port() -> int:
    """A port on which nobody listens, below those that the system gives to clients: it stays free while a server that
    was killed is away.

    """
    while True:
        port = secrets.randbelow(12000) + 20000
        with socket.socket() as found, contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(("", port))
            return port
