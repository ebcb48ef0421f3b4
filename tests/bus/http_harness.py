"""The bus over HTTP, for the contract suite: real servers and sockets, and between them lines that can be cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.harness import BusHarness, until
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Card, Endpoint, Role
from pytel.bus.http.accounts import Accounts, member_account
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import Listen
from pytel.bus.people import AccountsFile

LOCALHOST = "127.0.0.1"


class Port:
    """A port of this test's own: bound by us too, but only others listen."""

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((LOCALHOST, 0))
        self.number: int = self._held.getsockname()[1]

    def release(self) -> None:
        self._held.close()


class Line:
    """Forwards from one port to another; cut, it resets every connection as a broken network does."""

    def __init__(self) -> None:
        self.near, self.far = Port(), Port()
        self.is_cut = False
        self.is_stalled = False
        """Whether what is sent disappears without a trace, as when a cable is pulled."""
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._connecting: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Let connections in."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, LOCALHOST, self.near.number)

    def _accept(self) -> asyncio.Protocol:
        return _Near(self)

    def shut(self) -> None:
        """Let nobody in any more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def break_connections(self) -> None:
        """Reset what is open."""
        for end in list(self._ends):
            end.abort()

    def keep(self, end: _End) -> None:
        self._ends.add(end)

    def drop(self, end: _End) -> None:
        self._ends.discard(end)

    def connect(self, near: _Near) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(near))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, near: _Near) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Far(self, near), LOCALHOST, self.far.number)
        except OSError:
            near.abort()

    def release(self) -> None:
        self.shut()
        self.break_connections()
        self.near.release()
        self.far.release()


class _End(asyncio.Protocol):
    def __init__(self, line: Line) -> None:
        self.line = line
        self.transport: Any = None
        self.other: _End | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.line.keep(self)

    def data_received(self, data: bytes) -> None:
        if self.line.is_stalled:
            return
        if self.other is None:
            self.waiting.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.line.drop(self)
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def abort(self) -> None:
        self.transport.abort()


class _Near(_End):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.line.is_cut:
            self.abort()
        else:
            self.line.connect(self)


class _Far(_End):
    def __init__(self, line: Line, near: _Near) -> None:
        super().__init__(line)
        self.near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.line.is_cut or self.near.transport.is_closing():
            self.near.abort()
            self.abort()
            return
        self.other, self.near.other = self.near, self
        for data in self.near.waiting:
            self.transport.write(data)


class HttpBusOnALine(HttpBus):
    """The bus, reached by its line only."""

    line: Line

    async def open(self, endpoint: Endpoint, card: Card) -> None:
        listener = self._listener
        assert listener is not None
        start: Callable[[str], Any] = type(listener).start.__get__(listener)

        async def start_both(who: str) -> None:
            await start(who)
            await self.line.open()

        listener.start = start_both  # type: ignore[method-assign]
        await super().open(endpoint, card)

    async def close(self) -> None:
        if self._is_open:
            self.line.shut()
        await super().close()

    def drop(self) -> None:
        if self._is_open:
            self.line.shut()
        super().drop()


class HttpHarness(BusHarness):
    """A site without a server: `stop_bus` cuts the lines between all modules."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.accounts = Accounts()
        self.people = AccountsFile(directory / "people.json")
        self.lines: dict[Address, Line] = {}
        self.made: list[HttpBusOnALine] = []

    def make_bus(self, address: Address, role: Role, is_proxy: bool) -> Bus:
        if address not in self.lines:
            self.accounts.add(str(address), member_account(role=role, proxy=is_proxy))
            self.lines[address] = Line()
            for other in self.made:
                other.add_peer(address, self.url(address))
        line = self.lines[address]
        peers = {other: self.url(other) for other in self.lines}
        listen = Listen(LOCALHOST, line.far.number)
        bus = HttpBusOnALine(address, accounts=self.accounts, people=self.people, listen=listen, peers=peers)
        bus.line = line
        self.made.append(bus)
        return bus

    def url(self, address: Address) -> str:
        return f"http://{LOCALHOST}:{self.lines[address].near.number}"

    async def stop_bus(self) -> None:
        for line in self.lines.values():
            line.is_cut = True
            line.break_connections()
        await until(lambda: all(len(bus.peers()) <= 1 for bus in self.made))

    async def start_bus(self) -> None:
        for line in self.lines.values():
            line.is_cut = False
        present = [bus for bus in self.made if bus._is_open]
        await until(lambda: all(len(bus.peers()) == len(present) for bus in present))

    def kill(self, bus: Bus) -> None:
        assert isinstance(bus, HttpBus)
        bus.drop()

    async def close(self) -> None:
        await super().close()
        for line in self.lines.values():
            line.release()
