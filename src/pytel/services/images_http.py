"""The way to an image store on another host: HTTP, resumed where it broke off, verified at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from pytel.base import ids
from pytel.base.digests import digest_fields
from pytel.base.errors import (
    Busy,
    ChecksumError,
    ConfigError,
    ConnectionLost,
    NotFound,
    PytelError,
    Timeout,
)
from pytel.base.files import storage_full_named, unsynced
from pytel.base.threads import in_thread
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import StoreAccess
from pytel.services.http_body import receive_body
from pytel.services.images_cache import ImageCache
from pytel.services.images_shared import Write
from pytel.services.patience import patiently
from pytel.services.received import Received

if TYPE_CHECKING:
    import aiohttp

_CONNECT, _SILENCE = 10.0, 20.0
"""Real seconds to connect in, and of silence after which a line counts as broken."""
_LONGEST_ANSWER = 2**16
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRIES = 2
_PIECE = 2**19
T = TypeVar("T")


class HttpImages:
    """Images of one store; `access` asks it where it is, `directory` (told in a thread) takes what is on its way."""

    def __init__(self, access: Callable[[], Awaitable[StoreAccess]], directory: Callable[[], Path]) -> None:
        self._access = access
        self._cache = ImageCache(directory)

    async def put(self, write: Write, store: str) -> ImageRef:
        """Have `write` make a file here and send it; sent twice it is still one image.

        Raises `StorageFull`, `ConnectionLost`, `ChecksumError` when the bytes change on every way.
        """
        call_id = ids.new_id()
        part = await in_thread(self._cache.new_part)
        try:
            size, sha256 = await in_thread(_written, write, part)
            sending = _Sending(part)
            stored = await self._intact(
                lambda: patiently(lambda: self._send(sending, call_id, sha256), lambda: sending.furthest)
            )
            if (stored.get("sha256"), stored.get("size")) != (sha256, size) or not ids.is_id(str(stored.get("id"))):
                raise ChecksumError(f"{store} took other bytes than it was sent")
            return ImageRef(id=stored["id"], sha256=sha256, size=size, store=store)
        finally:
            await in_thread(part.unlink, missing_ok=True)

    async def path(self, ref: ImageRef) -> Path:
        """A file with the image's bytes, verified. Raises `NotFound`, `ChecksumError`, `ConnectionLost`."""
        path = await in_thread(self._cache.find, _checked(ref))
        if path is not None:
            return path
        part = await in_thread(self._cache.new_part)
        try:
            file = await in_thread(part.open, "x+b", 0)
            try:
                await self._fetch(ref, await in_thread(_mapped, file, ref, part))
            finally:
                await in_thread(file.close)
            return await in_thread(self._cache.keep, part, ref)
        finally:
            await in_thread(part.unlink, missing_ok=True)

    async def content(self, ref: ImageRef) -> mmap.mmap:
        """The image's bytes, verified. Raises the same."""
        return await self._fetch(_checked(ref), Received.into_memory(ref.size))

    async def _fetch(self, ref: ImageRef, received: Received) -> mmap.mmap:
        async def whole() -> mmap.mmap:
            await patiently(lambda: self._receive(ref, received), lambda: received.size)
            if await received.sha256() != ref.sha256:
                await received.start_again()
                raise ChecksumError(f"image {ref.id} came with other bytes than it was announced with", id=ref.id)
            return received.content

        return await self._intact(whole)

    async def _intact(self, work: Callable[[], Awaitable[T]]) -> T:
        """Try once more what came damaged: the line may have done it."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(ChecksumError):
                return await work()
        return await work()

    async def _send(self, sending: _Sending, call_id: str, sha256: str) -> dict[str, Any]:
        access = await self._access()
        headers = {"call-id": call_id, "content-type": "application/fits", **digest_fields(sha256)}
        async with sending.body() as (size, pieces):
            headers["content-length"] = str(size)
            async with _answer(access, "POST", "images", headers, pieces) as response:
                answer = await _bounded(response)
        try:
            stored = json.loads(answer)
        except ValueError as error:
            raise ConnectionLost(f"{access.url} answers what is no JSON: is it an image store?") from error
        return stored if isinstance(stored, dict) else {}

    async def _receive(self, ref: ImageRef, received: Received) -> None:
        """Receive what is missing."""
        start = received.size
        if start == ref.size:
            return
        headers = {"accept-encoding": "identity"}
        if start:
            headers |= {"range": f"bytes={start}-", "if-range": f'"{ref.sha256}"'}
        async with _answer(await self._access(), "GET", f"images/{ref.id}", headers) as response:
            if start and not _continues(response, start):
                await received.start_again()
            await receive_body(response, received, _SILENCE)
        if received.missing:
            raise ConnectionLost(f"only {received.size} of {ref.size} bytes of image {ref.id} came")


class _Sending:
    """A file that is sent; `furthest` is how many bytes of it have gone in the best try."""

    def __init__(self, part: Path) -> None:
        self._part = part
        self.furthest = 0

    @contextlib.asynccontextmanager
    async def body(self) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Its size, and its bytes from the beginning; what sends them may leave off anywhere."""
        file = await in_thread(self._part.open, "rb", 0)
        reads: list[asyncio.Future[bytes]] = []
        try:
            size = (await in_thread(os.fstat, file.fileno())).st_size
            yield size, self._pieces(file, reads)
        finally:
            if reads:
                await asyncio.wait(reads)
            await in_thread(file.close)

    async def _pieces(self, file: BinaryIO, reads: list[asyncio.Future[bytes]]) -> AsyncIterator[bytes]:
        """The next piece is read while one is sent."""
        sent = 0
        reads.append(_read(file))
        while piece := await reads[0]:
            reads[0] = _read(file)
            yield piece
            sent += len(piece)
            self.furthest = max(self.furthest, sent)


def _read(file: BinaryIO) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(in_thread(file.read, _PIECE))


def _written(write: Write, part: Path) -> tuple[int, str]:
    """Write a file that is gone as soon as the store has it."""
    with unsynced():
        return write(part)


def _mapped(file: BinaryIO, ref: ImageRef, part: Path) -> Received:
    with storage_full_named(part):
        return Received.into_file(file, ref.size)


def _checked(ref: ImageRef) -> ImageRef:
    if not ids.is_id(ref.id):
        raise NotFound(f"{ref.id[:40]!r} is no image id", id=ref.id[:40])
    return ref


def _continues(response: aiohttp.ClientResponse, start: int) -> bool:
    return response.status == 206 and response.headers.get("content-range", "").startswith(f"bytes {start}-")


@contextlib.asynccontextmanager
async def _answer(
    access: StoreAccess, method: str, path: str, headers: dict[str, str], body: Any = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask the store; inside the block its answer is one of success. Raises the error it tells, `ConnectionLost`."""
    import aiohttp

    url = f"{access.url.rstrip('/')}/{path}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"{access.url!r} is no address of an image store")
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=_SILENCE)
    headers = {**headers, "authorization": f"Bearer {access.token}"}
    context = await in_thread(_context, access.certificate)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout,
                auto_decompress=False,
                read_bufsize=2**20,
                connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
            ) as session,
            session.request(
                method, url, headers=headers, data=body, ssl=context, allow_redirects=False, expect100=body is not None
            ) as response,
        ):
            if not 200 <= response.status < 300:
                raise _told(response.status, await _bounded(response), access.url)
            yield response
    except TimeoutError as error:
        raise Timeout(f"the image store at {access.url} has said nothing for {_SILENCE:.0f} s") from error
    except aiohttp.ClientError as error:
        raise ConnectionLost(f"the line to the image store at {access.url} broke: {error}") from error


def _context(certificate: str | None) -> ssl.SSLContext | bool:
    if certificate is None:
        return True
    context = ssl.create_default_context(cadata=certificate)
    # The store's own certificate is enough: it came over the bus, and its authority need not be known here.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    return await response.content.read(_LONGEST_ANSWER)


def _told(status: int, body: bytes, url: str) -> PytelError:
    """The error that an answer tells; what may pass becomes `ConnectionLost`."""
    error: PytelError = ConnectionLost(f"the image store at {url} answers with status {status}")
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        error = PytelError.from_wire(json.loads(body)["error"])
    if status == 401 or isinstance(error, Busy) or (status in _PASSING_STATUS and not isinstance(error, ChecksumError)):
        # After a restart the token is another one, and is asked for anew.
        return ConnectionLost(f"the image store at {url} does not serve this now: {error.message}")
    return error
