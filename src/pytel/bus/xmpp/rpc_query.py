"""XEP-0009 with what it has no place for (expiry, call id, origin): an attribute of our own namespace on `<query/>`.

A plain caller leaves it out and gets the method's own deadline; a plain callee passes over it.
"""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element

import msgspec

from pytel.base.errors import InvalidRequest, PytelError
from pytel.bus import envelope
from pytel.bus.builtins import copied
from pytel.bus.contract import Builtin, Call, Caller
from pytel.bus.xmpp import xmlrpc
from pytel.bus.xmpp.names import PYTEL_RPC, RPC, attribute

_CALL = f"{{{PYTEL_RPC}}}call"


def encode_request(request: dict[str, Builtin]) -> str:
    """The `<query/>` of a call. Raises `InvalidParams` for what XML cannot carry."""
    told = attribute(json.dumps(request[envelope.MEMBER]))
    content = xmlrpc.encode_call(request["method"], request["params"])
    return f"<query xmlns='{RPC}' xmlns:p='{PYTEL_RPC}' p:call={told}>{content}</query>"


def decode_request(query: Element, caller: Caller) -> Call:
    """Read a call. Raises `InvalidRequest`, `InvalidParams`."""
    method, params = xmlrpc.decode_call(query)
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if (told := query.get(_CALL)) is not None:
        message[envelope.MEMBER] = _json(told)
    return envelope.call_of_request(message, caller)


def encode_result(value: Builtin) -> str:
    """The `<query/>` of a result. Raises `InternalError` for what cannot travel."""
    return f"<query xmlns='{RPC}'>{xmlrpc.encode_result(copied(value))}</query>"


def encode_fault(error: PytelError) -> str:
    """The `<query/>` of a fault."""
    return f"<query xmlns='{RPC}'>{xmlrpc.encode_fault(envelope.wire_error(error))}</query>"


def _json(told: str) -> Any:
    try:
        return msgspec.json.decode(told)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"the attribute 'call' of {PYTEL_RPC} is no JSON: {error}") from error
