"""The addresses of the gateway: calls, states, events, sessions, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.bus import envelope
from pytel.bus.contract import Builtin
from pytel.bus.door import Door
from pytel.bus.http.openapi import PATH, Described
from pytel.bus.publications import iso_time, told
from pytel.gateway.audit import AuditLog
from pytel.gateway.body import decoded, json_body
from pytel.gateway.doorkeeper import Doorkeeper, Person
from pytel.gateway.entrance import Crowd, address_of, admitted
from pytel.gateway.events import stream
from pytel.gateway.news import News
from pytel.gateway.operations import OPERATIONS, REFUSAL
from pytel.gateway.refusal import Refusal
from pytel.gateway.visits import Looks, PersonVisitor
from pytel.gateway.websocket import Socket
from pytel.services.image_operations import IMAGE_OPERATIONS, IMAGE_PARAMETERS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

IMAGE_PATHS = tuple(operation.removeprefix("GET ") for operation in IMAGE_OPERATIONS)
LONGEST_LOG_IN = 4096


class _LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password: str


class House(NamedTuple):
    """What stands behind the addresses; `cookies_need_tls` where browsers come by TLS."""

    door: Door
    news: News
    doorkeeper: Doorkeeper
    audit: AuditLog
    cookies_need_tls: bool

    @property
    def cookie(self) -> str:
        """The name of the cookie; its prefix has browsers insist on TLS and on this very host."""
        return "__Host-pytel" if self.cookies_need_tls else "pytel_session"


class Web:
    """Answers requests."""

    def __init__(self, house: House, images: ASGIApp) -> None:
        self._house = house
        self._looks = Looks(house.door)
        self._images = images
        self._crowd = Crowd()
        routes = [
            Route("/rpc", self.rpc, methods=["POST"]),
            Route("/events", self.events, methods=["GET"]),
            Route("/state", self.state, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/session", self.session, methods=["GET", "POST", "DELETE"]),
            Route(PATH, self.description, methods=["GET"]),
            WebSocketRoute("/ws", _Plain(self.websocket)),
            *(Route(path, _Plain(self.images), methods=["GET"]) for path in IMAGE_PATHS),
        ]
        self._described = Described(
            f"pytel: {house.door.site}", routes, OPERATIONS, failure=REFUSAL, parameters=IMAGE_PARAMETERS
        )
        self.app: ASGIApp = Router(routes, redirect_slashes=False, default=_nowhere)

    async def rpc(self, request: Request) -> Response:
        """JSON-RPC 2.0: a request, a batch, or notifications, which get 204."""
        with self._house.news.calls_first():
            person = await self._admitted(request)
            visitor = self._visitor(request, person)
            with self._crowd.one_of(person):
                answer = await visitor.answered(await json_body(request))
        if answer is None:
            return Response(status_code=204)
        return Response(envelope.encoded_answer(answer), media_type="application/json")

    async def state(self, request: Request) -> Response:
        """The last states: of all modules, of one (`module`), of one kind (`topic`)."""
        await self._admitted(request)
        module, topic = request.query_params.get("module"), request.query_params.get("topic")
        states = [
            told(publication)
            for publication in self._house.door.states()
            if module in (None, str(publication.publisher))
            and topic in (None, publication.topic.name, str(publication.topic))
        ]
        return _json(states)

    async def events(self, request: Request) -> Response:
        """States and events as they come, as server-sent events."""
        person = await self._admitted(request)
        given = request.query_params.get("topics")
        since = request.headers.get("last-event-id") or request.query_params.get("since")
        try:
            reader = self._house.news.read(frozenset(given.split(",")) if given else None, since)
        except PytelError as error:
            raise Refusal(400, error.message) from error
        return stream(self._house.news, reader, person)

    async def health(self, request: Request) -> Response:
        """Whether the gateway lives, and its real time; for everybody."""
        return _json({"status": "ok", "time": iso_time(clock.real_time())})

    async def description(self, request: Request) -> Response:
        """What can be asked here, as OpenAPI; for everybody."""
        return self._described.answer()

    async def session(self, request: Request) -> Response:
        """Log in (POST), log out (DELETE), and see who one is (GET)."""
        if request.method == "POST":
            return await self._log_in(request)
        if request.method == "DELETE":
            return self._log_out(request)
        return _json(self._visitor(request, await self._admitted(request)).info())

    async def _log_in(self, request: Request) -> Response:
        given = decoded(await json_body(request, LONGEST_LOG_IN), _LogIn)
        address = address_of(request)
        identity, person = await self._house.doorkeeper.log_in(given.name, given.password, address)
        self._house.audit.note("log-in", name=person.name, role=person.role.value, address=address)
        response = _json(self._visitor(request, person).info())
        self._set_cookie(response, identity)
        return response

    def _log_out(self, request: Request) -> Response:
        identity = request.cookies.get(self._house.cookie)
        session = self._house.doorkeeper.sessions.end(identity) if identity else None
        if session is not None:
            self._house.audit.note("log-out", name=session.account.name, address=address_of(request))
        response = Response(status_code=204)
        self._set_cookie(response, None)
        return response

    def _set_cookie(self, response: Response, identity: str | None) -> None:
        response.set_cookie(
            self._house.cookie,
            identity or "",
            max_age=None if identity else 0,
            path="/",
            secure=self._house.cookies_need_tls,
            httponly=True,
            samesite="strict",
        )

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """JSON-RPC both ways."""
        connection = HTTPConnection(scope)
        person = await self._admitted(connection)
        socket = Socket(receive, send, self._house.news, person)
        await socket.serve(self._visitor(connection, person, socket.own))

    async def images(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Images, as their store gives them."""
        await self._admitted(HTTPConnection(scope))
        await self._images(scope, receive, send)

    async def _admitted(self, connection: HTTPConnection) -> Person:
        return await admitted(connection, self._house.doorkeeper, self._house.cookie)

    def _visitor(self, connection: HTTPConnection, person: Person, own: Any = None) -> PersonVisitor:
        house = self._house
        return PersonVisitor(house.door, person, address_of(connection), house.audit, self._looks, own)


class _Plain:
    """Has Starlette take a method for an ASGI application, which it does with objects only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(404, "there is nothing here; there are /rpc, /ws, /events, /state, /session and /health")


def _json(value: Builtin) -> Response:
    return Response(envelope.encode(value) + b"\n", media_type="application/json")
