"""One INDI server as all drivers of a process see it: its devices, their vectors, and how to change them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, NotReady
from pytel.base.units import Seconds
from pytel.devices.indi.blobs import BlobStream
from pytel.devices.indi.connection import Connection
from pytel.devices.indi.inventory import Changed, Gone, Inventory
from pytel.devices.indi.outgoing import Values, request
from pytel.devices.indi.properties import Message, PropertyState, Vector
from pytel.devices.indi.protocol import BlobBegins, Element, ElementParser, get_properties, ping_reply
from pytel.devices.indi.subscribers import Subscribers
from pytel.devices.indi.transport import Link, drop_descriptor, parse_address
from pytel.devices.indi.waiters import Judge, Waiter, Waiters
from pytel.services.timing import patient

DEFAULT_SERVER = "localhost:7624"
_AT_A_TIME = 50
_DONE = (PropertyState.OK, PropertyState.IDLE)


class IndiClient:
    """The connection to one INDI server, made anew whenever it breaks, for ever.

    `address` is `host:port` (IPv6 as `[::1]:7624`) or the path of indiserver's Unix socket (`/tmp/indiserver`, or
    `@/tmp/indiserver` for an abstract one only). All waits have deadlines in seconds of site time (`patience`).
    """

    def __init__(self, address: str = DEFAULT_SERVER) -> None:
        self.address = address
        self._log = logging.getLogger("pytel.indi")
        self._inventory = Inventory(address, self._log)
        self._waiters = Waiters()
        self._changes: Subscribers[Vector] = Subscribers(self._log)
        self._presence: Subscribers[bool] = Subscribers(self._log)
        self._connection: Connection | None = None

    async def start(self) -> None:
        """Begin to connect, and return at once. Raises `ConfigError` for an address that is none."""
        parse_address(self.address)
        if self._connection is None:
            self._connection = Connection(self.address, self._serve, self._lost, self._log)
            self._connection.start()

    async def stop(self) -> None:
        """Disconnect; whoever waits gets `ConnectionLost`."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            error = ConnectionLost(f"the client of {self.address} was stopped")
            self._waiters.lost(error, stopped=True)
            await connection.stop()
            self._lost(error)

    @property
    def connected(self) -> bool:
        """Whether the link stands."""
        return self._connection is not None and self._connection.is_up

    async def until_connected(self, patience: Seconds) -> None:
        """Wait for the link. Raises `ConnectionLost` after `patience`, which says why there is none."""
        await self._started().until_up(patience)

    # what is there

    def devices(self) -> tuple[str, ...]:
        """The devices that the server presents now, sorted."""
        return self._inventory.devices()

    def vectors(self, device: str) -> Mapping[str, Vector]:
        """All vectors of a device by name; empty when it is not there."""
        return self._inventory.vectors(device)

    def vector(self, device: str, name: str) -> Vector | None:
        """A vector as last told; None when it is not there (or the link is down)."""
        return self._inventory.vectors(device).get(name)

    def messages(self, device: str) -> tuple[Message, ...]:
        """The last words of a device, oldest first (20 at most)."""
        return self._inventory.messages(device)

    def on_change(self, device: str, callback: Callable[[Vector], None]) -> Callable[[], None]:
        """Have `callback` called with each vector of a device that a message is about; returns what ends that.

        What it raises is logged and harms nobody else.
        """
        return self._changes.add(device, callback)

    def on_presence(self, device: str, callback: Callable[[bool], None]) -> Callable[[], None]:
        """Have `callback` called when a device appears (True) or vanishes, with the link too (False)."""
        return self._presence.add(device, callback)

    # asking and waiting

    async def require(self, device: str, name: str, patience: Seconds) -> Vector:
        """A vector, waited for if need be.

        Raises `NotReady` naming device, property and server when it does not come; `ConnectionLost` when there is no
        link at the end.
        """
        self._started()
        if (found := self.vector(device, name)) is not None:
            return found
        with Waiter(self._waiters, device, name, lambda vector, words: True, patient=True) as waiter:
            try:
                async with clock.deadline(patient(patience)):
                    return await waiter.future
            except TimeoutError:
                self._started().current()
                raise self._absent(device, name) from None

    async def send(self, device: str, name: str, values: Values) -> Vector:
        """Ask for other values, and return the vector as it was before, at once.

        Of switches of which one may be on, the others are switched off. Raises `InvalidParams` for a member that is
        not there or of another type, `LimitExceeded` beyond a number's limits, `NotAllowed` for what is read-only,
        `NotReady` when the property is not there, `ConnectionLost` when there is no link.
        """
        vector, link = self._present(device, name)
        await link.write(request(vector, values))
        return vector

    async def set(
        self,
        device: str,
        name: str,
        values: Values,
        patience: Seconds,
        done: Callable[[Vector], bool] | None = None,
    ) -> Vector:
        """`send`, then wait until a message says that it is done: `done(vector)`, by default Ok or Idle.

        A device that tells a property again and again (a telescope its coordinates) may do so between question and
        answer: give `done` there. Raises what `send` raises, `DeviceError` with the device's last words for Alert,
        `DeviceTimeout` when no such message comes within `patience`, `NotReady` when the property vanishes meanwhile,
        `ConnectionLost` when the link breaks.
        """
        vector, link = self._present(device, name)
        message = request(vector, values)
        judge = self._judge(done or (lambda now: now.state in _DONE), alert=True)
        with Waiter(self._waiters, device, name, judge, patient=False) as waiter:
            await link.write(message)
            return await self._within(waiter, patience, f"do what {name} was asked for")

    async def wait(
        self, device: str, name: str, condition: Callable[[Vector], bool], patience: Seconds, *, alert: bool = True
    ) -> Vector:
        """Wait until a condition holds, which may be at once; `alert`: Alert ends it with `DeviceError`.

        That goes for an Alert that stands already, too: what was asked for meanwhile is waited for with `set`. Raises
        as `set` does; `NotReady` when the property is not there at all.
        """
        vector, _ = self._present(device, name)
        judge = self._judge(condition, alert=alert, first=True)
        if judge(vector, ""):
            return vector
        with Waiter(self._waiters, device, name, judge, patient=False) as waiter:
            return await self._within(waiter, patience, f"bring {name} to what is waited for")

    def blobs(self, device: str, name: str) -> BlobStream:
        """The BLOBs of a property, from a connection of their own: they hold nobody else up.

        An async context manager: BLOBs are enabled within.
        """
        return BlobStream(self.address, device, name)

    async def _within(self, waiter: Waiter, patience: Seconds, what: str) -> Vector:
        try:
            async with clock.deadline(patient(patience)):
                return await waiter.future
        except TimeoutError:
            raise DeviceTimeout(
                f"{waiter.device} did not {what} within {patience:.0f} s{self._standing(waiter.device, waiter.name)}",
                device=waiter.device,
            ) from None

    def _standing(self, device: str, name: str) -> str:
        vector, words = self.vector(device, name), self.messages(device)
        state = f"; it stands at {vector.state}" if vector else ""
        return state + (f"; its last words: {words[-1].text}" if words else "; look at its INDI driver")

    def _judge(self, condition: Callable[[Vector], bool], *, alert: bool, first: bool = False) -> Judge:
        """`first`: the condition goes before an Alert."""

        def judge(vector: Vector, words: str) -> bool:
            if first and condition(vector):
                return True
            if alert and vector.state is PropertyState.ALERT:
                raise self._alert(vector, words)
            return not first and condition(vector)

        return judge

    def _alert(self, vector: Vector, words: str) -> DeviceError:
        said = words or next((each.text for each in reversed(self.messages(vector.device))), "nothing said")
        return DeviceError(f"{vector.device} reports a fault of {vector.name}: {said}", device=vector.device)

    def _present(self, device: str, name: str) -> tuple[Vector, Link]:
        link = self._started().current()
        vector = self.vector(device, name)
        if vector is None:
            raise self._absent(device, name)
        return vector, link

    def _absent(self, device: str, name: str) -> NotReady:
        known = self.devices()
        if device in known:
            sentence = f"{device} of {self.address} has no property {name}: is it connected, and of this kind?"
        elif known:
            sentence = f"{self.address} has no device {device!r}; it has {', '.join(known[:20])}"
        else:
            sentence = f"{self.address} has told of no device: does a driver run there?"
        return NotReady(sentence, device=device)

    def _started(self) -> Connection:
        if self._connection is None:
            raise ConnectionLost(f"the client of {self.address} was not started")
        return self._connection

    # what comes

    async def _serve(self, link: Link) -> None:
        await link.write(get_properties())
        connection = self._started()
        connection.up()
        parser, taken = ElementParser(), 0
        while True:
            for event in parser.feed(await link.read()):
                if isinstance(event, Element):
                    connection.alive()
                    await self._take(event, link)
                elif isinstance(event, BlobBegins):
                    drop_descriptor(link, event.attributes)
                taken += 1
                # A server that never pauses would leave nobody else a turn.
                if taken % _AT_A_TIME == 0:
                    await asyncio.sleep(0)

    async def _take(self, element: Element, link: Link) -> None:
        if element.tag == "pingRequest":
            await link.write(ping_reply(element.attributes.get("uid", "")))
            return
        change = self._inventory.apply(element, clock.time())
        if isinstance(change, Changed):
            self._tell(change)
        elif isinstance(change, Gone):
            self._tell_gone(change)

    def _tell(self, change: Changed) -> None:
        vector = change.vector
        self._waiters.hear(vector, change.words)
        if change.appeared:
            self._presence.tell(vector.device, True)
        self._changes.tell(vector.device, vector)

    def _tell_gone(self, gone: Gone) -> None:
        for name in gone.names:
            error = NotReady(f"{gone.device} of {self.address} has taken its property {name} back", device=gone.device)
            self._waiters.gone(gone.device, name, error)
        if gone.whole:
            self._presence.tell(gone.device, False)

    def _lost(self, error: ConnectionLost) -> None:
        vanished = self.devices()
        self._inventory.clear()
        self._waiters.lost(ConnectionLost(error.message))
        for device in vanished:
            self._presence.tell(device, False)


__all__ = ["DEFAULT_SERVER", "IndiClient"]
