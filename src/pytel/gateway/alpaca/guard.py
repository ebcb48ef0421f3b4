"""Who may speak to the Alpaca server, which has no passwords: hosts of known networks, and no pages in browsers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from pytel.gateway.alpaca.config import Network
from pytel.gateway.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Connection": "close"}


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is of one of these networks."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


class AlpacaGuard:
    """Stands before the application."""

    def __init__(self, app: ASGIApp, networks: Iterable[Network], hosts: Iterable[str]) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._hosts = frozenset({"localhost", *(host.lower() for host in hosts)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
        except Refusal as refusal:
            await PlainTextResponse(refusal.message + "\n", refusal.status, _HEADERS)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        if not is_within(address, self._networks):
            raise Refusal(403, "this Alpaca server answers other hosts only; add the network under 'alpaca: allow'")
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or (hosts and not self._is_own(hosts[0])):
            # Else a page of another site could have its own name resolved to this address.
            raise Refusal(421, "this server is not called that; take its IP address, or add 'alpaca: hosts'")
        if headers.get("origin") is not None or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise Refusal(403, "pages in browsers may not use this server: anybody's could")

    def _is_own(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        name = name if colon and port.isdigit() else host
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return name.lower() in self._hosts
        return True
