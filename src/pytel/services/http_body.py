"""The body of an HTTP answer, received straight to where it belongs: a frame is not copied on its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytel.base.errors import ConnectionLost, Timeout
from pytel.base.units import Seconds
from pytel.services.received import Received

if TYPE_CHECKING:
    import aiohttp


async def receive_body(response: aiohttp.ClientResponse, received: Received, silence: Seconds) -> None:
    """Receive what is missing; `silence` is how many real seconds may pass without a byte.

    The connection is of no use afterwards. Raises `ConnectionLost`, `Timeout`, `ChecksumError` for too many bytes.
    """
    connection = response.connection
    if connection is None or connection.transport is None or not _is_plain(response, received):
        async for chunk, _ in response.content.iter_chunks():
            received.add(chunk)
        return
    transport = connection.transport
    # What aiohttp has read ahead first; from here to the change of protocol nothing else runs.
    ahead = response.content.read_nowait()
    received.add(ahead)
    if received.missing:
        straight = _Straight(received)
        transport.set_protocol(straight)
        transport.resume_reading()
        try:
            await straight.finish(silence)
        finally:
            transport.abort()


def _is_plain(response: aiohttp.ClientResponse, received: Received) -> bool:
    """Whether the body is just the missing bytes."""
    headers = response.headers
    length = headers.get("content-length", "")
    return length == str(received.missing) and "transfer-encoding" not in headers


class _Straight(asyncio.BufferedProtocol):
    """Puts what comes where it belongs."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go; what is too much goes nowhere."""
        return self._received.room() if self._received.missing else memoryview(bytearray(1))

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        if self._received.missing:
            self._received.advance(nbytes)
        if not self._received.missing and not self._end.done():
            self._end.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The line broke, or ended in good order."""
        if not self._end.done():
            self._end.set_exception(ConnectionLost(f"the line broke: {exc or 'the store closed it'}"))

    async def finish(self, silence: Seconds) -> None:
        """Wait for the last byte."""
        while not self._end.done():
            before = self._received.size
            await asyncio.wait([self._end], timeout=silence)
            if not self._end.done() and self._received.size == before:
                self._end.cancel()
                raise Timeout(f"nothing has come for {silence:g} s")
        self._end.result()
