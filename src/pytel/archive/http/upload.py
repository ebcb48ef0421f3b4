"""Images that come over HTTP: streamed to disk, hashed on the way, taken over when whole, otherwise gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from starlette.requests import ClientDisconnect

from pytel.archive.files import ImageDirectory, StoredImage, Upload
from pytel.archive.http.access import Identity
from pytel.base import ids
from pytel.base.digests import announced_sha256
from pytel.base.errors import ChecksumError, InvalidParams, LimitExceeded, Timeout
from pytel.base.files import storage_full_named
from pytel.base.seals import seal
from pytel.base.threads import in_thread
from pytel.base.units import Bytes, Seconds

if TYPE_CHECKING:
    from starlette.requests import Request

_PREFIX = "http-"
_BATCH = 2**18
_NO_ENCODING = ("", "identity")


class TooLarge(LimitExceeded):
    """The body is larger than an image may be."""


class UploadLimits(NamedTuple):
    """How large an image may be, and in how many real seconds each 256 KiB of it must come."""

    largest: Bytes
    patience: Seconds = 60.0


class Announced(NamedTuple):
    """What the header of an upload says: size and SHA-256 where it tells them."""

    size: int | None
    sha256: str | None
    call_id: str | None


def remove_leftovers(files: ImageDirectory) -> None:
    """Remove parts of uploads that no longer run, as the store has just started; blocking."""
    for part in files.incoming.glob(f"{_PREFIX}*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def announcement(request: Request, limits: UploadLimits) -> Announced:
    """Read the header of an upload. Raises `InvalidParams` and `TooLarge`."""
    headers = request.headers
    if headers.get("content-encoding", "").strip().lower() not in _NO_ENCODING:
        raise InvalidParams("images are stored as they come: send them without Content-Encoding")
    if "content-range" in headers:
        raise InvalidParams("an image is sent whole: Content-Range is not taken")
    call_id = headers.get("call-id")
    if call_id is not None and not ids.is_id(call_id):
        raise InvalidParams("Call-Id is a ULID: 26 characters of Crockford's base 32")
    length = headers.get("content-length")
    size = None if length is None else _size(length)
    if size is not None and size > limits.largest:
        raise TooLarge(f"an image has at most {int(limits.largest)} bytes, not {size}")
    return Announced(size, announced_sha256(headers), call_id)


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidParams("Content-Length is no number")
    return int(text)


async def take_upload(
    request: Request, files: ImageDirectory, limits: UploadLimits, who: Identity, image: str | None = None
) -> tuple[StoredImage, bool]:
    """Store the body of a request; tells also whether it is a further image.

    Raises `ChecksumError`, `Conflict`, `InvalidParams`, `StorageFull`, `Timeout`, `TooLarge`; then nothing of it stays.
    """
    announced = announcement(request, limits)
    await in_thread(files.check_room, announced.size or 0)
    part = files.incoming / f"{_PREFIX}{ids.new_id()}.part"
    try:
        size, sha256 = await _to_disk(request, part, limits)
        _compare(announced, size, sha256)
        return await in_thread(files.adopt, part, Upload(_name(announced.call_id, who), sha256, size), image)
    finally:
        await in_thread(part.unlink, missing_ok=True)


def _name(call_id: str | None, who: Identity) -> str:
    """The name under which an upload is known again: a call id counts for its sender alone."""
    sender = hashlib.sha256(who.name.encode()).hexdigest()[:16]
    return f"{_PREFIX}{sender}-{call_id}" if call_id else f"{_PREFIX}{ids.new_id()}"


def _compare(announced: Announced, size: int, sha256: str) -> None:
    if size == 0:
        raise InvalidParams("the body is empty: send the bytes of an image")
    if announced.size not in (None, size):
        raise ChecksumError(f"{announced.size} bytes were announced, {size} came: send it again")
    if announced.sha256 not in (None, sha256):
        raise ChecksumError("what came has not the announced sha-256: send it again")


async def _to_disk(request: Request, part: Path, limits: UploadLimits) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    file = await in_thread(_create, part)
    writing: asyncio.Future[None] | None = None
    try:
        async for batch in _batches(request, limits):
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(in_thread(_write, file, part, batch, digest))
            size += sum(map(len, batch))
        if writing is not None:
            await writing
        await in_thread(_finish, file, part, digest)
    finally:
        if writing is not None:
            await asyncio.wait([writing])
        await in_thread(file.close)
    return size, digest.hexdigest()


async def _batches(request: Request, limits: UploadLimits) -> AsyncIterator[list[bytes]]:
    """The body in batches of 256 KiB or more, each of which must come in time; chunks are not copied together."""
    stream = request.stream()
    total, more = 0, True
    while more:
        batch: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.patience):
                while size < _BATCH and more:
                    chunk = await anext(stream, None)
                    more = chunk is not None
                    batch.append(chunk or b"")
                    size += len(batch[-1])
        except TimeoutError as error:
            raise Timeout(f"less than 256 KiB came in {limits.patience:g} s: send it again on a better line") from error
        except ClientDisconnect as error:
            raise ChecksumError("the connection ended before the image was whole") from error
        total += size
        if total > limits.largest:
            raise TooLarge(f"an image has at most {int(limits.largest)} bytes")
        if size:
            yield batch


def _create(part: Path) -> BinaryIO:
    with storage_full_named(part):
        return part.open("xb", buffering=0)


def _write(file: BinaryIO, part: Path, batch: list[bytes], digest: hashlib._Hash) -> None:
    for chunk in batch:
        with storage_full_named(part):
            left = memoryview(chunk)
            while left:
                left = left[file.write(left) :]
        digest.update(chunk)


def _finish(file: BinaryIO, part: Path, digest: hashlib._Hash) -> None:
    with storage_full_named(part):
        seal(part, digest.hexdigest())
        os.fsync(file.fileno())
