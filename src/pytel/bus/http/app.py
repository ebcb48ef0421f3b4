"""What one module serves over HTTP: `/rpc`, `/events`, `/state`, `/card`, `/health`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pytel.base import clock
from pytel.base.errors import Busy, InternalError, InvalidRequest, LimitExceeded, NotFound, PytelError
from pytel.bus import envelope
from pytel.bus.attempts import TooManyAttempts
from pytel.bus.contract import Builtin, Caller, Role
from pytel.bus.http import sse
from pytel.bus.http.credentials import Doorkeeper, Unauthenticated
from pytel.bus.http.openapi import FAULT, PATH, Described
from pytel.bus.http.operations import OPERATIONS
from pytel.bus.http.outbox import Wish
from pytel.bus.http.rpc import RpcService
from pytel.bus.publications import told

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from pytel.bus.http.outbox import Outbox, Reader

MAX_BODY = 1 << 20
BODY_TIMEOUT = 10.0
"""Real seconds that a client may take to send a request's body."""
WRITE_TIMEOUT = 10.0
"""Real seconds that a reader of the stream may take to make room; then it is cut off."""
HEARTBEAT = 3.0
"""Real seconds after which a quiet stream shows that its module lives."""
MAX_READERS = 200
"""Streams that people may read at once; modules get theirs in any case."""
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_STATUS: dict[type[PytelError], int] = {
    Unauthenticated: 401,
    LimitExceeded: 413,
    TooManyAttempts: 429,
    Busy: 503,
}


class Asker(NamedTuple):
    """Who asks for the stream: of modules their start, and a nonce to which ours is the proof."""

    name: str
    boot: str
    nonce: str


class Inside(Protocol):
    """What the application needs of its bus."""

    rpc: RpcService
    outbox: Outbox
    doorkeeper: Doorkeeper

    def card(self) -> Builtin:
        """What the module shows of itself."""

    def greeting(self, asker: Asker) -> Builtin:
        """What its stream begins with: the card, and what the asker wants to know."""

    def seen(self, asker: Asker) -> None:
        """Somebody begins to read the stream: so it is there."""


def make_app(inside: Inside) -> Starlette:
    """Make the application of one module."""
    surface = _Surface(inside)
    app = Starlette(
        routes=[
            Route("/rpc", surface.rpc, methods=["POST"]),
            Route("/events", surface.events, methods=["GET"]),
            Route("/state", surface.state, methods=["GET"]),
            Route("/card", surface.card, methods=["GET"]),
            Route("/health", surface.health, methods=["GET"]),
            Route(PATH, surface.description, methods=["GET"]),
        ],
        exception_handlers={PytelError: _refused, HTTPException: _unknown, ClientDisconnect: _gone},
    )
    surface.described = Described("A module of pytel", app.routes, OPERATIONS, failure=FAULT)
    return app


class _Surface:
    described: Described

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    async def _caller(self, request: Request) -> Caller:
        address = request.client.host if request.client is not None else "unknown"
        return await self._inside.doorkeeper.caller_of(request.headers.get("authorization", ""), address)

    async def rpc(self, request: Request) -> Response:
        caller = await self._caller(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # a form of a foreign web page cannot say so
            return _json({"error": envelope.wire_error(InvalidRequest("send Content-Type: application/json"))}, 415)
        answer = await self._inside.rpc.answer(await _body(request), caller)
        return Response(status_code=204, headers=_HEADERS) if answer is None else _raw(answer)

    async def state(self, request: Request) -> Response:
        await self._caller(request)
        return _json([told(publication) for publication in self._inside.outbox.states()])

    async def card(self, request: Request) -> Response:
        await self._caller(request)
        return _json(self._inside.card())

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok", "time": clock.real_time()})

    async def description(self, request: Request) -> Response:
        return self.described.answer()

    async def events(self, request: Request) -> Response:
        caller = await self._caller(request)
        if not caller.role.includes(Role.MODULE) and self._inside.outbox.number_of_readers >= MAX_READERS:
            raise Busy(f"{MAX_READERS} clients read events already")
        given = request.query_params.get("since") or request.headers.get("last-event-id")
        topics = request.query_params.get("topics")
        wish = Wish(
            sse.since(given) if given else None,
            frozenset(filter(None, topics.split(","))) if topics is not None else None,
        )
        boot, nonce = (request.headers.get(f"pytel-{name}", "")[:100] for name in ("boot", "nonce"))
        return _Stream(self._inside, Asker(caller.address, boot, nonce), wish)


class _Stream(Response):
    """An answer that goes on until one side leaves."""

    def __init__(self, inside: Inside, asker: Asker, wish: Wish) -> None:
        super().__init__(media_type="text/event-stream", headers=_HEADERS)
        del self.headers["content-length"]
        self._inside, self._asker, self._wish = inside, asker, wish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hello = sse.encode(sse.Event("", "card", envelope.encode(self._inside.greeting(self._asker))))
        reader = self._inside.outbox.read(self._asker.name, self._wish, hello)
        watching = asyncio.create_task(_until_gone(receive, reader))
        self._inside.seen(self._asker)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while not reader.is_over:
                text = await reader.take(HEARTBEAT)
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await send({"type": "http.response.body", "body": text or sse.HEARTBEAT, "more_body": True})
            async with asyncio.timeout(WRITE_TIMEOUT):
                await send({"type": "http.response.body", "body": await reader.take(0), "more_body": False})
        except TimeoutError:
            scope["state"]["abort"]()
        finally:
            self._inside.outbox.leave(reader)
            watching.cancel()
            await asyncio.wait([watching])


async def _until_gone(receive: Receive, reader: Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    reader.end()


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 18 or int(length) > MAX_BODY:
        raise LimitExceeded(f"a request has at most {MAX_BODY} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY:
                    raise LimitExceeded(f"a request has at most {MAX_BODY} bytes")
    except TimeoutError:
        raise InvalidRequest(f"the body of the request did not come within {BODY_TIMEOUT:g} s") from None
    return bytes(body)


def _raw(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {**_HEADERS, **(headers or {})}, "application/json")


def _json(value: Builtin, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _raw(envelope.encode(value), status, headers)


def _refused(request: Request, error: Exception) -> Response:
    """What could not even be asked: in the form of JSON-RPC, and with a status of HTTP."""
    told_error = error if isinstance(error, PytelError) else InternalError("the request could not be served")
    status = _STATUS.get(type(told_error), 400)
    headers = {"connection": "close"}  # what is left of a body that was not read must not be taken for a request
    if status == 401:
        headers["www-authenticate"] = 'Basic realm="pytel", charset="UTF-8"'
    if isinstance(told_error, TooManyAttempts):
        headers["retry-after"] = str(told_error.data["seconds"])
    body = {"jsonrpc": "2.0", "id": None, "error": envelope.wire_error(told_error)}
    return _json(body, status, headers)


def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    told_error: PytelError = NotFound("there are POST /rpc and GET /events, /state, /card, /health and /openapi.json")
    if status != 404:
        told_error = InvalidRequest("this method of HTTP does not go with this path")
    allowed = {name: value for name, value in (getattr(error, "headers", None) or {}).items() if name == "Allow"}
    return _json({"jsonrpc": "2.0", "id": None, "error": envelope.wire_error(told_error)}, status, allowed)


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it
