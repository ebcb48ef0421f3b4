"""JSON-RPC 2.0: requests that came as bytes from anywhere, checked; what answers and notifications look like."""

from __future__ import annotations

from typing import Any

import msgspec

from pytel.base.errors import InvalidRequest, ParseError
from pytel.bus.contract import Builtin

MAX_BATCH = 50
RequestId = str | int | float | None


class Request(msgspec.Struct, frozen=True):
    """A request; without `has_id` it is a notification, which is never answered."""

    method: str
    params: dict[str, Any] | list[Any]
    id: RequestId
    has_id: bool


def parse(line: bytes) -> Builtin:
    """Decode JSON. Raises `ParseError`."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ParseError(f"this is no JSON: {error}") from error


def request_of(message: Builtin) -> Request:
    """Check one request. Raises `InvalidRequest`."""
    if not isinstance(message, dict):
        raise InvalidRequest("a request is an object with 'jsonrpc', 'method', 'params' and 'id'")
    if message.get("jsonrpc") != "2.0":
        raise InvalidRequest("'jsonrpc' must be \"2.0\"")
    method, params, identity = message.get("method"), message.get("params", {}), message.get("id")
    if not isinstance(method, str) or not method:
        raise InvalidRequest("'method' must be the name of a method, such as 'telescope.move_radec'")
    if not isinstance(params, (dict, list)):
        raise InvalidRequest("'params' must be an object or a list")
    if isinstance(identity, bool) or not isinstance(identity, (str, int, float, type(None))):
        raise InvalidRequest("'id' must be text, a number or null")
    return Request(method, params, identity, "id" in message)


def id_of(message: Builtin) -> RequestId:
    """The id of a request that may be wrong otherwise, None when it has none."""
    identity = message.get("id") if isinstance(message, dict) else None
    return identity if isinstance(identity, (str, int, float)) and not isinstance(identity, bool) else None


def result(identity: RequestId, value: Builtin) -> Builtin:
    """The answer to a request that went well."""
    return {"jsonrpc": "2.0", "id": identity, "result": value}


def notification(method: str, params: Builtin) -> Builtin:
    """A message that asks for no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
