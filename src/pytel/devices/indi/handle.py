"""A handle on one device of an INDI server: its name is said once."""

from __future__ import annotations

from collections.abc import Callable

from pytel.base import clock
from pytel.base.errors import ConnectionLost, NotReady
from pytel.base.units import Seconds
from pytel.devices.indi.blobs import BlobStream
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.outgoing import Values
from pytel.devices.indi.properties import Vector

CONNECTION, CONNECT = "CONNECTION", "CONNECT"


class IndiDevice:
    """What a driver has as `self.indi`: methods are those of `IndiClient` without the device, and raise the same."""

    def __init__(self, client: IndiClient, name: str) -> None:
        self.client, self.name = client, name

    @property
    def connected(self) -> bool:
        """Whether the link stands and the device says that it is connected to its hardware."""
        connection = self.client.vector(self.name, CONNECTION)
        return self.client.connected and connection is not None and connection.members_on(CONNECT)

    def vector(self, name: str) -> Vector:
        """A vector as last told. Raises `ConnectionLost` without a link, `NotReady` when it is not there."""
        vector = self.client.vector(self.name, name)
        if vector is not None:
            return vector
        if not self.client.connected:
            raise ConnectionLost(f"{self.name} cannot be asked: the link to {self.client.address} is down")
        raise NotReady(f"{self.name} of {self.client.address} has no property {name}: is it connected?")

    def has(self, name: str, member: str | None = None) -> bool:
        """Whether there is such a property (and such a member)."""
        vector = self.client.vector(self.name, name)
        return vector is not None and (member is None or vector.has(member))

    def number(self, name: str, member: str) -> float:
        """A number. Raises as `vector` and `Vector.number` do."""
        return self.vector(name).number(member)

    def on(self, name: str, member: str) -> bool:
        """A switch. Raises as `vector` and `Vector.on` do."""
        return self.vector(name).on(member)

    def text(self, name: str, member: str) -> str:
        """A text or light. Raises as `vector` and `Vector.text` do."""
        return self.vector(name).text(member)

    async def require(self, name: str, patience: Seconds) -> Vector:
        """A vector, waited for."""
        return await self.client.require(self.name, name, patience)

    async def send(self, name: str, values: Values) -> Vector:
        """Ask for other values; returns at once."""
        return await self.client.send(self.name, name, values)

    async def set(
        self, name: str, values: Values, patience: Seconds, done: Callable[[Vector], bool] | None = None
    ) -> Vector:
        """Ask for other values, and wait until they are taken."""
        return await self.client.set(self.name, name, values, patience, done)

    async def wait(
        self, name: str, condition: Callable[[Vector], bool], patience: Seconds, *, alert: bool = True
    ) -> Vector:
        """Wait until a condition holds."""
        return await self.client.wait(self.name, name, condition, patience, alert=alert)

    def on_change(self, callback: Callable[[Vector], None]) -> Callable[[], None]:
        """Hear of each change."""
        return self.client.on_change(self.name, callback)

    def blobs(self, name: str) -> BlobStream:
        """The BLOBs of a property."""
        return self.client.blobs(self.name, name)

    def last_words(self) -> str:
        """What the device said last, for an error; empty when it said nothing."""
        words = self.client.messages(self.name)
        return words[-1].text if words else ""

    async def connect(self, *properties: str, patience: Seconds) -> None:
        """Switch its CONNECTION on if it is off, and wait for some properties; `patience` is for all of it.

        Raises `ConnectionLost`, `NotReady` (it, or one of them, does not come), `DeviceError`, `DeviceTimeout`.
        """
        ends = clock.elapsed() + patience
        await self.client.until_connected(patience)
        connection = await self.require(CONNECTION, ends - clock.elapsed())
        if not connection.on(CONNECT):
            left = ends - clock.elapsed()
            await self.set(CONNECTION, {CONNECT: True}, left, done=lambda vector: vector.on(CONNECT))
        for name in properties:
            await self.require(name, ends - clock.elapsed())
