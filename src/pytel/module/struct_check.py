"""Plain values against a struct: every fault at once, and quantities with units turned into numbers."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, runtime_checkable

import msgspec

from pytel.base.errors import InvalidParams
from pytel.base.units import parse_quantity, unit_of
from pytel.module.faults import Fault, Found, KeyPath, Lines, nearest
from pytel.module.secrets import Secret

T = TypeVar("T")


@runtime_checkable
class SelfChecking(Protocol):
    """A struct that knows of faults that its types cannot tell."""

    def faults(self) -> Iterable[Found]:
        """Tell what is wrong with it."""


def check_struct(value: Any, kind: Any, lines: Lines, path: KeyPath = ()) -> list[Fault]:
    """Tell all that is wrong with a plain value (as `read_yaml` gives it) that should be a `kind`."""
    return parse_struct(value, kind, lines, path)[1]


def parse_struct(value: Any, kind: type[T], lines: Lines, path: KeyPath = ()) -> tuple[T | None, list[Fault]]:
    """Turn a plain value into a `kind`, or tell all that is wrong with it.

    A field whose type carries a unit takes a number in that unit or a quantity such as "30 arcsec"; a time without
    zone is UTC; unknown keys are faults, whatever the struct says. A struct with a method `faults()` is asked for what
    only it can see: its `Found`s are told with their lines.
    """
    check = _Check(lines)
    plain = check.any(value, kind, path)
    if check.faults:
        return None, check.faults
    try:
        made = msgspec.convert(plain, kind)
    except (msgspec.ValidationError, OverflowError, TypeError) as error:
        # What only the struct's own __post_init__ can see, or a struct that msgspec cannot make sense of.
        return None, [lines.fault(path, f"{_called(path)}: {error}")]
    found = list(made.faults()) if isinstance(made, SelfChecking) else []
    return (None if found else made), [lines.fault((*path, *where), message) for where, message in found]


def plain_struct(value: Any, kind: Any, lines: Lines, path: KeyPath = ()) -> tuple[Any, list[Fault]]:
    """As `parse_struct`, but give the plain value with all quantities turned into numbers."""
    check = _Check(lines)
    plain = check.any(value, kind, path)
    return plain, check.faults


def takes_mapping(kind: Any) -> bool:
    """Tell whether some value of a type is a mapping."""
    kind, _ = _unwrap(kind)
    if _is_union(kind):
        return any(takes_mapping(branch) for branch in typing.get_args(kind))
    return kind in (Any, object) or _is_section(kind)


class _Check:
    """Walks a value and its type side by side; returns what msgspec can convert."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.faults: list[Fault] = []

    def any(self, value: Any, kind: Any, path: KeyPath) -> Any:
        kind, metas = _unwrap(kind)
        if kind is Any:
            return value
        if _is_union(kind):
            return self._union(value, kind, metas, path)
        origin = typing.get_origin(kind) or kind
        if kind is Secret:
            return self._secret(value, path)
        if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
            return self._struct(value, origin, path)
        if origin in _SEQUENCES:
            return self._sequence(value, kind, metas, path)
        if origin in _MAPPINGS:
            return self._mapping(value, kind, path)
        return self._leaf(value, kind, metas, path)

    def _fault(self, path: KeyPath, message: str) -> None:
        self.faults.append(self.lines.fault(path, message))

    def _union(self, value: Any, kind: Any, metas: list[msgspec.Meta], path: KeyPath) -> Any:
        branches = list(typing.get_args(kind))
        if type(None) in branches:
            if value is None:
                return None
            branches.remove(type(None))
        tried: list[_Check] = []
        for branch in sorted(branches, key=lambda branch: _is_section(branch) != isinstance(value, Mapping)):
            attempt = _Check(self.lines)
            plain = attempt.any(value, Annotated[(branch, *metas)] if metas else branch, path)
            if not attempt.faults:
                return plain
            tried.append(attempt)
        self.faults += tried[0].faults
        return value

    def _struct(self, value: Any, kind: type[msgspec.Struct], path: KeyPath) -> Any:
        if not isinstance(value, Mapping):
            self._fault(path, f"{_called(path)} must be a section with keys and values, not {_shown(value)}")
            return value
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        plain: dict[str, Any] = {}
        for key, item in value.items():
            if key in fields:
                plain[key] = self.any(item, fields[key].type, (*path, key))
            elif key != kind.__struct_config__.tag_field:
                self._fault((*path, key), f"unknown key {key!r} in {_called(path)}; {nearest(key, fields)}")
        for name, field in fields.items():
            if field.required and name not in value:
                self._fault(path, f"{_called(path)} lacks the key {name!r}")
        return plain

    def _sequence(self, value: Any, kind: Any, metas: list[msgspec.Meta], path: KeyPath) -> Any:
        if not isinstance(value, (list, tuple)):
            self._fault(path, f"{_called(path)} must be a list, not {_shown(value)}")
            return value
        self._length(value, metas, path, "entries")
        arguments = [item for item in typing.get_args(kind) if item is not Ellipsis] or [Any]
        fixed = typing.get_origin(kind) is tuple and Ellipsis not in typing.get_args(kind)
        if fixed and len(value) != len(arguments):
            self._fault(path, f"{_called(path)} must have {len(arguments)} entries, not {len(value)}")
            return value
        kinds = arguments if fixed else arguments[:1] * len(value)
        return [self.any(item, kinds[index], (*path, index)) for index, item in enumerate(value)]

    def _mapping(self, value: Any, kind: Any, path: KeyPath) -> Any:
        if not isinstance(value, Mapping):
            self._fault(path, f"{_called(path)} must be a section with keys and values, not {_shown(value)}")
            return value
        item_kind = (typing.get_args(kind) or (Any, Any))[1]
        return {key: self.any(item, item_kind, (*path, key)) for key, item in value.items()}

    def _secret(self, value: Any, path: KeyPath) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in ("env", "file"):
            # The value itself is not shown: it may be the secret.
            self._fault(path, f"{_called(path)} is a secret: write {{env: NAME}} or {{file: path}}, never the secret")
            return value
        where, name = next(iter(value.items()))
        if not isinstance(name, str) or not name:
            self._fault(path, f"{_called(path)} is a secret: {where!r} must be followed by a name")
            return value
        if where == "file":
            return {"file": str((self.lines.directory or Path()) / Path(name).expanduser())}
        return {"env": name}

    def _leaf(self, value: Any, kind: Any, metas: list[msgspec.Meta], path: KeyPath) -> Any:
        unit = next((found for meta in metas if (found := unit_of(Annotated[float, meta]))), None)
        message, plain = _read_leaf(value, kind, unit)
        if message is None and isinstance(plain, (int, float)) and not isinstance(plain, bool):
            message = _range_fault(value, plain, metas, unit)
        if message is not None:
            self._fault(path, f"{_called(path)} {message}")
        elif isinstance(plain, str):
            self._length(plain, metas, path, "characters")
            self._pattern(plain, metas, path)
        return plain

    def _length(self, value: Sequence[Any], metas: list[msgspec.Meta], path: KeyPath, what: str) -> None:
        for meta in metas:
            if meta.min_length is not None and len(value) < meta.min_length:
                self._fault(path, f"{_called(path)} must have at least {meta.min_length} {what}, not {len(value)}")
            if meta.max_length is not None and len(value) > meta.max_length:
                self._fault(path, f"{_called(path)} must have at most {meta.max_length} {what}, not {len(value)}")

    def _pattern(self, value: str, metas: list[msgspec.Meta], path: KeyPath) -> None:
        for meta in metas:
            if meta.pattern is not None and re.search(meta.pattern, value) is None:
                self._fault(path, f"{_called(path)} is {_shown(value)}, which does not have the form {meta.pattern}")


_SEQUENCES: set[Any] = {list, tuple, set, frozenset, Sequence}
_MAPPINGS: set[Any] = {dict, Mapping}
Read = tuple[str | None, Any]
"""What is wrong with a value (None: nothing), and the value for msgspec."""


def _read_leaf(value: Any, kind: Any, unit: str | None) -> Read:
    if typing.get_origin(kind) is Literal:
        return _choice(value, typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _choice(value, [member.value for member in kind])
    reader = _LEAVES.get(kind)
    if reader is not None:
        return reader(value, unit)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return f"is {_shown(value)}: {error}", value
    return None, value


def _choice(value: Any, choices: Sequence[Any]) -> Read:
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return None, value
    return f"is {_shown(value)}; {nearest(str(value), map(str, choices))}", value


def _read_number(value: Any, unit: str | None) -> Read:
    expected = f"a number in {unit}, such as {_example(unit)}" if unit else "a number"
    if isinstance(value, str) and unit:
        try:
            value = parse_quantity(value, unit)
        except InvalidParams as error:
            return f"is {_shown(value)}: {error.message}", value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"must be {expected}, not {_shown(value)}", value
    if not math.isfinite(value):
        return f"must be {expected}, not {value}", value
    return None, value


def _read_integer(value: Any, unit: str | None) -> Read:
    message, number = _read_number(value, unit)
    if message is None and not float(number).is_integer():
        return f"must be a whole number, not {_shown(value)}", value
    return message, int(number) if message is None else value


def _read_text(value: Any, unit: str | None) -> Read:
    return (None if isinstance(value, str) else f"must be text, not {_shown(value)}; put it in quotes"), value


def _read_switch(value: Any, unit: str | None) -> Read:
    return (None if isinstance(value, bool) else f"must be true or false, not {_shown(value)}"), value


def _read_time(value: Any, unit: str | None) -> Read:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f"must be a time such as 2026-06-15T18:30:00Z, not {_shown(value)}", value
    return None, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


_LEAVES: dict[Any, Callable[[Any, str | None], Read]] = {
    float: _read_number,
    int: _read_integer,
    str: _read_text,
    bool: _read_switch,
    datetime: _read_time,
}


def _range_fault(given: Any, value: float, metas: list[msgspec.Meta], unit: str | None) -> str | None:
    low = max((meta.ge for meta in metas if meta.ge is not None), default=None)
    high = min((meta.le for meta in metas if meta.le is not None), default=None)
    above = max((meta.gt for meta in metas if meta.gt is not None), default=None)
    below = min((meta.lt for meta in metas if meta.lt is not None), default=None)
    inside = (low is None or value >= low) and (high is None or value <= high)
    inside = inside and (above is None or value > above) and (below is None or value < below)
    if inside:
        return None
    if low is not None and high is not None:
        limits = f"between {low:g} and {high:g}"
    else:
        words = (("at least", low), ("at most", high), ("above", above), ("below", below))
        limits = " and ".join(f"{word} {limit:g}" for word, limit in words if limit is not None)
    suffix = f" {unit}" if unit and unit != "1" else ""
    return f"is {_shown(given) if isinstance(given, str) else f'{value:g}'}, but must be {limits}{suffix}"


def _unwrap(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    metas: list[msgspec.Meta] = []
    while typing.get_origin(kind) is Annotated:
        kind, *extra = typing.get_args(kind)
        metas += [item for item in extra if isinstance(item, msgspec.Meta)]
    return kind, metas


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (Union, types.UnionType)


def _is_section(kind: Any) -> bool:
    kind, _ = _unwrap(kind)
    origin = typing.get_origin(kind) or kind
    return origin in _MAPPINGS or (isinstance(origin, type) and issubclass(origin, msgspec.Struct))


def _example(unit: str) -> str:
    return {"m": "'1800 m'", "s": "'2 min'", "deg": "'30 arcmin'"}.get(unit, f"'3 {unit}'")


def _called(path: KeyPath) -> str:
    """Name the place in a sentence: the key, with its section where that helps."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        section = path[-2] if len(path) > 1 else "the list"
        return f"entry {path[-1] + 1} of {section}"
    return str(path[-1])


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
