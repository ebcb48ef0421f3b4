"""Carrying out tables: a record of ours from what the other system says, and one of theirs from ours."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pytel.base.errors import InvalidParams
from pytel.services.mapping.source import (
    Source,
    Table,
    accepts_none,
    annotation_at,
    element_of,
    shown,
    to_ours,
    to_theirs,
)

T = TypeVar("T")
MOST_ELEMENTS = 10_000
"""A list with more is refused."""
_NOTHING = object()


def ours_from(table: Table, given: Any, kind: type[T]) -> T:
    """Make a struct of ours. Raises `InvalidParams` for what is missing, no word of the table, or out of range."""
    plain = plain_from(table, given, kind)
    try:
        return msgspec.convert(plain, kind)
    except (msgspec.ValidationError, OverflowError, ValueError) as error:
        raise InvalidParams(f"what came cannot be: {error}") from error


def plain_from(table: Table, given: Any, kind: Any) -> dict[str, Any]:
    """The same as builtins, unchecked for range."""
    made: dict[str, Any] = {}
    for name, source in table.items():
        value = _one_of_ours(name, source, given, annotation_at(kind, name))
        if value is not _NOTHING:
            _put(made, name, value)
    return made


def theirs_from(table: Table, given: Any, kind: Any) -> dict[str, Any]:
    """Make an object of theirs from builtins of ours of a type. Raises `InvalidParams`."""
    made = {name: _one_of_theirs(name, source, given, kind) for name, source in table.items()}
    return {name: value for name, value in made.items() if value is not _NOTHING}


def theirs_in_order(table: list[Source], given: Any, kind: Any) -> list[Any]:
    """The same by position, as some systems want their parameters; what is optional and not there ends the list."""
    made = [_one_of_theirs(f"parameter {index + 1}", source, given, kind) for index, source in enumerate(table)]
    return made[: made.index(_NOTHING)] if _NOTHING in made else made


def _one_of_ours(name: str, source: Source, given: Any, annotation: Any) -> Any:
    if source.source is None:
        return source.value
    value = _at(given, source.source)
    if value is _NOTHING or (value is None and not accepts_none(annotation)):
        if source.optional:
            return _NOTHING
        raise InvalidParams(f"{name} is not there: nothing is said at {source.source!r}")
    if value is None:
        return None
    if source.each is not None:
        element = element_of(annotation)
        return [plain_from(source.each, item, element) for item in _list(value, name)]
    return to_ours(source, value, annotation, name)


def _one_of_theirs(name: str, source: Source, given: Any, kind: Any) -> Any:
    if source.source is None:
        return source.value
    value = _at(given, source.source)
    if value is _NOTHING or value is None:
        return _NOTHING if source.optional or value is _NOTHING else None
    annotation = annotation_at(kind, source.source)
    if source.each is not None:
        element = element_of(annotation)
        return [theirs_from(source.each, item, element) for item in _list(value, name)]
    return to_theirs(source, value, annotation, name)


def _list(value: Any, name: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise InvalidParams(f"{name} is {shown(value)}, but must be a list")
    if len(value) > MOST_ELEMENTS:
        raise InvalidParams(f"{name} has more than {MOST_ELEMENTS} elements")
    return value


def _at(given: Any, path: str) -> Any:
    """What stands at a path of names and positions."""
    if path == ".":
        return given
    for name in path.split("."):
        if isinstance(given, dict) and name in given:
            given = given[name]
        elif isinstance(given, (list, tuple)) and name.isascii() and name.isdigit() and int(name[:9]) < len(given):
            given = given[int(name[:9])]
        else:
            return _NOTHING
    return given


def _put(made: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for name in way:
        made = made.setdefault(name, {})
    made[last] = value
