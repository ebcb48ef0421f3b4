"""Values of XML-RPC out of elements that anybody may have sent: what XEP-0009 receives."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from xml.etree.ElementTree import Element

from pytel.bus.contract import Builtin
from pytel.bus.xmpp.names import PYTEL_RPC, RPC
from pytel.bus.xmpp.xmlrpc_misfit import MAX_DEPTH, MAX_VALUES, Misfit, shown

BLANK = " \t\r\n"
"""White space of XML, the only text that may stand between elements."""
VALUE = f"{{{RPC}}}value"
_TEXT = f"{{{PYTEL_RPC}}}text"
_MEMBER, _NAME, _DATA = f"{{{RPC}}}member", f"{{{RPC}}}name", f"{{{RPC}}}data"
_APACHE = "{http://ws.apache.org/xmlrpc/namespaces/extensions}"
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DOUBLE = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_LONGEST_DOUBLE = 1200
_TIME = re.compile(
    r"(\d{4})(-?)(\d\d)\2(\d\d)T(\d\d)(:?)(\d\d)\6(\d\d)(?:[.,](\d{1,12}))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)


def read_value(value: Element) -> Builtin:
    """Read a `<value>`. Raises `Misfit`."""
    return _value(value, 0)


def check_count(message: Element) -> None:
    """Refuse a message with more values than anybody needs. Raises `Misfit`."""
    if sum(1 for _ in message.iter(VALUE)) > MAX_VALUES:
        raise Misfit(f"has more than {MAX_VALUES} values; images and tables belong into the image store")


def children(parent: Element) -> list[Element]:
    """The elements in one that may hold nothing else. Raises `Misfit` for text beside them."""
    found = list(parent)
    text = parent.text
    if text is not None and text.strip(BLANK):
        raise _beside(parent)
    for element in found:
        text = element.tail
        if text is not None and text.strip(BLANK):
            raise _beside(parent)
    return found


def only_child(parent: Element, tag: str) -> Element:
    """The one element in another, which must have this tag. Raises `Misfit`."""
    found = children(parent)
    if len(found) != 1 or found[0].tag != tag:
        raise Misfit(f"must have exactly one <{tag.rpartition('}')[2]}> in <{local_name(parent)}>")
    return found[0]


def text_of(leaf: Element) -> str:
    """The text of an element without children. Raises `Misfit`."""
    if len(leaf):
        raise Misfit(f"has an element in <{local_name(leaf)}>, where only text may stand")
    return leaf.text or ""


def _exact_text(leaf: Element, _: int = 0) -> str:
    """The text with the carriage returns that it had before servers wrote it anew."""
    text, told = text_of(leaf), leaf.get(_TEXT)
    if told is None:
        return text
    try:
        exact = json.loads(told)
    except (ValueError, RecursionError):
        exact = None
    if not isinstance(exact, str) or _lines(exact) != _lines(text):
        raise Misfit(f"has a <{local_name(leaf)}> whose text and attribute differ")
    return exact


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def local_name(element: Element) -> str:
    """The name for people, without namespace; comments and the like have none."""
    return shown(str(element.tag).rpartition("}")[2])


def _beside(parent: Element) -> Misfit:
    return Misfit(f"has text beside the elements in <{local_name(parent)}>")


def _value(value: Element, depth: int) -> Builtin:
    if not len(value):
        return value.text or ""
    if len(value) > 1:
        raise Misfit("has more than one type in its <value>")
    typed = value[0]
    # Almost nobody indents: no call for what is not there.
    if value.text is not None or typed.tail is not None:
        children(value)
    reader = _READERS.get(typed.tag)
    if reader is None:
        raise Misfit(f"is of the type <{local_name(typed)}>, which XML-RPC does not know")
    return reader(typed, depth)


def _integer(low: int, high: int) -> Callable[[Element, int], int]:
    def read(element: Element, _: int) -> int:
        text = text_of(element)
        if _INTEGER.fullmatch(text) is None:
            raise Misfit(f"is {shown(text)!r}, which is no integer")
        number = int(text)
        if not low <= number <= high:
            raise Misfit(f"is {shown(text)}, an integer of more than 64 bits")
        return number

    return read


def _double(element: Element, _: int) -> float:
    text = text_of(element)
    # Exponents are beyond the standard, but Python's own writers send them.
    if len(text) > _LONGEST_DOUBLE or _DOUBLE.fullmatch(text) is None:
        raise Misfit(f"is {shown(text)!r}, which is no number of digits and a point")
    number = float(text)
    if not isfinite(number):
        raise Misfit(f"is {shown(text)}, more than a double can hold")
    return number


def _boolean(element: Element, _: int) -> bool:
    text = text_of(element)
    if text not in _BOOLEANS:
        raise Misfit(f"is the boolean {shown(text)!r}; write 0 or 1")
    return _BOOLEANS[text]


def _time(element: Element, _: int) -> str:
    text = text_of(element)
    found = _TIME.fullmatch(text)
    if found is None:
        raise Misfit(f"is {shown(text)!r}, which is no time such as 20260615T21:30:00 or 2026-06-15T21:30:00Z")
    year, _dash, month, day, hour, _colon, minute, second, fraction, zone = found.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    try:
        # Times without zone are UTC, as everywhere in pytel.
        time = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{micros}{zone or 'Z'}")
        return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        raise Misfit(f"is {shown(text)!r}, a time that does not exist") from error


def _base64(element: Element, _: int) -> str:
    # RFC 2045 breaks lines.
    text = re.sub(f"[{BLANK}]+", "", text_of(element))
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misfit("is no Base64") from error
    return text


def _nil(element: Element, _: int) -> None:
    if text_of(element).strip(BLANK):
        raise Misfit("has text in <nil>")


def _array(element: Element, depth: int) -> list[Builtin]:
    data = only_child(element, _DATA)
    _check_depth(depth)
    made: list[Builtin] = []
    try:
        for value in children(data):
            if value.tag != VALUE:
                raise Misfit(f"is a <{local_name(value)}> where a <value> must stand")
            made.append(_value(value, depth + 1))
    except Misfit as misfit:
        raise misfit.within(f"[{len(made)}]") from None
    return made


def _struct(element: Element, depth: int) -> dict[str, Builtin]:
    _check_depth(depth)
    made: dict[str, Builtin] = {}
    for member in children(element):
        parts = children(member)
        if member.tag != _MEMBER or len(parts) != 2 or parts[0].tag != _NAME or parts[1].tag != VALUE:
            raise Misfit("must consist of <member>s, each of one <name> and one <value>")
        name = _exact_text(parts[0])
        if name in made:
            raise Misfit(f"has the member {shown(name)!r} twice")
        try:
            made[name] = _value(parts[1], depth + 1)
        except Misfit as misfit:
            raise misfit.within(f".{shown(name)}") from None
    return made


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise Misfit(f"is nested deeper than {MAX_DEPTH}")


_BOOLEANS = {"0": False, "1": True, "false": False, "true": True}
# An i4 of more than 32 bits is taken at its word: slixmpp writes all integers so.
_any_integer = _integer(-0x8000000000000000, 0x7FFFFFFFFFFFFFFF)
_READERS: dict[Any, Callable[[Element, int], Builtin]] = {
    f"{{{RPC}}}i4": _any_integer,
    f"{{{RPC}}}int": _any_integer,
    f"{{{RPC}}}i8": _any_integer,
    f"{_APACHE}i8": _any_integer,
    f"{{{RPC}}}boolean": _boolean,
    f"{{{RPC}}}string": _exact_text,
    f"{{{RPC}}}double": _double,
    f"{{{RPC}}}dateTime.iso8601": _time,
    f"{{{RPC}}}base64": _base64,
    f"{{{RPC}}}Base64": _base64,  # as old versions of XEP-0009 have it
    f"{{{RPC}}}nil": _nil,
    f"{_APACHE}nil": _nil,
    f"{{{RPC}}}struct": _struct,
    f"{{{RPC}}}array": _array,
}
