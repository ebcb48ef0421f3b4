"""Header fields of HTTP requests, read with suspicion: ranges, entity tags, codings (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pytel.base.errors import LimitExceeded

_RANGE = re.compile(r"\s*([0-9]{1,18})?\s*-\s*([0-9]{1,18})?\s*")
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')
_CODING = re.compile(r"([A-Za-z0-9!#$&+.^_*-]{1,30})\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?))?")
_LONGEST = 1000


class Span(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class UnsatisfiableRange(LimitExceeded):
    """The range lies beyond the end of the image, or there are several of them: ask for one at a time."""


def parse_range(field: str | None, size: int) -> Span | None:
    """The one range that is asked for; None for the whole, also when the field is malformed (RFC 9110, 14.2).

    Raises `UnsatisfiableRange`, also for several ranges: each of them could be a request for one byte.
    """
    unit, separator, text = (field or "").strip().partition("=")
    if unit.strip().lower() != "bytes" or not separator:
        return None
    if "," in text or len(text) > _LONGEST:
        raise UnsatisfiableRange("ask for one range at a time", size=size)
    match = _RANGE.fullmatch(text)
    if match is None or match.groups() == (None, None):
        return None
    first, last = (None if group is None else int(group) for group in match.groups())
    if first is None:
        first, end = max(0, size - (last or 0)), size
    elif last is not None and last < first:
        return None
    else:
        end = size if last is None else min(size, last + 1)
    if first >= end:
        raise UnsatisfiableRange(f"the image ends at byte {size}", size=size)
    return Span(first, end)


def matches_any(field: str | None, tag: str) -> bool:
    """Whether a list of entity tags names `tag`, by weak comparison (If-None-Match); `*` names all."""
    text = (field or "").strip()[: 100 * _LONGEST]
    return text == "*" or tag in _TAG.findall(text)


def same_strong(field: str | None, tag: str) -> bool:
    """Whether a condition such as If-Range is met, by strong comparison; an absent one is."""
    return field is None or field.strip() == tag


def choose_coding(field: str | None, offered: Iterable[str]) -> str:
    """The first of the `offered` codings that Accept-Encoding takes, else `identity` (RFC 9110, 12.5.3)."""
    qualities: dict[str, float] = {}
    for part in (field or "")[:_LONGEST].split(","):
        if match := _CODING.fullmatch(part.strip()):
            qualities[match[1].lower()] = float(match[2] or 1)
    for coding in offered:
        if qualities.get(coding, qualities.get("*", 0.0)) > 0:
            return coding
    return "identity"
