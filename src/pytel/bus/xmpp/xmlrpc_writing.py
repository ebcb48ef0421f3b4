"""Values of XML-RPC as text: what XEP-0009 sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from math import isfinite
from typing import Any

from pytel.bus.xmpp.names import PYTEL_RPC, attribute
from pytel.bus.xmpp.xmlrpc_misfit import MAX_DEPTH, Misfit, shown

_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 (section 2.2) cannot carry: one of them ends the sender's whole stream."""
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def value_text(value: Any) -> str:
    """A value of builtins as `<value>`. Raises `Misfit` for what XML-RPC or XML cannot carry."""
    return _value(value, 0)


def carriable(text: str) -> str:
    """A text with a replacement character for each one that XML cannot carry."""
    return _FORBIDDEN.sub("\ufffd", text)


def text_element(tag: str, text: str) -> str:
    """An element that holds a text. Raises `Misfit` for characters that XML cannot carry.

    Servers write a carriage return as it is, and the next reader of XML takes it for a line feed (XML 1.0, section
    2.11): a text that has one stands a second time as JSON, in an attribute of our own namespace.
    """
    if "\r" in text:
        told = attribute(json.dumps(text))
        return f"<{tag} xmlns:p='{PYTEL_RPC}' p:text={told}>{_escaped(text)}</{tag}>"
    return f"<{tag}>{_escaped(text)}</{tag}>"


def _escaped(text: str) -> str:
    if _SPECIAL.search(text) is None:
        return text
    found = _FORBIDDEN.search(text)
    if found is not None:
        raise Misfit(f"has the character U+{ord(found[0]):04X}, which XML cannot carry; leave it out")
    return text.translate(_ESCAPES)


def _value(value: Any, depth: int) -> str:
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise Misfit(f"is a {type(value).__name__}, which a bus does not carry")
    return writer(value, depth)


def _string(value: str, _: int) -> str:
    return f"<value>{text_element('string', value)}</value>"


def _int(value: int, _: int) -> str:
    if -0x80000000 <= value <= 0x7FFFFFFF:
        return f"<value><i4>{value}</i4></value>"
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return f"<value><i8>{value}</i8></value>"
    raise Misfit("is an integer of more than 64 bits; send it as text")


def _double(value: float, _: int) -> str:
    if not isfinite(value):
        raise Misfit(f"is {value}: unknown numbers travel as None")
    text = repr(value)
    if "e" in text:
        # The standard knows digits and a point only.
        text = format(Decimal(text), "f")
        text = text if "." in text else f"{text}.0"
    return f"<value><double>{text}</double></value>"


def _array(value: list[Any] | tuple[Any, ...], depth: int) -> str:
    if depth >= MAX_DEPTH:
        raise Misfit(f"is nested deeper than {MAX_DEPTH}")
    made: list[str] = []
    try:
        for item in value:
            made.append(_value(item, depth + 1))
    except Misfit as misfit:
        raise misfit.within(f"[{len(made)}]") from None
    return f"<value><array><data>{''.join(made)}</data></array></value>"


def _struct(value: dict[Any, Any], depth: int) -> str:
    if depth >= MAX_DEPTH:
        raise Misfit(f"is nested deeper than {MAX_DEPTH}")
    made: list[str] = []
    name: Any = None
    try:
        for name, item in value.items():
            if type(name) is not str:
                raise Misfit("has a name that is no string")
            made.append(f"<member>{text_element('name', name)}{_value(item, depth + 1)}</member>")
    except Misfit as misfit:
        raise misfit.within(f".{shown(str(name))}") from None
    return f"<value><struct>{''.join(made)}</struct></value>"


_WRITERS: dict[type, Callable[[Any, int], str]] = {
    str: _string,
    bool: lambda value, _: f"<value><boolean>{value:d}</boolean></value>",
    int: _int,
    float: _double,
    type(None): lambda _value, _depth: "<value><nil/></value>",
    list: _array,
    tuple: _array,
    dict: _struct,
}
