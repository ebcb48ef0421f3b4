"""Answers to clients that look for Alpaca servers (ASCOM Alpaca API reference, section 4: UDP, IPv4)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from typing import Any

import msgspec

from pytel.gateway.alpaca.config import Network
from pytel.gateway.alpaca.guard import is_within

PORT = 32227
QUESTION = b"alpacadiscovery"
"""What a question begins with; a figure for the version follows."""
VERSIONS = b"123456789"

log = logging.getLogger("pytel.gateway")


class _Responder(asyncio.DatagramProtocol):
    def __init__(self, port: int, networks: Iterable[Network]) -> None:
        self._answer = msgspec.json.encode({"AlpacaPort": port})
        self._networks = tuple(networks)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        version = data[len(QUESTION) : len(QUESTION) + 1]
        asks = data.startswith(QUESTION) and version and version in VERSIONS and len(data) <= 64
        # The answer is hardly longer than the question: nobody can be flooded by it.
        if asks and self._transport is not None and is_within(str(addr[0]), self._networks):
            self._transport.sendto(self._answer, addr)

    def error_received(self, exc: Exception) -> None:
        log.debug("an answer to a client that looks for servers was not delivered: %s", exc)


class Discovery:
    """Listens on the port of discovery, beside other Alpaca servers of the host."""

    def __init__(self, host: str, port: int, networks: Iterable[Network]) -> None:
        self._host, self._port, self._networks = host, port, tuple(networks)
        self._transports: list[asyncio.DatagramTransport] = []

    async def start(self) -> None:
        """Listen. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        for address in _addresses(self._host):
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Responder(self._port, self._networks), sock=_socket(address)
            )
            self._transports.append(transport)

    def stop(self) -> None:
        """Listen no more."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()


def _addresses(host: str) -> tuple[str, ...]:
    """Where questions come in: to all, and for a server of this host alone nowhere beyond it."""
    if host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback):
        return ("127.0.0.1", "127.255.255.255")
    return ("0.0.0.0",)  # noqa: S104 - broadcasts reach no other address; who is answered is checked


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _socket(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setblocking(False)
        made.bind((address, PORT))
    except OSError:
        made.close()
        raise
    return made
