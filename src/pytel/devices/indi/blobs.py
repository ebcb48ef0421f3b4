"""BLOBs of a device as they arrive: bounded in number and size."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, NotReady, PytelError
from pytel.base.units import Seconds
from pytel.devices.indi.connection import Connection
from pytel.devices.indi.inventory import one_line
from pytel.devices.indi.protocol import (
    BlobBegins,
    BlobData,
    BlobEnds,
    Element,
    ElementParser,
    Event,
    enable_blob,
    get_properties,
    ping_reply,
)
from pytel.devices.indi.transport import Link, drop_descriptor, parse_address
from pytel.devices.indi.unpacking import Unpacking, decoder
from pytel.services.timing import patient

KEPT = 4
"""Frames in memory at a time, the one under way included; beyond that the server is not listened to."""
_DEFINED_WITHIN: Seconds = 10.0


class Blob:
    """One BLOB; `close` it when its bytes are no longer needed (the next ones then have room)."""

    def __init__(
        self, begins: BlobBegins, form: str, data: memoryview, received: float, release: Callable[[], None]
    ) -> None:
        self.device, self.name = begins.vector.get("device", ""), begins.vector.get("name", "")
        self.member = begins.attributes.get("name", "")
        self.format = form
        """Such as ".fits"; the ".z" of compressed ones is gone, as they are unpacked."""
        self.data = data
        """The bytes, read-only; what is made of them (an array) stays whole after `close`."""
        self.timestamp = begins.vector.get("timestamp", "")
        """When the server says it was made, as it says it."""
        self.received = received
        """Site time (Unix seconds) when its last byte came."""
        self._release: Callable[[], None] | None = release

    def close(self) -> None:
        """Let go of the bytes; harmless when that is done."""
        self.data = memoryview(b"")
        if self._release is not None:
            release, self._release = self._release, None
            release()

    def __del__(self) -> None:
        self.close()


class BlobStream:
    """The BLOBs of one property, from a connection of their own: `async with client.blobs(device, name) as frames`."""

    def __init__(self, address: str, device: str, name: str) -> None:
        self.device, self.name = device, name
        # That the server is lost is said by its client.
        self._connection = Connection(address, self._serve, self._lost, None)
        self._ready: deque[Blob | PytelError] = deque()
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._enabled = asyncio.Event()
        self._kept = 0
        self._under_way: tuple[BlobBegins, Unpacking] | None = None

    async def __aenter__(self) -> BlobStream:
        """Connect, and enable BLOBs: those that are made from now on will come.

        Raises `ConnectionLost`, `NotReady` when there is no such property, `ConfigError` without the extra `indi`.
        """
        decoder()
        parse_address(self._connection.address)
        self._connection.start()
        try:
            await self.until_enabled(_DEFINED_WITHIN)
        except BaseException:
            await self._connection.stop()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Disconnect; what was not fetched is thrown away."""
        await self._connection.stop()
        self.clear()

    async def until_enabled(self, patience: Seconds) -> None:
        """Wait until BLOBs made from now on will come, also after the link broke. Raises as `__aenter__` does."""
        if not await clock.wait_for_event(self._enabled, patient(patience)):
            self._connection.current()
            raise NotReady(
                f"{self.device} of {self._connection.address} has no BLOB {self.name}: is it connected?",
                device=self.device,
            )

    async def get(self, patience: Seconds) -> Blob:
        """The next one, in order.

        Raises `DeviceTimeout` after `patience` (site time) without one, `ConnectionLost` when the link broke (once;
        then it waits for the link to come back), `DeviceError` for one that is cut, too large or not what it says.
        """
        try:
            async with clock.deadline(patient(patience)):
                while not self._ready:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            held = f"; {self._kept} of its frames are still held" if self._kept else ""
            raise DeviceTimeout(
                f"{self.device} sent no {self.name} within {patience:.0f} s{held}", device=self.device
            ) from None
        first = self._ready.popleft()
        if isinstance(first, PytelError):
            raise first
        return first

    def clear(self) -> None:
        """Throw away what has come so far."""
        while self._ready:
            first = self._ready.popleft()
            if isinstance(first, Blob):
                first.close()

    # what comes

    async def _serve(self, link: Link) -> None:
        # The answer to the question proves that what was said before it has been heard.
        await link.write(enable_blob(self.device, self.name, "Also") + get_properties(self.device, self.name))
        self._connection.up()
        parser = ElementParser()
        while True:
            for event in parser.feed(await link.read()):
                await self._take(event, link)
            await asyncio.sleep(0)

    async def _take(self, event: Event, link: Link) -> None:
        if isinstance(event, BlobData):
            if self._under_way is not None:
                self._under_way[1].take(event.data, event.start, event.stop)
        elif isinstance(event, BlobBegins):
            await self._begin(event, link)
        elif isinstance(event, BlobEnds):
            self._end()
        elif event.tag == "pingRequest":
            await link.write(ping_reply(event.attributes.get("uid", "")))
        else:
            self._hear(event)

    async def _begin(self, begins: BlobBegins, link: Link) -> None:
        if (begins.vector.get("device"), begins.vector.get("name")) != (self.device, self.name):
            drop_descriptor(link, begins.attributes)
            return
        while self._kept >= KEPT:
            self._room.clear()
            await self._room.wait()
        unpacking = Unpacking(self.device, begins.attributes)
        self._kept += 1
        self._under_way = begins, unpacking
        if begins.attributes.get("attached") == "true":
            unpacking.map(link.descriptor())

    def _end(self) -> None:
        if self._under_way is None:
            return
        (begins, unpacking), self._under_way = self._under_way, None
        try:
            data = unpacking.finish()
        except DeviceError as error:
            self._release()
            self._add(error)
        else:
            self._add(Blob(begins, unpacking.format, data, clock.time(), self._release))

    def _hear(self, element: Element) -> None:
        attributes = element.attributes
        if attributes.get("device") != self.device or attributes.get("name", self.name) != self.name:
            return
        if element.tag == "delProperty":
            self._enabled.clear()
        elif element.tag == "defBLOBVector":
            self._connection.alive()
            self._enabled.set()
        elif element.tag == "setBLOBVector" and not element.children and attributes.get("state") == "Alert":
            words = one_line(attributes.get("message", "")) or "nothing said"
            self._add(DeviceError(f"{self.device} reports a fault of {self.name}: {words}", device=self.device))

    def _add(self, what: Blob | PytelError) -> None:
        if isinstance(what, PytelError) and len(self._ready) > KEPT:
            return
        self._ready.append(what)
        self._came.set()

    def _release(self) -> None:
        self._kept -= 1
        self._room.set()

    def _lost(self, error: ConnectionLost) -> None:
        self._enabled.clear()
        if self._under_way is not None:
            self._under_way = None
            self._release()
        if not (self._ready and isinstance(self._ready[-1], ConnectionLost)):
            self._add(ConnectionLost(error.message))


__all__ = ["KEPT", "Blob", "BlobStream"]
