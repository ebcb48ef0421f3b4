"""Finding the Alpaca servers of a network (ASCOM Alpaca API reference, section 4: UDP, IPv4, broadcast)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from pytel.base.units import Seconds

PORT = 32227
QUESTION = b"alpacadiscovery1"
MAX_SERVERS = 64
_LONGEST_ANSWER = 1024
_MAX_ANSWERS = 2000
_EVERYWHERE = ("127.0.0.1", "255.255.255.255")
_BROADCAST_ADDRESS = 0x8919
"""SIOCGIFBRDADDR of Linux: the broadcast address of an interface."""


class _Answer(msgspec.Struct):
    port: int = msgspec.field(name="AlpacaPort")


class _Questioner(asyncio.DatagramProtocol):
    """Collects answers, so many and no more."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], None] = {}
        self._heard = 0

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._heard += 1
        if self._heard > _MAX_ANSWERS or len(self.found) >= MAX_SERVERS:
            return
        if (port := read_answer(data)) is not None:
            self.found.setdefault((str(addr[0]), port))

    def error_received(self, exc: Exception) -> None:
        """A host without a server says that nobody listens there."""


async def discover(wait: Seconds, port: int = PORT) -> tuple[str, ...]:
    """Ask on all interfaces, and return the servers that answered within `wait` real seconds, as `host:port`.

    64 at most; a server of this very host is told once. Raises `OSError` when nothing can be asked at all.
    """
    loop = asyncio.get_running_loop()
    transport, asked = await loop.create_datagram_endpoint(_Questioner, sock=_socket())
    try:
        for _ in range(2):  # a datagram may be lost
            for address in dict.fromkeys((*_EVERYWHERE, *_broadcast_addresses())):
                # An interface that is down, or a network without broadcast, keeps nobody from the others.
                with contextlib.suppress(OSError):
                    transport.sendto(QUESTION, (address, port))
            await asyncio.sleep(wait / 2)
    finally:
        transport.close()
    return _each_once(asked.found)


def read_answer(data: bytes) -> int | None:
    """The port that a server tells; None for what is no answer."""
    if len(data) > _LONGEST_ANSWER:
        return None
    try:
        port = msgspec.json.decode(data, type=_Answer).port
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return port if 0 < port < 65536 else None


def _each_once(found: dict[tuple[str, int], None]) -> tuple[str, ...]:
    """Without the addresses of this host under which a server answers besides localhost."""
    here = {port for host, port in found if ipaddress.ip_address(host).is_loopback}
    return tuple(
        f"{host}:{port}"
        for host, port in sorted(found)
        if ipaddress.ip_address(host).is_loopback or port not in here or not _is_own(host)
    )


def _is_own(host: str) -> bool:
    """Whether an address is of this host: no other can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((host, 0))
        except OSError:
            return False
    return True


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setblocking(False)
        made.bind(("", 0))
    except OSError:
        made.close()
        raise
    return made


def _broadcast_addresses() -> Iterator[str]:
    """Those of all interfaces that have one; none where the system does not tell."""
    try:
        import fcntl
    except ImportError:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                told = fcntl.ioctl(asked.fileno(), _BROADCAST_ADDRESS, struct.pack("256s", name.encode()[:15]))
                address = socket.inet_ntoa(told[20:24])
                if not address.startswith("0."):
                    yield address


__all__ = ["MAX_SERVERS", "PORT", "QUESTION", "discover", "read_answer"]
