"""The door of a running site for its own host: JSON-RPC 2.0, one message a line, over a Unix socket.

Besides what every door answers it knows `events.subscribe` (then notifications `state`, `event` and `events.dropped`
follow) and `events.unsubscribe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytel.base.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
)
from pytel.base.threads import in_thread
from pytel.base.unix_sockets import listen_at
from pytel.bus import envelope, jsonrpc
from pytel.bus.contract import (
    Builtin,
    Bus,
    Call,
    Origin,
    Publication,
    Role,
    Subscription,
)
from pytel.bus.door import NOBODY, Door, Own, Visitor
from pytel.bus.publications import told

MAX_LINE = 1 << 20
MAX_IN_FLIGHT = 32
QUEUE = 1000
"""Publications that wait for a slow client; beyond, the oldest are dropped and counted."""


class ControlSocket:
    """Serves one site's socket; `bus` must be a proxy's, which may speak with its clients' roles."""

    def __init__(self, path: Path, bus: Bus, site: str) -> None:
        self.path = path
        self.bus = bus
        self.door = Door(bus, site)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Join the bus."""
        await self.bus.open(Mute(), NOBODY)
        self.door.open()

    async def listen(self) -> None:
        """Take callers from now on.

        What is left of an earlier socket of this path is removed: the site's lock says that it is dead.
        """
        await in_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        listener = await in_thread(listen_at, self.path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_LINE)

    async def stop(self) -> None:
        """Stop listening and send the clients away."""
        self.door.close()
        if self._server is None:
            await self.bus.close()
            return
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        await self.bus.close()
        await in_thread(self.path.unlink, missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            origin = await _origin_of(writer)
            await _Client(self.door, reader, writer, origin).serve()
        except ConnectionError:
            pass  # the client left
        except asyncio.CancelledError:
            writer.transport.abort()  # the site stops, whether or not the client ever reads what waits for it
        finally:
            writer.close()


async def serve_connection(door: Door, connection: socket.socket, origin: Origin) -> None:
    """Serve one connected socket until its other end leaves; the door is open."""
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE)
    try:
        await _Client(door, reader, writer, origin).serve()
    except ConnectionError:
        pass  # the client left
    finally:
        writer.close()


class Mute:
    """A door's own endpoint: nobody calls it."""

    async def handle_call(self, call: Call) -> Builtin:
        """Refuse. Raises `MethodNotFound`."""
        raise MethodNotFound("this is a door for callers, not a module")


async def _origin_of(writer: asyncio.StreamWriter) -> Origin:
    """Who is at the other end, as the kernel vouches: the site's own user and root are admin, others look on."""
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    role = Role.ADMIN if uid in (0, os.getuid()) else Role.VIEWER
    return Origin(f"cli/{await in_thread(_user_name, uid)}", role)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class _Client:
    """One connection: requests in, answers and publications out."""

    def __init__(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: Origin) -> None:
        self._bus = door.bus
        self._reader, self._writer = reader, writer
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._news: deque[Publication] = deque(maxlen=QUEUE)
        self._dropped = 0
        self._is_news = asyncio.Event()
        self._subscription: Subscription | None = None
        self._wanted: frozenset[str] | None = None
        own: dict[str, Own] = {
            "events.subscribe": self._subscribe,
            "events.unsubscribe": self._unsubscribe,
            "session.info": self._info,
        }
        self._visitor = Visitor(door, origin, own)

    async def serve(self) -> None:
        """Answer until the client leaves."""
        try:
            async with asyncio.TaskGroup() as tasks:
                news = tasks.create_task(self._tell_news())
                await self._read(tasks)
                news.cancel()
        except BaseExceptionGroup as group:
            if group.split(ConnectionError)[1] is not None:
                raise
        finally:
            if self._subscription is not None:
                self._subscription.cancel()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        requests: set[asyncio.Task[None]] = set()
        while True:
            try:
                received = await self._reader.readline()
            except ValueError:
                error = InvalidRequest(f"a line is longer than {MAX_LINE} bytes; the connection is closed")
                await self._send(envelope.encoded_answer(envelope.fault(None, error)))
                break
            if not received:
                break
            await self._room.acquire()
            task = tasks.create_task(self._answer(received))
            requests.add(task)
            task.add_done_callback(requests.discard)
        for task in requests:
            task.cancel()

    async def _answer(self, received: bytes) -> None:
        try:
            answer = await self._visitor.answered(received)
            if answer is not None:
                await self._send(envelope.encoded_answer(answer))
        finally:
            self._room.release()  # only now: who does not read his answers may ask no more

    async def _info(self, params: Mapping[str, Any]) -> Builtin:
        return {**self._visitor.info(), "process": os.getpid()}

    async def _subscribe(self, params: Mapping[str, Any]) -> Builtin:
        topics = params.get("topics")
        if topics is not None and not (isinstance(topics, list) and all(isinstance(topic, str) for topic in topics)):
            raise InvalidParams("events.subscribe: topics must be a list of names, such as ['Telescope', 'NewImage']")
        self._wanted = None if topics is None else frozenset(topics)
        if self._subscription is not None:
            self._subscription.cancel()
        self._subscription = self._bus.subscribe(None, self._hear)
        return None

    async def _unsubscribe(self, params: Mapping[str, Any]) -> Builtin:
        if self._subscription is not None:
            self._subscription.cancel()
        self._subscription = None
        return None

    def _hear(self, publication: Publication) -> None:
        topic = publication.topic
        if self._wanted is not None and topic.name not in self._wanted and str(topic) not in self._wanted:
            return
        if len(self._news) == QUEUE:
            self._dropped += 1
        self._news.append(publication)
        self._is_news.set()

    async def _tell_news(self) -> None:
        while True:
            await self._is_news.wait()
            self._is_news.clear()
            while self._news:
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    await self._notify("events.dropped", {"count": dropped})
                publication = self._news.popleft()
                with contextlib.suppress(InternalError):  # text that is no text: nobody could read it
                    await self._notify(publication.topic.kind, told(publication))

    async def _notify(self, method: str, params: Builtin) -> None:
        await self._send(envelope.encode(jsonrpc.notification(method, params)))

    async def _send(self, message: bytes) -> None:
        self._writer.write(message + b"\n")
        await self._writer.drain()
