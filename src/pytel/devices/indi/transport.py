"""The link to an INDI server: TCP, or indiserver's Unix socket, by which BLOBs come as descriptors of shared memory."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Mapping
from typing import NamedTuple

from pytel.base.errors import ConfigError, ConnectionLost
from pytel.base.threads import in_thread

CHUNK = 1 << 19
_MAX_DESCRIPTORS = 16
_MAX_WAITING = 64
_CONNECT_TIME = 10.0
_SEND_TIME = 10.0
_TCP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")
DEFAULT_PORT = 7624


class Place(NamedTuple):
    """Where a server is: host and port, or the path of its Unix socket."""

    host: str
    port: int
    path: str | None = None


def parse_address(address: str) -> Place:
    """`localhost`, `host:7624`, `[::1]:7624`, `/tmp/indiserver` or `@/tmp/indiserver`. Raises `ConfigError`."""
    if address.startswith(("/", "@/")):
        if len(address.encode()) > 100:
            raise ConfigError(f"{address!r} is too long for the path of a Unix socket")
        return Place("", 0, address)
    found = _TCP.fullmatch(address)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise ConfigError(f"{address!r} is no address of an INDI server: write it as localhost:7624 or /tmp/indiserver")
    return Place(found["six"] or found["host"], port)


class Link:
    """One connection. What breaks it raises `ConnectionLost`, and then it is of no use any more."""

    def __init__(self, address: str, connection: socket.socket) -> None:
        self._address, self._socket = address, connection
        self._is_unix = connection.family == socket.AF_UNIX
        self._descriptors: list[int] = []
        self._sending = asyncio.Lock()

    @property
    def is_unix(self) -> bool:
        """Whether BLOBs come as descriptors."""
        return self._is_unix

    async def read(self) -> bytes:
        """What came next."""
        loop = asyncio.get_running_loop()
        try:
            data = await self._read_unix() if self._is_unix else await loop.sock_recv(self._socket, CHUNK)
        except OSError as error:
            raise ConnectionLost(f"the link to {self._address} broke: {told(error)}") from error
        if not data:
            raise ConnectionLost(f"{self._address} closed the link")
        return data

    async def _read_unix(self) -> bytes:
        while True:
            with contextlib.suppress(BlockingIOError):
                return self._receive()
            await _readable(self._socket)

    def _receive(self) -> bytes:
        room = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
        data, ancillary, flags, _ = self._socket.recvmsg(CHUNK, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                self._descriptors += numbers
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > _MAX_WAITING:
            raise ConnectionLost(f"{self._address} sends more descriptors than BLOBs")
        return data

    def descriptor(self) -> int | None:
        """The next descriptor that came, which is the caller's to close; None when there is none."""
        return self._descriptors.pop(0) if self._descriptors else None

    async def write(self, data: bytes) -> None:
        """Send; given up when the server takes nothing for ten seconds."""
        try:
            async with self._sending, asyncio.timeout(_SEND_TIME):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except TimeoutError:
            self.shut()
            raise ConnectionLost(f"{self._address} takes nothing any more; look at that server") from None
        except OSError as error:
            raise ConnectionLost(f"the link to {self._address} broke: {told(error)}") from error

    def shut(self) -> None:
        """Have whoever reads find the link closed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection and of descriptors that nobody fetched."""
        self._socket.close()
        while (descriptor := self.descriptor()) is not None:
            os.close(descriptor)


def drop_descriptor(link: Link, attributes: Mapping[str, str]) -> None:
    """Close the descriptor of a BLOB that nobody wants."""
    if attributes.get("attached") == "true" and (descriptor := link.descriptor()) is not None:
        os.close(descriptor)


async def connect(address: str) -> Link:
    """Connect. Raises `ConnectionLost`, `ConfigError` for an address that is none."""
    place = parse_address(address)
    try:
        async with asyncio.timeout(_CONNECT_TIME):
            return Link(address, await (_connect_unix(place.path) if place.path else _connect_tcp(place)))
    except TimeoutError:
        raise ConnectionLost(f"{address} does not answer; is its host up?") from None
    except OSError as error:
        raise ConnectionLost(f"{address} cannot be reached: {told(error)}; does indiserver run there?") from error


async def _connect_tcp(place: Place) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await in_thread(socket.getaddrinfo, place.host, place.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{place.host!r} is no name of a host") from error
    failure: OSError = ConnectionRefusedError("it has no address")
    for family, kind, protocol, _, where in found[:8]:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            _keep_alive(connection)
            await loop.sock_connect(connection, where)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


def _keep_alive(connection: socket.socket) -> None:
    """Notice within half a minute that the other host is gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 25000)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def _connect_unix(path: str) -> socket.socket:
    """indiserver's socket is abstract: it has a name and no file."""
    abstract = "\0" + path.removeprefix("@")
    try:
        return await _connect_to(abstract)
    except ConnectionRefusedError:
        if path.startswith("@"):
            raise
    return await _connect_to(path)


async def _connect_to(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    number = connection.fileno()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(number, wake)
    try:
        await ready
    finally:
        loop.remove_reader(number)


def told(error: OSError) -> str:
    """An error of the system in its own words."""
    return error.strerror or str(error) or type(error).__name__


__all__ = ["DEFAULT_PORT", "Link", "Place", "connect", "drop_descriptor", "parse_address"]
