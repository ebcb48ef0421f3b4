"""The answer to GET and HEAD of an image: conditions, one range, and bytes from disk with little in memory."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO

from starlette.responses import Response

from pytel.archive.files import StoredImage
from pytel.archive.http.fields import Span, matches_any, parse_range, same_strong
from pytel.base.digests import digest_fields
from pytel.base.errors import ChecksumError, NotFound
from pytel.base.threads import in_thread

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Receive, Scope, Send

_CHUNK = 2**19
STALLED_AFTER = 60.0
"""Real seconds in which a client must take a piece of 512 KiB, or it is cut off."""
UNCHANGING = "private, max-age=31536000, immutable"


async def answer(image: StoredImage, headers: Headers) -> Response:
    """Choose among the whole image, a range of it, and nothing at all.

    Raises `UnsatisfiableRange`, `NotFound` when the image was evicted just now, `ChecksumError`.
    """
    tag = f'"{image.sha256}"'
    fields = {"etag": tag, "cache-control": UNCHANGING, "accept-ranges": "bytes"}
    if not _may_match(headers.get("if-match"), tag):
        return Response(status_code=412, headers=fields)
    if matches_any(headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=fields)
    wanted = headers.get("range") if same_strong(headers.get("if-range"), tag) else None
    span = parse_range(wanted, image.size)
    fields |= digest_fields(image.sha256)
    fields["content-disposition"] = f'attachment; filename="{image.id}.fits"'
    if span is not None:
        fields["content-range"] = f"bytes {span.start}-{span.end - 1}/{image.size}"
    # Opened here, the file stays whatever the store evicts.
    file = await in_thread(_open, image)
    return FileAnswer(file, span or Span(0, image.size), 200 if span is None else 206, fields)


def _may_match(field: str | None, tag: str) -> bool:
    return field is None or field.strip() == "*" or tag in [part.strip() for part in field[:10000].split(",")]


class FileAnswer(Response):
    """Sends a span of a file; the next piece is read while one is sent."""

    media_type = "application/fits"

    def __init__(self, file: BinaryIO, span: Span, status: int, fields: dict[str, str]) -> None:
        super().__init__(status_code=status, headers={**fields, "content-length": str(span.end - span.start)})
        self._file, self._span = file, span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and close the file."""
        file = self._file
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_span(file, scope, send)
        finally:
            await in_thread(file.close)

    async def _send_span(self, file: BinaryIO, scope: Scope, send: Send) -> None:
        start, end = self._span
        piece = await in_thread(_read, file, start, end)
        while piece:
            start += len(piece)
            reading = asyncio.ensure_future(in_thread(_read, file, start, end))
            try:
                async with asyncio.timeout(STALLED_AFTER):
                    await send({"type": "http.response.body", "body": piece, "more_body": start < end})
            except TimeoutError:
                scope["state"]["abort"]()
                return
            finally:
                await asyncio.wait([reading])
            piece = reading.result()


def _open(image: StoredImage) -> BinaryIO:
    try:
        file = os.fdopen(os.open(image.path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0)
    except OSError as error:
        raise NotFound(f"image {image.id} is no longer in the store", id=image.id) from error
    if os.fstat(file.fileno()).st_size != image.size:
        file.close()
        raise ChecksumError(f"image {image.id} was damaged on the store's disk", id=image.id)
    return file


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    return os.pread(file.fileno(), min(_CHUNK, end - start), start) if start < end else b""
