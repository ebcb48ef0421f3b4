"""The HTTP side of a face: JSON-RPC 2.0 under foreign names."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from pytel.base.errors import InternalError, InvalidParams, MethodNotFound, NotFound, NotReady, PytelError, wrap
from pytel.bus import envelope, jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller
from pytel.bus.door import Door
from pytel.gateway.audit import AuditLog
from pytel.gateway.body import json_body
from pytel.gateway.doorkeeper import Doorkeeper
from pytel.gateway.entrance import Crowd, address_of, admitted
from pytel.gateway.face_methods import FaceMethod, interface_named, method_named, types_of
from pytel.gateway.face_words import told_error
from pytel.gateway.refusal import Refusal
from pytel.gateway.visits import Looks, PersonVisitor
from pytel.module.messages import topic_of
from pytel.services.mapping.tables import plain_from, theirs_from

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pytel.gateway.face import ForeignFace

MOST_JOBS = 1000
"""Jobs whose numbers are kept; the oldest is forgotten first."""
log = logging.getLogger("pytel.gateway")


class _Job(NamedTuple):
    module: Address
    job: str


class Jobs:
    """Gives jobs the numbers that some systems want, and knows whose they are."""

    def __init__(self) -> None:
        self._last = 0
        self._by_number: OrderedDict[int, _Job] = OrderedDict()
        self._numbers: dict[str, int] = {}

    def add(self, module: Address, job: str) -> int:
        """The number of a job."""
        if job in self._numbers:
            return self._numbers[job]
        self._last += 1
        self._by_number[self._last], self._numbers[job] = _Job(module, job), self._last
        if len(self._by_number) > MOST_JOBS:
            _, gone = self._by_number.popitem(last=False)
            del self._numbers[gone.job]
        return self._last

    def find(self, job: Any, number: Any) -> tuple[int, _Job]:
        """A job by its id or its number. Raises `NotFound`."""
        known = self._numbers.get(job) if isinstance(job, str) else number
        if isinstance(known, int) and not isinstance(known, bool) and known in self._by_number:
            return known, self._by_number[known]
        raise NotFound("there is no such job here; it may have been begun before the last start")


class FaceWeb:
    """Answers requests; `whom` tells which module is behind an interface."""

    def __init__(
        self,
        door: Door,
        doorkeeper: Doorkeeper,
        audit: AuditLog,
        config: ForeignFace.Config,
        whom: Callable[[str], Address],
    ) -> None:
        self._door, self._doorkeeper, self._audit = door, doorkeeper, audit
        self._methods: Mapping[str, FaceMethod] = config.methods
        self._errors: Mapping[str, int] = config.errors
        self._whom = whom
        self._jobs = Jobs()
        self._looks = Looks(door)
        self._crowd = Crowd()
        routes = [Route(config.path, self.rpc, methods=["POST"])]
        self.app: ASGIApp = Router(routes, redirect_slashes=False, default=_nowhere)

    async def rpc(self, request: Request) -> Response:
        """Answer a request or a batch; notifications get 204."""
        person = await admitted(request, self._doorkeeper, None)
        visitor = PersonVisitor(self._door, person, address_of(request), self._audit, self._looks)
        with self._crowd.one_of(person):
            answer = await self._answered(visitor, await json_body(request))
        if answer is None:
            return Response(status_code=204)
        return Response(envelope.encode(answer), media_type="application/json")

    async def _answered(self, visitor: PersonVisitor, body: bytes) -> Builtin:
        try:
            message = jsonrpc.parse(body)
        except PytelError as error:
            return self._failure(None, error)
        if not isinstance(message, list):
            return await self._one(visitor, message)
        if not 1 <= len(message) <= jsonrpc.MAX_BATCH:
            return self._failure(None, InvalidParams(f"a batch holds 1 to {jsonrpc.MAX_BATCH} requests"))
        answers = [await self._one(visitor, one) for one in message]
        return [answer for answer in answers if answer is not None] or None

    async def _one(self, visitor: PersonVisitor, message: Builtin) -> Builtin:
        try:
            request = jsonrpc.request_of(message)
            answer = jsonrpc.result(request.id, await self._execute(visitor, request))
        except PytelError as error:
            answer = self._failure(jsonrpc.id_of(message), error)
        except Exception as error:
            log.exception("a method of a foreign system failed by a fault in the gateway")
            answer = self._failure(jsonrpc.id_of(message), wrap(error))
        is_notification = isinstance(message, dict) and "id" not in message and "method" in message
        return None if is_notification else answer

    def _failure(self, identity: jsonrpc.RequestId, error: PytelError) -> Builtin:
        return {"jsonrpc": "2.0", "id": identity, "error": told_error(error, self._errors)}

    async def _execute(self, visitor: PersonVisitor, request: jsonrpc.Request) -> Builtin:
        method = self._methods.get(request.method)
        if method is None:
            raise MethodNotFound(f"there is no method {request.method[:100]!r} here")
        ours, result_type = types_of(method)
        params = plain_from(method.params, _by_name(method, request.params), ours)
        result = await self._done(visitor, method, params)
        if not method.result:
            return True
        try:
            made = theirs_from(method.result, result, result_type)
        except InvalidParams as error:
            raise InternalError(f"the result cannot be told in the words of this mapping: {error.message}") from error
        return made["."] if list(made) == ["."] else made

    async def _done(self, visitor: PersonVisitor, method: FaceMethod, params: dict[str, Any]) -> Builtin:
        if method.job is not None:
            return await self._follow(visitor, method.job, params)
        interface, name = method.target
        address = self._whom(interface)
        if method.state is not None:
            return self._state(address, interface)
        result = await _call(visitor, address, name, params)
        called = method_named(method.target)
        if called is None or not called.options.long:
            return result
        return {**result, "number": self._jobs.add(address, result["job"])}

    def _state(self, address: Address, interface: str) -> Builtin:
        kind = interface_named(interface)
        if kind is None or kind.state is None:
            raise NotFound(f"{interface} has no state")
        topic = topic_of(kind.state)
        for publication in self._door.states():
            if (publication.publisher, publication.topic) == (address, topic):
                return publication.data
        raise NotReady(f"{address} has not told its state yet")

    async def _follow(self, visitor: PersonVisitor, what: str, params: dict[str, Any]) -> Builtin:
        number, known = self._jobs.find(params.get("job"), params.get("number"))
        if what == "cancel":
            await _call(visitor, known.module, "job.cancel", {"job": known.job})
        report = await _call(visitor, known.module, "job.status", {"job": known.job})
        error = report.get("error") or {}
        return {
            **{name: report.get(name) for name in ("job", "status", "progress", "eta", "result")},
            "number": number,
            "error": error.get("data", {}).get("name"),
            "message": error.get("message"),
        }


def _by_name(method: FaceMethod, params: Mapping[str, Any] | list[Any]) -> dict[str, Any]:
    """Their parameters by name. Raises `InvalidParams` for what the mapping does not know."""
    if isinstance(params, list):
        if len(params) > len(method.names):
            raise InvalidParams(f"{len(params)} parameters by position are too many; give them by name")
        params = dict(zip(method.names, params, strict=False))
    known = {(source.source or "").partition(".")[0] for source in method.params.values()} | set(method.names)
    for name in params:
        if name not in known:
            raise InvalidParams(f"there is no parameter {name[:100]!r}; known are {', '.join(sorted(known)) or 'none'}")
    return dict(params)


async def _call(visitor: PersonVisitor, target: Address, method: str, params: dict[str, Any]) -> Any:
    origin = visitor.origin
    call = Call(method=method, params=params, caller=Caller(origin.name, origin.role), origin=origin)
    return msgspec.to_builtins(await visitor.call(target, call))


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise Refusal(404, "there is nothing here")
