"""An HTTP server in the module's own event loop: uvicorn's protocol, with limits for slow and endless clients."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import ssl
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pytel.base.errors import ConfigError, Conflict
from pytel.base.threads import in_thread
from pytel.bus.http.places import Full, Places
from pytel.bus.http.refusals import refusal_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pytel.bus.http.config import Listen, Tls

HEAD_TIMEOUT = 10.0
"""Real seconds that a client may take for the head of a request."""
MAX_HEAD = 64 << 10
MAX_CONNECTIONS = 500
REFUSED_AT_ONCE = 50
"""Connections too many that are told so; further ones are cut at once."""
REFUSED_IN = 2.0
"""Real seconds that one of them may take to ask for something."""
KEEP_ALIVE = 75.0
"""Real seconds that an idle connection is kept; clients let go earlier (`KEPT_IDLE` in `client.py`)."""
STALLED = 30.0
"""Real seconds after which a client that takes nothing of what it is sent is cut off."""
FAREWELL = 1.0
"""Real seconds that answers under way have at the end."""


class _Protocol(HttpToolsProtocol):
    """One connection. uvicorn bounds neither the time nor the size of a request's head."""

    places = Places(MAX_CONNECTIONS)
    full: Full | None = None
    """Why this connection is refused."""
    _deadline: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        others = [other for other in self.connections if other is not self]
        served = [other for other in others if getattr(other, "full", None) is None]
        self.full = self.places.full(_host(self), map(_host, served))
        if self.full is not None and len(others) - len(served) >= REFUSED_AT_ONCE:
            transport.abort()
        else:
            self._expect_head(HEAD_TIMEOUT if self.full is None else REFUSED_IN)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.full is not None:
            if not self.transport.is_closing():
                self.transport.write(_refusal(self.full.status, self.full.message, {"Retry-After": "5"}))
                self.transport.close()
            return
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()
            self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD and self._deadline is not None:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort

    def on_headers_complete(self) -> None:
        self._head_is_complete()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_refusal(400, "this is no request of HTTP/1.1"))
        self.transport.close()

    def _expect_head(self, seconds: float = HEAD_TIMEOUT) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _head_is_complete(self) -> None:
        self._head = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _host(connection: Any) -> str:
    """The address of whoever is connected by HTTP or WebSocket."""
    return str(connection.client[0]) if connection.client else "unknown"


def _refusal(status: int, message: str, fields: Mapping[str, str] = MappingProxyType({})) -> bytes:
    body = refusal_body(status, message)
    given = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **fields,
        "Cache-Control": "no-store",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


class Listener:
    """Serves an application at one address; WebSockets too, where `largest_message` says how large one may be."""

    def __init__(
        self,
        app: ASGIApp,
        listen: Listen,
        tls: Tls | None,
        *,
        places: Places = Places(MAX_CONNECTIONS),  # noqa: B008 - a tuple
        largest_message: int | None = None,
        tls_on_loopback: bool = False,
    ) -> None:
        self._listen = listen
        self._places = places
        self._tls = tls if listen.needs_tls or tls_on_loopback else None
        self._config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none" if largest_message is None else "websockets-sansio",
            ws_max_size=largest_message or 0,
            ws_per_message_deflate=False,
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(KEEP_ALIVE),
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._unread: dict[asyncio.Transport, tuple[int, float]] = {}

    async def start(self, who: str) -> None:
        """Listen. Raises `Conflict` when the port is taken, `ConfigError` when it cannot be had."""
        # What strangers send wrongly is no news: it would fill the log.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        context = await in_thread(_server_context, self._tls) if self._tls else None
        self._config.load()
        loop = asyncio.get_running_loop()
        host, port = self._listen.host, self._listen.port
        try:
            # Connections inherit the context of whoever creates the server: let it be nobody's.
            self._server = await loop.create_task(
                loop.create_server(self._make_protocol, host, port, ssl=context, backlog=128),
                context=contextvars.Context(),
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(
                    f"{who} cannot listen on {host}:{port}, which is taken: it runs already, or another program has "
                    "the port; stop that, or choose another port under http: listen"
                ) from error
            raise ConfigError(f"{who} cannot listen on {host}:{port}: {error.strerror or error}") from error
        self._tick()

    @property
    def port(self) -> int:
        """The port it listens on, which the system chose where 0 was asked for; 0 while it does not listen."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    def _make_protocol(self) -> asyncio.Protocol:
        protocol = _Protocol(config=self._config, server_state=self._state, app_state={})
        protocol.places = self._places
        return protocol

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._cut_off_stalled(loop.time())
        self._ticking = loop.call_later(1.0, self._tick)

    def _cut_off_stalled(self, now: float) -> None:
        """Closing waits until all is sent: for ever, if nobody reads it."""
        before, self._unread = self._unread, {}
        for connection in list(self._state.connections):
            transport: asyncio.Transport = connection.transport
            if size := transport.get_write_buffer_size():
                least, since = before.get(transport, (size + 1, now))
                self._unread[transport] = (size, now) if size < least else (least, since)
                if now - self._unread[transport][1] > STALLED:
                    transport.abort()

    async def stop(self) -> None:
        """Stop listening, let answers under way go out, and close what is still open then."""
        self._close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks, timeout=FAREWELL)
        self.abort()
        if tasks := list(self._state.tasks):  # what answers nobody now
            await asyncio.wait(tasks, timeout=FAREWELL)

    def abort(self) -> None:
        """End at once, as a killed process does."""
        self._close()
        for connection in list(self._state.connections):
            transport: Any = connection.transport
            transport.abort()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn takes text on a WebSocket that is no UTF-8 for an error of ours."""
    return not record.msg.startswith("Invalid UTF-8 sequence")


def _server_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificate {tls.certificate} with key {tls.key} cannot be used: {error}") from error
    return context


def client_context(ca: Any) -> ssl.SSLContext:
    """What verifies the modules that are called (blocking); `ca` None: by the system's authorities."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the authority {ca} cannot be used: {error}") from error
