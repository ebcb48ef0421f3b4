"""The bus over a real XMPP server, for the contract suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.harness import BusHarness, until
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.config import Wire
from pytel.bus.xmpp.link import Server
from pytel.module.runtime import ModuleRuntime
from pytel.servers import XmppServer
from xmpp_kit import Kind, server_account, xmpp_server


class OpenAccess(Access):
    """Roles that are given while a test runs."""

    def __init__(self) -> None:
        super().__init__({})

    def allow(self, bare_jid: str, role: Role, is_proxy: bool) -> None:
        """Give an account a role."""
        self._roles[bare_jid] = role
        if is_proxy:
            self._proxies |= {bare_jid}


class XmppHarness(BusHarness):
    """A site on a server that all tests of this process share; each test has accounts of its own."""

    def __init__(self, directory: Path, kind: Kind, wire: Wire) -> None:
        super().__init__(directory)
        self.kind, self.wire = kind, wire
        self.access = OpenAccess()
        self.opened: list[XmppBus] = []
        self._server: XmppServer | None = None
        self._passwords: dict[str, str] = {}

    async def server(self) -> XmppServer:
        """The running server."""
        if self._server is None:
            self._server = await in_thread(xmpp_server, self.kind)
        if not self._server.running:
            await in_thread(self._server.start)
        return self._server

    async def prepare(self) -> None:
        """Have the server running before a connection is made."""
        await self.server()

    def make_bus(self, address: Address, role: Role, is_proxy: bool) -> Bus:
        server = self._server
        assert server is not None
        account = str(address)
        self.access.allow(f"{account}@{server.domain}", role, is_proxy)
        where = Server(domain=server.domain, host=server.host, port=server.port, ca=server.ca_file)
        bus = XmppBus(address, where, self._password(account), self.access, wire=self.wire)
        self.opened.append(bus)
        return bus

    def _password(self, account: str) -> Callable[[], Any]:
        async def ask() -> str:
            if account not in self._passwords:
                self._passwords[account] = await in_thread(server_account, await self.server(), account)
            return self._passwords[account]

        return ask

    async def member(self, *args: Any, **options: Any) -> Bus:
        bus = await super().member(*args, **options)
        await self.settled()
        return bus

    async def start(self, *args: Any, **options: Any) -> ModuleRuntime:
        runtime = await super().start(*args, **options)
        await self.settled()
        return runtime

    async def settled(self) -> None:
        """Wait until all who are there know of each other."""
        present = [bus for bus in self.opened if bus.is_up and self.access.is_module(bus.bare_jid)]
        names = {bus.address for bus in present}
        await until(lambda: all(names <= {peer.address for peer in bus.peers()} for bus in present))

    async def stop_bus(self) -> None:
        await in_thread((await self.server()).stop)

    async def start_bus(self) -> None:
        present = [bus for bus in self.opened if bus.wants_link]
        await self.server()
        await until(lambda: all(bus.is_up or not bus.wants_link for bus in present), within=15)
        await self.settled()

    def kill(self, bus: Bus) -> None:
        assert isinstance(bus, XmppBus)
        bus.drop()

    async def close(self) -> None:
        await super().close()
        server = await self.server()
        for account in self._passwords:
            await in_thread(server.remove_account, account)
