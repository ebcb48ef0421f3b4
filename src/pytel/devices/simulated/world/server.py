"""The simulated hardware as a process of its own, which its drivers reach by a Unix socket.

It outlives its clients and whoever started it. It ends on SIGTERM, or when nobody has been connected for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import Any

import msgspec

from pytel.base import clock
from pytel.base.errors import InvalidRequest, PytelError, wrap
from pytel.base.lock import directory_lock
from pytel.base.threads import in_thread, shutdown_threads
from pytel.base.unix_sockets import listen_at
from pytel.devices.simulated.world.wire import LONGEST_LINE, SOCKET, Reply, Request, Setup
from pytel.devices.simulated.world.world import World

LONELY = 300.0
"""Real seconds without a client after which the hardware switches itself off."""
_log = logging.getLogger("pytel.world")


class WorldServer:
    """Serves one world to any number of clients."""

    def __init__(self, world: World, lonely: float = LONELY) -> None:
        self._world = world
        self._lonely = lonely
        self._clients: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self, path: Path) -> None:
        """Serve until stopped or left alone."""
        listener = await in_thread(listen_at, path)
        server = await asyncio.start_unix_server(self._accept, sock=listener, limit=LONGEST_LINE)
        try:
            await self._until_over()
        finally:
            server.close()
            for client in list(self._clients):
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await in_thread(_remove, path)

    def stop(self) -> None:
        """Switch off."""
        self._stop.set()

    async def _until_over(self) -> None:
        alone = 0.0
        step = min(5.0, self._lonely / 4)
        while not self._stop.is_set() and alone < self._lonely:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(step):
                    await self._stop.wait()
            alone = 0.0 if self._clients else alone + step

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            _log.debug("a client is gone")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                await _send(writer, _failed(InvalidRequest(f"a request is at most {LONGEST_LINE} bytes long")))
                return
            if not line:
                return
            reply, pixels = await self._answer(line)
            await _send(writer, reply, pixels)

    async def _answer(self, line: bytes) -> tuple[Reply, bytes]:
        try:
            request = msgspec.json.decode(line, type=Request)
            result = await self._execute(request)
        except msgspec.MsgspecError as error:
            return _failed(InvalidRequest(f"not a request: {error}")), b""
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            if not isinstance(error, PytelError):
                _log.exception("a command failed by a fault of the simulation")
            return _failed(wrap(error)), b""
        if request.command != "read":
            return Reply(result=result), b""
        pixels = await in_thread(lambda: result.astype("<u2", copy=False).tobytes())
        return Reply(size=len(pixels), shape=result.shape), pixels

    async def _execute(self, request: Request) -> Any:
        if request.command == "read":  # renders the frame, while other devices go on answering
            return await in_thread(self._world.execute, request.device, request.command, request.params)
        return self._world.execute(request.device, request.command, request.params)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _failed(error: PytelError) -> Reply:
    return Reply(error=dict(error.to_wire()))


async def _send(writer: asyncio.StreamWriter, reply: Reply, pixels: bytes = b"") -> None:
    writer.write(msgspec.json.encode(reply) + b"\n")
    if pixels:
        writer.write(pixels)
    await writer.drain()


def serve(directory: Path, setup: Setup) -> None:
    """Run the world of a directory in this process until it is switched off. Raises `AlreadyRunning`."""
    with directory_lock(directory, "simulated hardware"), clock.using(setup.clock()):
        world = World(setup.config, setup.location, setup.seed, directory)
        asyncio.run(_serve_until_signal(WorldServer(world), directory / SOCKET))
        shutdown_threads()


async def _serve_until_signal(server: WorldServer, path: Path) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is meant for who started it
    await server.run(path)
