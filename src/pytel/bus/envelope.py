"""Calls between modules as JSON-RPC 2.0 objects, the same on every wire.

What JSON-RPC has no room for (expiry, call id, boot, origin) travels in the member `pytel` of the request; a plain
caller leaves it out. Only what the transport vouches for says who calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from pytel.base.errors import InternalError, InvalidRequest, PytelError, WireError, wrap
from pytel.bus import jsonrpc
from pytel.bus.builtins import copied
from pytel.bus.contract import Builtin, Call, Caller, CallOptions, Origin

MEMBER = "pytel"
_encoder = msgspec.json.Encoder()


class _Meta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The member `pytel` of a request."""

    expires: float | None = None
    call_id: str | None = None
    boot: str | None = None
    origin: Origin | None = None


class _Fault(msgspec.Struct, frozen=True):
    """The error object of an answer."""

    code: int
    message: str
    data: Builtin = None


_PLAIN = _Meta()


def request_of_call(
    method: str,
    params: Mapping[str, Builtin] | Sequence[Builtin],
    options: CallOptions,
    *,
    expires: float,
    identity: jsonrpc.RequestId,
) -> dict[str, Builtin]:
    """Make the request of a call; `expires` is real UTC in Unix seconds by the callee's clock.

    Raises `InternalError` for what JSON cannot hold.
    """
    meta = _Meta(expires=expires, call_id=options.call_id, boot=options.boot, origin=options.origin)
    return {
        "jsonrpc": "2.0",
        "id": identity,
        "method": method,
        "params": copied(params),
        MEMBER: msgspec.to_builtins(meta),
    }


def call_of_request(message: Builtin, caller: Caller) -> Call:
    """Check a decoded request, for which the transport vouches `caller`. Raises `InvalidRequest`."""
    request = jsonrpc.request_of(message)
    meta = _meta_of(message)
    return Call(
        method=request.method,
        params=request.params,
        caller=caller,
        origin=meta.origin or Origin(caller.address, caller.role),
        expires=meta.expires,
        call_id=meta.call_id,
        boot=meta.boot,
    )


def _meta_of(message: dict[str, Builtin]) -> _Meta:
    given = message.get(MEMBER)
    if given is None:
        return _PLAIN
    try:
        meta = msgspec.convert(given, _Meta)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the member '{MEMBER}' of the request is wrong: {error}") from error
    if meta.expires is not None and not math.isfinite(meta.expires):
        raise InvalidRequest("'expires' must be a time in Unix seconds")
    return meta


def answer(identity: jsonrpc.RequestId, value: Builtin) -> Builtin:
    """The answer to a call that went well. Raises `InternalError` for what JSON cannot hold."""
    return jsonrpc.result(identity, copied(value))


def fault(identity: jsonrpc.RequestId, error: BaseException) -> Builtin:
    """The answer to a call that failed, whatever it failed with."""
    return {"jsonrpc": "2.0", "id": identity, "error": wire_error(error)}


def wire_error(error: BaseException) -> WireError:
    """The form of any error on the wire; data that cannot travel arrive as text."""
    wire = wrap(error).to_wire()
    try:
        wire["data"] = copied(wire["data"])
    except (PytelError, RecursionError):
        wire["data"] = {"name": wire["data"]["name"], "detail": repr(wire["data"])}
    return wire


def value_of(message: Builtin) -> Builtin:
    """The result in an answer; raises the `PytelError` in it, and `InternalError` when it is no answer."""
    if isinstance(message, dict):
        if "error" in message:
            raise _error_of(message["error"])
        if "result" in message:
            return message["result"]
    raise InternalError("what came back is no answer of JSON-RPC 2.0")


def _error_of(value: Builtin) -> PytelError:
    try:
        told = msgspec.convert(value, _Fault)
    except msgspec.ValidationError:
        return InternalError("the answer tells of an error, but not in the form of JSON-RPC 2.0")
    data = told.data if isinstance(told.data, dict) else {} if told.data is None else {"detail": told.data}
    return PytelError.from_wire({"code": told.code, "message": told.message, "data": data})


def encode(message: Builtin) -> bytes:
    """Encode a message that has passed the gate. Raises `InternalError` for text that is no text."""
    try:
        return _encoder.encode(message)
    except (OverflowError, UnicodeEncodeError, RecursionError, TypeError) as error:
        raise InternalError(f"this cannot travel as JSON: {error}") from error


def encoded_answer(answer: Builtin) -> bytes:
    """An answer, or those to a batch, as bytes; one that cannot travel becomes an error that says so."""
    if isinstance(answer, list):
        return b"[%s]" % b",".join(map(encoded_answer, answer))
    try:
        return encode(answer)
    except InternalError as error:
        return encode(fault(jsonrpc.id_of(answer), error))


def encoded_fault(identity: jsonrpc.RequestId, error: BaseException) -> bytes:
    """The answer to a call that failed, as bytes; one whose sentence or data are no text arrives without them."""
    try:
        return encode(fault(identity, error))
    except InternalError as unspeakable:
        return encode(fault(identity, InternalError(f"{wrap(error).name}, and {unspeakable.message}")))
