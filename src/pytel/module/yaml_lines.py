"""YAML files that people write: read with line numbers, checked against a struct with all faults at once.

    document = read_yaml(path.read_text(), "tasks.yaml")
    task, faults = parse_struct(document.value, Task, document.lines)

YAML 1.2 with plain values only: no tags, no merge keys; aliases are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pytel.module.faults import Fault, KeyPath, Lines, Place, nearest, raise_for
from pytel.module.struct_check import check_struct, parse_struct

__all__ = ["Document", "Fault", "Lines", "check_struct", "nearest", "parse_struct", "raise_for", "read_yaml"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 100_000

_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= {sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")}
_WORDS |= {word: float("nan") for word in (".nan", ".NaN", ".NAN")}


class Document(NamedTuple):
    """What a file says: plain builtins, where they stand, and what is wrong with the YAML itself."""

    value: Any
    lines: Lines
    faults: list[Fault]


def read_yaml(text: str, file: str, directory: Path | None = None) -> Document:
    """Read one YAML document; never raises for its content: what is wrong is in `faults`."""
    lines = Lines(file, directory)
    if len(text.encode(errors="replace")) > MAX_BYTES:
        return Document(None, lines, [Fault(file, 1, f"the file is larger than {MAX_BYTES // 1000} kB")])
    reader = _Reader(text, lines)
    try:
        value = reader.document()
    except _Stop as stop:
        return Document(None, lines, [*reader.faults, Fault(file, stop.line, stop.message)])
    except MarkedYAMLError as error:
        return Document(None, lines, [*reader.faults, _syntax_fault(file, error)])
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: an escape that is no character
        sentence = " ".join(str(error).split())
        return Document(None, lines, [*reader.faults, Fault(file, 1, f"this is no YAML: {sentence}")])
    return Document(value, lines, reader.faults)


def _syntax_fault(file: str, error: MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = 1 if mark is None else mark.line + 1
    parts = [" ".join(part.split()) for part in (error.context, error.problem) if part]
    return Fault(file, line, f"this is no YAML: {', '.join(parts)}; look at the indentation, colons and quotes here")


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, event: Event, message: str) -> None:
        super().__init__(message)
        self.line = _place(event).line
        self.message = message


class _Reader:
    """Builds plain values from the parser's events."""

    def __init__(self, text: str, lines: Lines) -> None:
        self._events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))
        self._lines = lines
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self.faults: list[Fault] = []

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(event, "a second document begins here; write only one")
                value = self._value(next(self._events), (), None)
        return value

    def _value(self, event: Event, path: KeyPath, key: Place | None) -> Any:
        place = _place(event)
        self._lines.record(path, key, place)
        self._grow(event, 1)
        if len(path) > MAX_DEPTH:
            raise _Stop(event, f"this is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if (tag := getattr(event, "tag", None)) is not None:
            self.faults.append(Fault(self._lines.file, place.line, f"the tag {tag} is not allowed here"))
        before = self._count
        if isinstance(event, ScalarEvent):
            value: Any = self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            value = self._mapping(path)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(path)
        else:
            raise _Stop(event, "a value is expected here")
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - before + 1)
        return value

    def _scalar(self, event: ScalarEvent) -> Any:
        if _SURROGATE.search(event.value):
            raise _Stop(event, "this holds half of a surrogate pair, which is no character")
        return event.value if event.style else _plain(event.value)

    def _grow(self, event: Event, by: int) -> None:
        self._count += by
        if self._count > MAX_VALUES:
            raise _Stop(event, f"the file has more than {MAX_VALUES} values, counting repeated ones")

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise _Stop(event, f"*{event.anchor} refers to an anchor that was not completed before")
        value, size = self._anchors[event.anchor]
        self._grow(event, size)
        return value

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                raise _Stop(event, "a key must be a plain word")
            key, place = str(event.value), _place(event)
            self._scalar(event)
            value = self._value(next(self._events), (*path, key), place)
            if key in seen:
                message = f"{key!r} stands here a second time; the first is in line {seen[key]}"
                self.faults.append(Fault(self._lines.file, place.line, message))
                continue
            seen[key] = place.line
            mapping[key] = value
        return mapping

    def _sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._value(event, (*path, len(items)), None))
        return items


def _place(event: Event) -> Place:
    mark = event.start_mark
    return Place(1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _plain(text: str) -> Any:
    """Resolve an unquoted scalar as the core schema of YAML 1.2 (section 10.3.2) does."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
