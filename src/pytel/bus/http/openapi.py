"""The description of an HTTP server (OpenAPI 3.1), made from its routes: one without an operation is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

Schema = Mapping[str, Any]
JSON = "application/json"
PATH = "/openapi.json"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_HIDDEN = frozenset({"HEAD"})


class Answer(msgspec.Struct, frozen=True):
    """What comes with a status: `content` has a schema for each media type, none where there is no body."""

    description: str
    content: Mapping[str, Schema] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a method does with a path; `query` and `headers` have a schema for each parameter, which may be left out.

    `failure` is the form of all other answers, `body` that of what is sent.
    """

    summary: str
    answers: Mapping[int, Answer]
    query: Mapping[str, Schema] = {}
    headers: Mapping[str, Schema] = {}
    body: Mapping[str, Schema] = {}
    for_everybody: bool = False


class Described:
    """The description of one server, as an answer. Raises `LookupError` for a route without an operation."""

    def __init__(
        self,
        title: str,
        routes: Sequence[BaseRoute],
        operations: Mapping[str, Operation],
        *,
        failure: Schema,
        parameters: Mapping[str, Schema] | None = None,
    ) -> None:
        self._failure, self._parameters = failure, dict(parameters or {})
        paths: dict[str, dict[str, Any]] = {}
        for route in routes:
            if isinstance(route, Route):
                for method in sorted((route.methods or set()) - _HIDDEN):
                    path = _PARAMETER.sub(r"{\1}", route.path)
                    paths.setdefault(path, {})[method.lower()] = self._operation(
                        path, operations[f"{method} {route.path}"]
                    )
        self.document: dict[str, Any] = {
            "openapi": "3.1.0",
            "info": {"title": title, "version": "1"},
            "security": [{"password": []}, {"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {
                    "password": {"type": "http", "scheme": "basic"},
                    "token": {"type": "http", "scheme": "bearer"},
                }
            },
        }
        if sockets := [route.path for route in routes if isinstance(route, WebSocketRoute)]:
            self.document["x-websockets"] = sockets  # OpenAPI has no words for them
        self._encoded = msgspec.json.encode(self.document)

    def answer(self) -> Response:
        """The document, for everybody."""
        return Response(self._encoded, media_type=JSON, headers={"cache-control": "no-store"})

    def _operation(self, path: str, operation: Operation) -> dict[str, Any]:
        described: dict[str, Any] = {
            "summary": operation.summary,
            "parameters": [
                *self._in_path(path),
                *_parameters("query", operation.query),
                *_parameters("header", operation.headers),
            ],
            "responses": {
                **{str(status): _response(answer) for status, answer in operation.answers.items()},
                "default": _response(Answer("It is refused, and the answer says why.", {JSON: self._failure})),
            },
        }
        if operation.body:
            described["requestBody"] = {"required": True, "content": _content(operation.body)}
        if operation.for_everybody:
            described["security"] = []
        return described

    def _in_path(self, path: str) -> Iterable[dict[str, Any]]:
        for name in _PARAMETER.findall(path):
            yield {"name": name, "in": "path", "required": True, "schema": self._parameters[name]}


def _parameters(place: str, schemas: Mapping[str, Schema]) -> list[dict[str, Any]]:
    return [{"name": name, "in": place, "schema": schema} for name, schema in schemas.items()]


def _response(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    return {**described, "content": _content(answer.content)} if answer.content else described


def _content(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}


TEXT: Schema = {"type": "string"}
SERVED = Answer("This document.", {JSON: {"type": "object", "required": ["openapi", "paths"]}})
DESCRIPTION = Operation(summary="This description.", answers={200: SERVED}, for_everybody=True)
EVENT_STREAM = Answer("Server-sent events, until one side leaves.", {"text/event-stream": TEXT})
ERROR: Schema = {
    "type": "object",
    "description": "An error of JSON-RPC 2.0, with the stable name of its kind.",
    "required": ["code", "message"],
    "properties": {
        "code": {"type": "integer"},
        "message": TEXT,
        "data": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
    },
}
_ID: Schema = {"type": ["string", "number", "null"]}
_REQUEST: Schema = {
    "type": "object",
    "required": ["jsonrpc", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "method": {"type": "string", "examples": ["telescope.move_altaz", "rpc.discover"]},
        "params": {"type": ["object", "array"]},
        "id": _ID,
        "pytel": {
            "type": "object",
            "properties": {"expires": {"type": ["number", "null"]}, "call_id": {"type": ["string", "null"]}},
        },
    },
}
_RESPONSE: Schema = {
    "type": "object",
    "required": ["jsonrpc", "id"],
    "properties": {"jsonrpc": {"const": "2.0"}, "id": _ID, "error": ERROR},
    "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
}
FAULT: Schema = {**_RESPONSE, "required": ["jsonrpc", "id", "error"]}
"""A refusal in the form of JSON-RPC."""
RPC = Operation(
    summary="Call a method: JSON-RPC 2.0, a request or a batch. `rpc.discover` describes the methods (OpenRPC).",
    body={JSON: {"oneOf": [_REQUEST, {"type": "array", "items": _REQUEST, "minItems": 1, "maxItems": 50}]}},
    answers={
        200: Answer(
            "The answer, or those to a batch.", {JSON: {"oneOf": [_RESPONSE, {"type": "array", "items": _RESPONSE}]}}
        ),
        204: Answer("There were notifications only."),
    },
)
PUBLICATION: Schema = {
    "type": "object",
    "required": ["topic", "publisher", "seq", "boot", "time", "data"],
    "properties": {
        "topic": TEXT,
        "publisher": TEXT,
        "seq": {"type": "integer"},
        "boot": TEXT,
        "time": {"type": "string", "format": "date-time"},
    },
}
STATES = Answer("The last states.", {JSON: {"type": "array", "items": PUBLICATION}})
