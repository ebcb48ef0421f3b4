"""The properties and methods of a device: how they are declared, and how their parameters are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from pytel.gateway.refusal import Refusal

F = TypeVar("F", bound=Callable[..., Any])
Kind = type[bool] | type[int] | type[float] | type[str]
Verb = Literal["GET", "PUT"]
Value = bool | int | float | str
MOST_PARAMETERS = 50
LONGEST_TEXT = 1000
LARGEST_ID = (1 << 32) - 1
_INT = re.compile(r"[+-]?[0-9]{1,10}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_LARGEST_INT = (1 << 31) - 1


class Member(NamedTuple):
    """A property or method by the name that ASCOM gives it; the last part of its path is the same in lower case."""

    name: str
    verb: Verb
    parameters: Mapping[str, Kind]
    function: str


def get(name: str, **parameters: Kind) -> Callable[[F], F]:
    """Declare what a method of a device answers to GET."""
    return _declare(name, "GET", parameters)


def put(name: str, **parameters: Kind) -> Callable[[F], F]:
    """Declare what a method of a device does at PUT; it is called with the client and the parameters in this order."""
    return _declare(name, "PUT", parameters)


def _declare(name: str, verb: Verb, parameters: Mapping[str, Kind]) -> Callable[[F], F]:
    def declare(function: F) -> F:
        function.__dict__["alpaca"] = Member(name, verb, parameters, function.__name__)
        return function

    return declare


class Form:
    """The parameters of a request: names without case in a query, exactly as they are in a body."""

    def __init__(self, text: str, *, any_case: bool) -> None:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict")
        except (ValueError, UnicodeError) as error:
            raise Refusal(400, f"the parameters cannot be read: {error}") from error
        self._any_case = any_case
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = self._key(name)
            if key in self._values:
                raise Refusal(400, f"the parameter {name[:50]!r} is there twice")
            self._values[key] = value

    def _key(self, name: str) -> str:
        return name.lower() if self._any_case else name

    def number(self, name: str) -> int:
        """A client's own number, 0 where it gives none. Raises `Refusal`: 400."""
        text = self._values.get(self._key(name), "").strip()
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= LARGEST_ID):
            raise Refusal(400, f"{name} is a whole number from 0 to {LARGEST_ID}")
        return int(text)

    def values(self, parameters: Mapping[str, Kind]) -> list[Value]:
        """The parameters of a member, in its order. Raises `Refusal`: 400 for one that lacks or cannot be read."""
        found: list[Value] = []
        for name, kind in parameters.items():
            text = self._values.get(self._key(name))
            if text is None:
                raise Refusal(400, f"the parameter {name} lacks")
            value = _READERS[kind](text)
            if value is None:
                raise Refusal(400, f"the parameter {name} is no {_WORDS[kind]}")
            found.append(value)
        return found


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip().lower())


def _int(text: str) -> int | None:
    if _INT.fullmatch(text.strip()) is None:
        return None
    value = int(text)
    return value if -_LARGEST_INT - 1 <= value <= _LARGEST_INT else None


def _float(text: str) -> float | None:
    if _FLOAT.fullmatch(text.strip()) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _text(text: str) -> str | None:
    return text if len(text) <= LONGEST_TEXT else None


_READERS: Mapping[Kind, Callable[[str], Value | None]] = {bool: _bool, int: _int, float: _float, str: _text}
_WORDS: Mapping[Kind, str] = {
    bool: "True or False",
    int: "whole number of 32 bits",
    float: "number",
    str: f"text of at most {LONGEST_TEXT} characters",
}
