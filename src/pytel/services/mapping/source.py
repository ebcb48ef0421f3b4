"""One entry of a table: where a value comes from, and how it is turned into what is wanted."""

from __future__ import annotations

import math
import re
import types
import typing
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union

import msgspec

from pytel.base.errors import InvalidParams
from pytel.base.units import unit_of
from pytel.module.secrets import Secret
from pytel.services.mapping.units import TIMES, Line, line_between, time_for, time_of

_LONGEST_SHOWN = 60
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,14}")
_TURN = 360.0


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """`{from: position.ra_hours, unit: hourangle}`: a value, by its path in what was sent or answered.

    `unit` is that of the other system, `words` its words for ours (`true`, `false` and whole numbers are sent as such);
    a number of theirs is first multiplied by `factor` and increased by `offset`. `value` is a constant instead. What is
    not there is a fault unless it is `optional`. Of a list each element is made by the table `each`. A path is names
    and positions with dots between; `.` is the whole.
    """

    source: str | None = None
    value: Any = None
    unit: str | None = None
    factor: float = 1.0
    offset: float = 0.0
    words: dict[str, Any] = {}
    optional: bool = False
    each: dict[str, Source] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether nothing is taken from anywhere."""
        return self.source is None

    @property
    def is_plain(self) -> bool:
        """Whether numbers are left as they are."""
        return self.unit is None and self.factor == 1.0 and self.offset == 0.0


Table = dict[str, Source]
"""What is made, by its name (for our side a path), and where it comes from."""


def bare(annotation: Any) -> Any:
    """A type without its units and without None."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif typing.get_origin(annotation) in (Union, types.UnionType):
            rest = [item for item in typing.get_args(annotation) if item is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def accepts_none(annotation: Any) -> bool:
    """Whether None is a value of a type."""
    if typing.get_origin(annotation) is Annotated:
        return accepts_none(typing.get_args(annotation)[0])
    return annotation is None or annotation is Any or type(None) in typing.get_args(annotation)


def element_of(annotation: Any) -> Any | None:
    """The type of the elements of a list, None for what is no list."""
    kind = bare(annotation)
    if typing.get_origin(kind) in (list, tuple):
        return typing.get_args(kind)[0]
    return None


@cache
def fields_of(kind: type) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of a struct by name."""
    return {field.name: field for field in msgspec.structs.fields(kind)}


def annotation_at(kind: Any, path: str) -> Any | None:
    """The type of what stands at a path in our structs; None where there is nothing."""
    if path == ".":
        return kind
    for name in path.split("."):
        inner = bare(kind)
        if inner is Any:
            return Any
        if not (isinstance(inner, type) and issubclass(inner, msgspec.Struct)) or inner is Secret:
            return None
        field = fields_of(inner).get(name)
        if field is None:
            return None
        kind = field.type
    return kind


def line_of(source: Source, annotation: Any) -> Line:
    """How numbers are converted. Raises `InvalidParams` for units that do not fit."""
    line = Line()
    if source.unit is not None:
        own = unit_of(annotation)
        if own is None:
            raise InvalidParams("what it stands for has no unit; take 'unit' away, or write 'factor' and 'offset'")
        line = line_between(source.unit, own)
    return Line(line.factor * source.factor, line.factor * source.offset + line.offset)


def choices_of(annotation: Any) -> list[Any] | None:
    """The words that a type of ours has; None for what takes others too."""
    kind = bare(annotation)
    if kind is bool:
        return [True, False]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return None


def to_ours(source: Source, value: Any, annotation: Any, name: str) -> Any:
    """Turn a value of theirs into a builtin of ours. Raises `InvalidParams`."""
    if source.words:
        return _our_word(source, value, name)
    kind = bare(annotation)
    if kind is datetime:
        return time_of(value, source.unit or "iso").isoformat()
    if kind is not float and source.is_plain:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e300:
        raise InvalidParams(f"{name} is {shown(value)}, but must be a number")
    number = line_of(source, annotation).ours(value)
    if kind is int and abs(number - round(number)) < 1e-9:
        return round(number)
    return _around(number, annotation)


def _around(number: float, annotation: Any) -> float:
    """Bring an angle that other systems count from -180, or up to 360, into the circle of ours."""
    if _is_circle(annotation) and -_TURN / 2 <= number <= _TURN:
        number %= _TURN
        return 0.0 if number == _TURN else number
    return number


def _is_circle(annotation: Any) -> bool:
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and (meta.ge, meta.lt) == (0, 360):
            return True
    return any(_is_circle(argument) for argument in typing.get_args(annotation))


def to_theirs(source: Source, value: Any, annotation: Any, name: str) -> Any:
    """Turn a builtin of ours into a value of theirs. Raises `InvalidParams`."""
    if source.words:
        return _their_word(source, value, name)
    if bare(annotation) is datetime:
        return time_for(time_of(value, "iso"), source.unit or "iso")
    if source.is_plain:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidParams(f"{name} is {shown(value)}, but must be a number")
    line = line_of(source, annotation)
    try:
        number = line.theirs(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidParams(f"{name} is beyond all numbers")
    return number


def _our_word(source: Source, value: Any, name: str) -> Any:
    key = _word(value)
    if key is None or key not in source.words:
        raise InvalidParams(f"{name} is {shown(value)}, for which the mapping has no word")
    return source.words[key]


def _their_word(source: Source, value: Any, name: str) -> str | int | bool:
    for theirs, ours in source.words.items():
        if ours == value and isinstance(ours, bool) == isinstance(value, bool):
            return _meant_by(theirs)
    raise InvalidParams(f"{name} is {shown(value)}, for which the mapping has no word")


def _meant_by(key: str) -> str | int | bool:
    """What a key of YAML, which is always text, stands for in JSON."""
    if key in ("true", "false"):
        return key == "true"
    return int(key) if _WHOLE.fullmatch(key) else key


def _word(value: Any) -> str | None:
    """How a word, number or truth value is written as a key of YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else None


def shown(value: Any) -> str:
    """A value in a sentence, however long it is."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = ascii(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def is_time(annotation: Any) -> bool:
    """Whether a type is a time, whose unit is one of `TIMES`."""
    return bare(annotation) is datetime


__all__ = [
    "TIMES",
    "Source",
    "Table",
    "accepts_none",
    "annotation_at",
    "bare",
    "choices_of",
    "element_of",
    "fields_of",
    "is_time",
    "line_of",
    "shown",
    "to_ours",
    "to_theirs",
]
