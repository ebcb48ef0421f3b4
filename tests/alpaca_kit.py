"""Real Alpaca simulators, a link that can be cut, and a server that lies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from pytel.services.alpaca_client import AlpacaClient

PATIENCE = 60.0
STARS = "stars.sqlite"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait for what must come."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come about"
        await asyncio.sleep(0.02)
    return found


@contextlib.asynccontextmanager
async def simulators(python: Path, folder: Path) -> AsyncIterator[str]:
    """The address of alpaca-simulators in a process of their own, killed hard at the end."""
    port = free_port()
    program = python.parent / "alpaca-simulators"
    settings = _settings(python, folder)
    log = (folder / "simulators.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *(program, "--host", "127.0.0.1", "--port", str(port), "--config", settings),
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        await _answers(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        log.close()


def _settings(python: Path, folder: Path) -> Path:
    """The simulators' own settings, but that their stars come from a file of ours, not from a service on the net."""
    (template,) = python.parent.parent.glob("lib/python*/site-packages/alpaca_simulators/config/template.yaml")
    settings = template.read_text("utf-8")
    assert "tap_source: null" in settings
    written = folder / "simulators.yaml"
    written.write_text(settings.replace("tap_source: null", f'tap_source: "sqlite:///{folder / STARS}"'), "utf-8")
    put_stars(folder)
    return written


def put_stars(folder: Path, *stars: tuple[float, float, float]) -> None:
    """Stars for the simulated sky: degrees of right ascension and declination, and Gaia's G magnitude."""
    with contextlib.closing(sqlite3.connect(folder / STARS)) as catalogue, catalogue:
        catalogue.execute("CREATE TABLE IF NOT EXISTS gaia_sources (ra REAL, dec REAL, phot_g_mean_mag REAL)")
        catalogue.executemany("INSERT INTO gaia_sources VALUES (?, ?, ?)", stars)


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    ends = time.monotonic() + PATIENCE
    while True:
        assert process.returncode is None, "alpaca-simulators ended; see simulators.log"
        assert time.monotonic() < ends, "alpaca-simulators does not answer"
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.1)


class Cable:
    """A TCP proxy that can be cut: what runs through it hangs, and nothing new comes through."""

    def __init__(self, behind: str) -> None:
        host, _, port = behind.rpartition(":")
        self._behind = (host, int(port))
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._address = 0
        self.restored = 0.0
        self.heard: list[tuple[float, str]] = []
        """When each request line came through."""

    async def start(self) -> str:
        """Listen; returns the address."""
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """End all."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """From now on nothing comes through, nor is anything refused."""
        self._whole.clear()

    def restore(self) -> None:
        """Mend it; what was under way stays lost."""
        for task in tuple(self._tasks):
            task.cancel()
        self.restored = time.monotonic()
        self._whole.set()

    async def sever(self) -> None:
        """End all connections, and refuse others, as when the server dies."""
        assert self._server is not None
        self._address = self._server.sockets[0].getsockname()[1]
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()

    async def splice(self) -> None:
        """Listen again after `sever`."""
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", self._address)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        back: asyncio.StreamWriter | None = None
        try:
            await self._whole.wait()
            there, back = await asyncio.open_connection(*self._behind)
            await asyncio.gather(self._pump(reader, back, heard=True), self._pump(there, writer, heard=False))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            if back is not None:
                back.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, heard: bool) -> None:
        while data := await source.read(1 << 16):
            await self._whole.wait()
            if heard and data[:4] in (b"GET ", b"PUT "):
                self.heard.append((time.monotonic(), data.split(b"\r\n", 1)[0].decode()))
            sink.write(data)
            await sink.drain()
        sink.close()


@contextlib.asynccontextmanager
async def lying_client(answer: bytes | None) -> AsyncIterator[AlpacaClient]:
    """A client whose server answers everything with some bytes, or with silence."""

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    client = AlpacaClient(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "focuser", 0, "focuser")
    await client.open()
    try:
        yield client
    finally:
        await client.close()
        server.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An answer of HTTP."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status.encode(), len(body), body)
