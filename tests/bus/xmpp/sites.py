"""Sites on a server of their own, which a test may stop, kill and start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bus.xmpp_harness import XmppHarness
from pytel.base.threads import in_thread
from pytel.bus.contract import Role
from pytel.servers import XmppServer
from xmpp_kit import Kind, started_server


class OwnSite(XmppHarness):
    """A site whose server nobody else uses."""

    def __init__(self, directory: Path, server: XmppServer) -> None:
        super().__init__(directory, server.setup.kind, "json")
        self._server = server

    @property
    def host(self) -> XmppServer:
        """The server."""
        assert self._server is not None
        return self._server

    def allow(self, name: str, role: Role = Role.MODULE) -> None:
        """Let in an account that another process uses."""
        self.access.allow(f"{name}@{self.host.domain}", role, False)

    async def go_down(self, how: str) -> None:
        """End the server by SIGTERM or SIGKILL."""
        await in_thread(self.host.stop if how == "SIGTERM" else self.host.kill)


@asynccontextmanager
async def own_site(kind: Kind, directory: Path) -> AsyncIterator[OwnSite]:
    """A site for the length of a block."""
    server = await in_thread(started_server, kind, directory / "server")
    try:
        site = OwnSite(directory, server)
        yield site
        await site.close()
    finally:
        await in_thread(server.stop)
