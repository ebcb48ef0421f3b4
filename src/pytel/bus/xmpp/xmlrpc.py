"""Calls, answers and faults of XML-RPC in elements of XMPP (XEP-0009), for clients of any language.

Written to the letter of the standard, with the extensions `<nil/>` and `<i8>`. What it has no place for travels as
attributes of the namespace `urn:pytel:rpc:1`, which others pass over: that parameters are named, an error's name and
data, and carriage returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from pytel.base.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    PytelError,
    WireError,
    error_class,
)
from pytel.bus.contract import Builtin
from pytel.bus.xmpp.names import PYTEL_RPC, RPC, attribute
from pytel.bus.xmpp.xmlrpc_misfit import Misfit, shown
from pytel.bus.xmpp.xmlrpc_reading import (
    VALUE,
    check_count,
    children,
    local_name,
    only_child,
    read_value,
    text_of,
)
from pytel.bus.xmpp.xmlrpc_writing import carriable, value_text

NAMESPACE = RPC
MAX_STANZA = 1_000_000
"""Bytes of one stanza. Servers close the stream of a sender who exceeds theirs; pytel's allow more than this."""
_MAX_FAULT_TEXT, _MAX_FAULT_DATA = 4_000, 100_000
"""Characters of an error's sentence and data: an error report must get through."""
_METHOD = re.compile(r"[A-Za-z0-9_.:/]{1,255}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_QUERY, _CALL, _RESPONSE = f"{{{RPC}}}query", f"{{{RPC}}}methodCall", f"{{{RPC}}}methodResponse"
_METHOD_NAME, _PARAMS, _PARAM = f"{{{RPC}}}methodName", f"{{{RPC}}}params", f"{{{RPC}}}param"
_FAULT = f"{{{RPC}}}fault"
_BY, _ERROR_NAME, _ERROR_DATA = f"{{{PYTEL_RPC}}}by", f"{{{PYTEL_RPC}}}name", f"{{{PYTEL_RPC}}}data"


def check_size(stanza: str) -> None:
    """Refuse a stanza that the server would answer by closing the stream. Raises `LimitExceeded`."""
    size = len(stanza) if stanza.isascii() else len(stanza.encode("utf-8", "surrogatepass"))
    if size > MAX_STANZA:
        raise LimitExceeded(
            f"the message has {size} bytes, more than the {MAX_STANZA} that a bus carries; "
            "put images and tables into the image store and send their id"
        )


def encode_call(method: str, params: Sequence[Builtin] | Mapping[str, Builtin]) -> str:
    """A `<methodCall>`; a mapping becomes one struct of named parameters.

    Raises `InvalidParams` for what cannot travel, before anything is sent.
    """
    if _METHOD.fullmatch(method) is None:
        raise InvalidParams(f"{shown(method)!r} is no method: XML-RPC knows letters, digits and the characters _ . : /")
    return f"<methodCall><methodName>{method}</methodName>{_params_text(method, params)}</methodCall>"


def encode_result(value: Builtin) -> str:
    """A `<methodResponse>` with a result. Raises `InternalError` for what cannot travel."""
    try:
        return f"<methodResponse><params><param>{value_text(value)}</param></params></methodResponse>"
    except Misfit as misfit:
        raise InternalError(f"the result cannot be sent: {misfit.sentence('$')}") from misfit


def encode_fault(error: WireError) -> str:
    """A `<methodResponse>` with a fault, whatever the error holds.

    `faultString` is "Name: sentence" for plain clients. The standard forbids further members, so that name and data
    stand in attributes of `<fault>`.
    """
    data = dict(error["data"])
    name = str(data.pop("name", ""))
    message = _shortened(carriable(error["message"]))
    members = (
        f"<member><name>faultCode</name><value><i4>{error['code']:d}</i4></value></member>"
        f"<member><name>faultString</name>{value_text(_headed(name, message))}</member>"
    )
    return (
        f"<methodResponse><fault xmlns:p='{PYTEL_RPC}' p:name={attribute(carriable(name))}"
        f" p:data={attribute(_data_text(data))}>"
        f"<value><struct>{members}</struct></value></fault></methodResponse>"
    )


def decode_call(query: Element) -> tuple[str, list[Builtin] | dict[str, Builtin]]:
    """Method and parameters in a `<query/>`; a dict when the caller says that they are named.

    Raises `InvalidRequest` for what is no call, and `InvalidParams` that names the parameter.
    """
    try:
        parts = children(_body(query, _CALL))
        tags = [part.tag for part in parts]
        if tags not in ([_METHOD_NAME], [_METHOD_NAME, _PARAMS]):
            raise Misfit("must have a <methodName> and then <params>")
        method = text_of(parts[0])
        if _METHOD.fullmatch(method) is None:
            raise Misfit(f"names the method {shown(method)!r}: letters, digits and the characters _ . : / are allowed")
        values = _param_values(parts[1]) if len(parts) > 1 else []
    except Misfit as misfit:
        raise InvalidRequest(misfit.sentence("the call")) from misfit
    params = [_read_param(method, position, value) for position, value in enumerate(values, 1)]
    if len(parts) > 1 and parts[1].get(_BY) == "name":
        return method, _named(method, params)
    return method, params


def decode_response(query: Element) -> Builtin:
    """The result in a `<query/>`. Raises the `PytelError` of a fault, and `InternalError` when it is no answer."""
    try:
        part = _only(_body(query, _RESPONSE))
        if part.tag == _PARAMS:
            values = _param_values(part)
            if len(values) != 1:
                raise Misfit(f"has {len(values)} results where there must be one")
            return read_value(values[0])
        if part.tag != _FAULT:
            raise Misfit(f"has a <{local_name(part)}> where <params> or a <fault> must stand")
        error = _error_of(part)
    except Misfit as misfit:
        raise InternalError(f"what came back is no answer of XML-RPC: {misfit.sentence('it')}") from misfit
    raise error


def _params_text(method: str, params: Sequence[Builtin] | Mapping[str, Builtin]) -> str:
    if isinstance(params, Mapping):
        if not params:
            return "<params/>"
        return (
            f"<params xmlns:p='{PYTEL_RPC}' p:by='name'><param>{_param_text(method, '', dict(params))}</param></params>"
        )
    made = [f"<param>{_param_text(method, f' {place}', value)}</param>" for place, value in enumerate(params, 1)]
    return f"<params>{''.join(made)}</params>"


def _param_text(method: str, place: str, value: Builtin) -> str:
    try:
        return value_text(value)
    except Misfit as misfit:
        raise InvalidParams(misfit.sentence(f"{method}: parameter{place}")) from misfit


def _read_param(method: str, position: int, value: Element) -> Builtin:
    try:
        return read_value(value)
    except Misfit as misfit:
        raise InvalidParams(misfit.sentence(f"{method}: parameter {position}")) from misfit


def _named(method: str, params: list[Builtin]) -> dict[str, Builtin]:
    if not params:
        return {}
    if len(params) != 1 or not isinstance(params[0], dict):
        raise InvalidRequest(f"{method}: parameters by name are one struct")
    return params[0]


def _body(query: Element, tag: str) -> Element:
    """What is asked or answered; elements of other namespaces beside it are passed over."""
    if query.tag != _QUERY:
        raise Misfit(f"is a <{local_name(query)}> where a <query xmlns='{RPC}'> must stand")
    check_count(query)
    body = [part for part in children(query) if str(part.tag).startswith(f"{{{RPC}}}")]
    if len(body) != 1 or body[0].tag != tag:
        raise Misfit(f"must have exactly one <{tag.rpartition('}')[2]}> in its <query>")
    return body[0]


def _only(parent: Element) -> Element:
    found = children(parent)
    if len(found) != 1:
        raise Misfit(f"has {len(found)} elements in <{local_name(parent)}> where there must be one")
    return found[0]


def _param_values(params: Element) -> list[Element]:
    found = children(params)
    for param in found:
        if param.tag != _PARAM:
            raise Misfit(f"has a <{local_name(param)}> in its <params>")
    return [only_child(param, VALUE) for param in found]


def _headed(name: str, message: str) -> str:
    return f"{carriable(name)}: {message}" if name else message


def _shortened(message: str) -> str:
    return message if len(message) <= _MAX_FAULT_TEXT else f"{message[: _MAX_FAULT_TEXT - 1]}…"


def _data_text(data: dict[str, Any]) -> str:
    """An error's data as JSON in ASCII, which XML can carry whatever they hold."""
    try:
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        return json.dumps({"detail": f"its data cannot travel: {_shortened(str(error))}"})
    if len(text) > _MAX_FAULT_DATA:
        return json.dumps({"detail": f"its data have {len(text)} characters, too many to travel"})
    return text


def _error_of(fault: Element) -> PytelError:
    told = read_value(only_child(fault, VALUE))
    code, text = (told.get("faultCode"), told.get("faultString")) if isinstance(told, dict) else (None, None)
    if type(code) is not int or not isinstance(text, str):
        raise Misfit("has a <fault> without an integer faultCode and a faultString")
    name, message = _name_and_message(fault, code, text)
    data = _data_of(fault)
    if name:
        data["name"] = name
    return PytelError.from_wire({"code": code, "message": message, "data": data})


def _name_and_message(fault: Element, code: int, text: str) -> tuple[str, str]:
    """Take the name off the sentence where one of ours stands in front of it."""
    head, colon, rest = text.partition(": ")
    told = fault.get(_ERROR_NAME, "")
    if told:
        return (told, rest if colon and head == told else text) if _NAME.fullmatch(told) else ("", text)
    kind = error_class(head) if colon else None
    return (head, rest) if kind is not None and kind.code == code else ("", text)


def _data_of(fault: Element) -> dict[str, Any]:
    text = fault.get(_ERROR_DATA)
    if text is None:
        return {}
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return {"detail": shown(text)}
    return data if isinstance(data, dict) else {"detail": data}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
