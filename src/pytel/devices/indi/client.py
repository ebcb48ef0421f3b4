"""One INDI server as all drivers of a process see it: its devices, their vectors, and how to change them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from pytel.base.units import Seconds
from pytel.devices.indi.blobs import BlobStream
from pytel.devices.indi.properties import Message, Vector

DEFAULT_SERVER = "localhost:7624"


class IndiClient:
    """The connection to one INDI server, made anew whenever it breaks, for ever.

    `address` is `host:port` (IPv6 as `[::1]:7624`) or the path of indiserver's Unix socket (`/tmp/indiserver`, or
    `@/tmp/indiserver` for an abstract one). All waits have deadlines in seconds of site time (`patience`).
    """

    def __init__(self, address: str = DEFAULT_SERVER) -> None:
        self.address = address

    async def start(self) -> None:
        """Begin to connect, and return at once. Raises `ConfigError` for an address that is none."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Disconnect; whoever waits gets `ConnectionLost`."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether the link stands."""
        raise NotImplementedError

    async def until_connected(self, patience: Seconds) -> None:
        """Wait for the link. Raises `ConnectionLost` after `patience`, which says why there is none."""
        raise NotImplementedError

    def devices(self) -> tuple[str, ...]:
        """The devices that the server presents now, sorted."""
        raise NotImplementedError

    def vectors(self, device: str) -> Mapping[str, Vector]:
        """All vectors of a device by name; empty when it is not there."""
        raise NotImplementedError

    def vector(self, device: str, name: str) -> Vector | None:
        """A vector as last told; None when it is not there (or the link is down)."""
        raise NotImplementedError

    async def require(self, device: str, name: str, patience: Seconds) -> Vector:
        """A vector, waited for if need be.

        Raises `NotReady` naming device, property and server when it does not come; `ConnectionLost` when there is no
        link at the end.
        """
        raise NotImplementedError

    async def send(self, device: str, name: str, values: Mapping[str, float | bool | str]) -> Vector:
        """Ask for other values, and return the vector as it was before, at once.

        Of switches of which one may be on, the others are switched off. Raises `InvalidParams` for a member that is
        not there or of another type, `LimitExceeded` beyond a number's limits, `NotAllowed` for what is read-only,
        `NotReady` when the property is not there, `ConnectionLost` when there is no link.
        """
        raise NotImplementedError

    async def set(
        self,
        device: str,
        name: str,
        values: Mapping[str, float | bool | str],
        patience: Seconds,
        done: Callable[[Vector], bool] | None = None,
    ) -> Vector:
        """`send`, then wait until a message says that it is done: `done(vector)`, by default Ok or Idle.

        A device that tells a property again and again (a telescope its coordinates) may do so between question and
        answer: give `done` there. Raises what `send` raises, `DeviceError` with the device's last words for Alert,
        `DeviceTimeout` when no such message comes within `patience`, `NotReady` when the property vanishes meanwhile,
        `ConnectionLost` when the link breaks.
        """
        raise NotImplementedError

    async def wait(
        self, device: str, name: str, condition: Callable[[Vector], bool], patience: Seconds, *, alert: bool = True
    ) -> Vector:
        """Wait until a condition holds, which may be at once; `alert`: Alert ends it with `DeviceError`.

        Raises as `set` does; `NotReady` when the property is not there at all.
        """
        raise NotImplementedError

    def on_change(self, device: str, callback: Callable[[Vector], None]) -> Callable[[], None]:
        """Have `callback` called with each vector of a device that a message is about; returns what ends that.

        What it raises is logged and harms nobody else.
        """
        raise NotImplementedError

    def on_presence(self, device: str, callback: Callable[[bool], None]) -> Callable[[], None]:
        """Have `callback` called when a device appears (True) or vanishes, with the link too (False)."""
        raise NotImplementedError

    def blobs(self, device: str, name: str) -> BlobStream:
        """The BLOBs of a property, from a connection of their own: they hold nobody else up.

        An async context manager: BLOBs are enabled within.
        """
        raise NotImplementedError

    def messages(self, device: str) -> tuple[Message, ...]:
        """The last words of a device, oldest first (20 at most)."""
        raise NotImplementedError


@contextlib.asynccontextmanager
async def shared_client(address: str = DEFAULT_SERVER) -> AsyncIterator[IndiClient]:
    """The client of a server, one for each event loop, started with its first user and stopped with its last."""
    client = await acquire_client(address)
    try:
        yield client
    finally:
        await release_client(client)


async def acquire_client(address: str = DEFAULT_SERVER) -> IndiClient:
    """The client of a server, as `shared_client` gives it, until `release_client`."""
    raise NotImplementedError


async def release_client(client: IndiClient) -> None:
    """Give back what `acquire_client` gave."""
    raise NotImplementedError


__all__ = ["DEFAULT_SERVER", "IndiClient", "acquire_client", "release_client", "shared_client"]
