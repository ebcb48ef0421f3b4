"""What holds for every request and every answer: hosts, origins, headers, and no traceback ever."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from pytel.bus.http.refusals import refusal_body
from pytel.gateway.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

log = logging.getLogger("pytel.gateway")


class Guard:
    """Stands before an application; `hosts` are the names it may be called by (none: any)."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            return
        answer = _Answer(scope, send)
        try:
            self._check(scope)
            scope["app"] = self  # then Starlette's routes raise what they refuse
            await self._app(scope, receive, answer.send)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except HTTPException as error:
            await answer.refuse(_refusal_of(error))
        except Exception:
            log.exception("%s failed by a fault in the gateway", scope["path"])
            await answer.refuse(Refusal(500, "the gateway failed; its log says why", {"Connection": "close"}))

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or (self._hosts and _name_in(hosts[0]) not in self._hosts):
            # Else a page of another site could have its own name resolved to this address.
            raise Refusal(421, "this gateway is not called that; add the name under 'hosts' in the site file")
        if scope["type"] == "websocket" or scope["method"] not in _HARMLESS:
            self._check_origin(scope, headers, hosts[0])

    def _check_origin(self, scope: Scope, headers: Headers, host: str) -> None:
        """Browsers say what page sends a request; programs say nothing."""
        origin = headers.get("origin")
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        own = f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}"
        allowed = origin is None or origin == own or origin in self._origins
        if not allowed or (origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site")):
            raise Refusal(403, "pages of other sites may not do this; add theirs under 'origins' in the site file")


class _Answer:
    """Sends an answer with the headers that all have."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message["headers"] = [*message.get("headers", ()), *self._headers(message)]
        self._has_begun = True
        await self._send(message)

    def _headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        given = {name.lower() for name, _ in message.get("headers", ())}
        more = {**HEADERS, **(OVER_TLS if self._scope["scheme"] in ("https", "wss") else {})}
        if b"cache-control" not in given:
            more["Cache-Control"] = "no-store"
        return [(name.lower().encode(), value.encode()) for name, value in more.items()]

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal; where an answer has begun the connection is closed instead."""
        if self._has_begun:
            if self._scope["type"] == "http":
                raise ConnectionAbortedError("the answer cannot be completed")
            await self._send({"type": "websocket.close", "code": 1011})
            return
        body = refusal_body(refusal.status, refusal.message)
        headers: dict[str, str] = {
            **refusal.headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        if refusal.status == 401:
            headers["WWW-Authenticate"] = _challenge(Headers(scope=self._scope))
        prefix = "websocket." if self._scope["type"] == "websocket" else ""
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        start: dict[str, Any] = {"type": f"{prefix}http.response.start", "status": refusal.status, "headers": encoded}
        await self.send(start)
        await self._send({"type": f"{prefix}http.response.body", "body": body})


def _refusal_of(error: HTTPException) -> Refusal:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        return Refusal(405, f"this path is for {headers.get('Allow', 'other methods')} only", headers)
    return Refusal(error.status_code, error.detail, headers)


def _challenge(headers: Headers) -> str:
    """Programs are asked for Basic; a page would have its browser ask instead of showing its own log-in."""
    return 'Bearer realm="pytel"' if "sec-fetch-mode" in headers else 'Basic realm="pytel", charset="UTF-8"'


def _name_in(host: str) -> str:
    """The header `Host` without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
