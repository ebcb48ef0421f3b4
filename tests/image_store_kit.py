"""An image store that serves HTTP, clients of it, and lines that break and lie."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np

from pytel.archive.files import ImageDirectory
from pytel.archive.http.server import HttpSettings, ImageServer
from pytel.base import ids
from pytel.base.threads import in_thread
from pytel.imaging.fits import render_fits
from pytel.imaging.headers import HeaderCard

CREATED = datetime(2026, 11, 22, 20, tzinfo=UTC)


def frame_bytes(value: int = 0, shape: tuple[int, int] = (64, 48)) -> bytes:
    """A FITS file with a ramp that begins at `value`."""
    pixels = (np.arange(shape[0] * shape[1], dtype=np.uint32) + value).astype(np.uint16).reshape(shape)
    return b"".join(render_fits(pixels, {"OBJECT": HeaderCard("M 8", "name of the object")}, created=CREATED))


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The stable name of the error."""
        return str(self.json["error"]["data"]["name"])


class Served:
    """A running store, and requests to it with its token."""

    def __init__(self, files: ImageDirectory, server: ImageServer) -> None:
        self.files, self.server = files, server
        self.host, self.port = "127.0.0.1", int(server.url.rpartition(":")[2])

    async def ask(self, method: str, path: str, data: Any = None, *, token: str | None = None, **fields: str) -> Answer:
        """Send a request; `Content_Digest="…"` becomes a header field. `token` "" sends none."""
        body = io.BytesIO(data) if isinstance(data, bytes) else data
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        given = self.server.token if token is None else token
        if given:
            headers.setdefault("Authorization", f"Bearer {given}")
        async with (
            aiohttp.ClientSession(
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=30),
                connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
            ) as session,
            session.request(method, f"{self.server.url}{path}", headers=headers, data=body) as response,
        ):
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, found, await response.read())

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and read what comes until the server closes or five seconds are over."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        answer = b""
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                await writer.drain()
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(20):
                    while chunk := await reader.read(2**16):
                        answer += chunk
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        return answer

    async def put_image(self, content: bytes | None = None) -> str:
        """Store an image; returns its id."""
        answer = await self.ask("POST", "/images", content if content is not None else frame_bytes())
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def parts(self) -> list[Path]:
        """Uploads that are under way or were left behind."""
        return list(self.files.incoming.iterdir())


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *, capacity: int = 2**30, largest: int = 2**30, patience: float = 30.0
) -> AsyncIterator[Served]:
    """Run a store's HTTP server for the length of a block."""
    files = await in_thread(ImageDirectory(folder, capacity).open)
    server = ImageServer(HttpSettings(largest=largest, patience=patience), folder)
    await server.start(files, "store", logging.getLogger("test.store"))
    try:
        yield Served(files, server)
    finally:
        await server.stop()


async def until(condition: Callable[[], object], patience: float = 20.0) -> None:
    """Wait until `condition()` is true, up to `patience` real seconds. Raises `TimeoutError`."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)


def sha256(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def new_ulid() -> str:
    """An id of one's own."""
    return ids.new_id()


Spoil = Callable[[bytes, int], bytes | None]
"""Given what the server sends and how many bytes of it went before: what arrives; None: the line breaks."""


class Line:
    """A TCP line to a server, which does to the server's bytes what `spoil` says."""

    def __init__(self, port: int, spoil: Spoil) -> None:
        self._port, self._spoil = port, spoil
        self.connections = 0
        self.sent = bytearray()
        """What clients sent, of all connections."""
        self.cuts: Iterator[int] = iter(())
        """After how many bytes of the client each connection is cut; those beyond are not."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Line:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
            onward = asyncio.create_task(self._onward(reader, there, next(self.cuts, None)))
            back = asyncio.create_task(self._back(there_reader, writer))
            try:
                await asyncio.wait([onward, back], return_when=asyncio.FIRST_COMPLETED)
                if not onward.done() or onward.result():
                    await asyncio.wait([back])
            finally:
                onward.cancel()
                back.cancel()
                await asyncio.wait([onward, back])
                there.transport.abort()
        writer.transport.abort()

    async def _onward(self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, cut: int | None) -> bool:
        """Whether the client has come to its end; not when the line was cut."""
        before = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(2**16):
                self.sent += chunk
                there.write(chunk)
                await there.drain()
                before += len(chunk)
                if cut is not None and before > cut:
                    return False
        return True

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        before = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await there.read(2**14):
                arrives = self._spoil(chunk, before)
                if arrives is None:
                    return
                before += len(chunk)
                writer.write(arrives)
                await writer.drain()
