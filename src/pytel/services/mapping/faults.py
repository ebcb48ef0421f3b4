"""What is wrong with a table, before anything is called: a sentence for each fault, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from pytel.base.errors import InvalidParams
from pytel.module.faults import Found, KeyPath, nearest
from pytel.services.mapping.source import (
    TIMES,
    Source,
    Table,
    annotation_at,
    bare,
    choices_of,
    element_of,
    fields_of,
    is_time,
    line_of,
    shown,
)


def faults_to_ours(table: Table, kind: type, path: KeyPath) -> Iterator[Found]:
    """Tell what is wrong with a table that makes a struct of ours."""
    for name, source in table.items():
        annotation = annotation_at(kind, name)
        if name == "." or annotation is None:
            yield (*path, name), f"{name!r} is nothing that pytel wants here; {_meant(kind, name)}"
            continue
        yield from _faults_of(source, annotation, (*path, name), name)
        if source.each is not None and (element := element_of(annotation)) is not None:
            yield from faults_to_ours(source.each, element, (*path, name, "each"))
    for name in _lacking(table, kind):
        yield path, f"{name!r} is missing: say where it comes from, such as {name}: {{from: …}}"


def faults_to_theirs(table: Table, kind: Any, path: KeyPath) -> Iterator[Found]:
    """Tell what is wrong with a table that makes an object of theirs from a type of ours."""
    for name, source in table.items():
        yield from faults_of_sent(source, kind, (*path, name), name)


def faults_of_sent(source: Source, kind: Any, path: KeyPath, name: str) -> Iterator[Found]:
    """Tell what is wrong with one value of theirs that is made from ours."""
    annotation: Any = Any
    if source.source is not None:
        annotation = annotation_at(kind, source.source)
        if annotation is None:
            yield (*path, "from"), f"pytel has no {source.source!r} to give here; {_meant(kind, source.source)}"
            return
    yield from _faults_of(source, annotation, path, name)
    if source.each is not None and (element := element_of(annotation)) is not None:
        yield from faults_to_theirs(source.each, element, (*path, "each"))


def _faults_of(source: Source, annotation: Any, path: KeyPath, name: str) -> Iterator[Found]:
    if (source.source is None) == (source.value is None):
        yield path, f"{name} needs either 'from' or 'value'"
        return
    if source.source == "":
        yield (*path, "from"), f"{name} comes from an empty path; write '.' for the whole"
    if source.is_constant and isinstance(source.value, (dict, list)):
        yield (*path, "value"), f"the value of {name} must be text, a number, true or false"
    if source.is_constant and (words := choices_of(annotation)) is not None and source.value not in words:
        yield (*path, "value"), f"{name} is never {shown(source.value)}; {nearest(str(source.value), map(str, words))}"
    if source.factor == 0.0 or not math.isfinite(source.factor) or not math.isfinite(source.offset):
        yield (*path, "factor"), f"the factor of {name} must be another number than 0"
        return
    yield from _unit_faults(source, annotation, path, name)
    yield from _word_faults(source, annotation, path, name)
    if source.each is not None and element_of(annotation) is None and annotation is not Any:
        yield (*path, "each"), f"{name} is no list, so there is nothing for 'each'"
    if source.each is None and not source.is_constant and _holds_structs(annotation):
        yield path, f"{name} is a list of sections: say under 'each' how one of them is made"


def _unit_faults(source: Source, annotation: Any, path: KeyPath, name: str) -> Iterator[Found]:
    if is_time(annotation):
        if source.unit is not None and source.unit not in TIMES:
            yield (*path, "unit"), f"{name} is a time and has no unit {source.unit!r}; known are {', '.join(TIMES)}"
        return
    if source.is_plain:
        return
    if bare(annotation) not in (float, int):
        yield path, f"{name} is no number: it has neither unit nor factor nor offset"
        return
    try:
        line_of(source, annotation)
    except InvalidParams as error:
        yield (*path, "unit"), f"{name}: {error.message}"


def _word_faults(source: Source, annotation: Any, path: KeyPath, name: str) -> Iterator[Found]:
    if source.words and not source.is_plain:
        yield (*path, "words"), f"{name} has words, so it has neither unit nor factor nor offset"
    ours = choices_of(annotation)
    for theirs, word in source.words.items():
        if isinstance(word, (dict, list)) or word is None:
            yield (*path, "words", theirs), f"{theirs!r} must stand for a word, a number, true or false"
        elif ours is not None and not any(word == known and type(word) is type(known) for known in ours):
            yield (
                (*path, "words", theirs),
                f"pytel has no word {shown(word)} for {name}; {nearest(str(word), map(str, ours))}",
            )


def _holds_structs(annotation: Any) -> bool:
    element = bare(element_of(annotation)) if element_of(annotation) is not None else None
    return isinstance(element, type) and issubclass(element, msgspec.Struct)


def _lacking(table: Table, kind: type) -> Iterator[str]:
    """The required fields of a struct that a table does not make, with those inside sections that it begins."""
    for name, field in fields_of(kind).items():
        inner = bare(field.type)
        below = {key.partition(".")[2]: source for key, source in table.items() if key.startswith(f"{name}.")}
        if name in table:
            continue
        if below and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from (f"{name}.{lacking}" for lacking in _lacking(below, inner))
        elif field.required:
            yield name


def _meant(kind: Any, name: str) -> str:
    inner = bare(kind)
    head, _, rest = name.partition(".")
    if not (isinstance(inner, type) and issubclass(inner, msgspec.Struct)):
        return "there is nothing inside; '.' is the whole"
    fields = fields_of(inner)
    if rest and head in fields:
        return _meant(fields[head].type, rest)
    return nearest(head, fields)
