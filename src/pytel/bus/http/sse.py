"""Server-sent events (WHATWG HTML, section 9.2) as modules write them for each other: id, event, one line of data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from pytel.base.errors import InvalidParams, LimitExceeded

HEARTBEAT = b":\n\n"
MAX_EVENT = 4 << 20


class Event(NamedTuple):
    """One event of a stream; `id` and `data` are empty where it has none."""

    id: str
    name: str
    data: bytes


class Position(NamedTuple):
    """Where a reader of a stream stands: after item `number` of a publisher's start `boot`."""

    boot: str
    number: int

    def __str__(self) -> str:
        return f"{self.boot}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read `boot-number`. Raises `InvalidParams`."""
        boot, _, number = text.rpartition("-")
        if not boot or not (number.isascii() and number.isdigit() and len(number) < 19):
            raise InvalidParams(f"{text[:100]!r} is no id of an event; write the last one you have seen, or a time")
        return cls(boot, int(number))


def since(text: str) -> Position | float:
    """Read where a reader wants to begin: an id, or a time in ISO 8601 (as Unix seconds). Raises `InvalidParams`."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return Position.parse(text)
    if time.tzinfo is None:
        raise InvalidParams(f"{text!r} has no time zone; write Z at its end for UTC")
    return time.timestamp()


def encode(event: Event) -> bytes:
    """Write one event; `data` is one line."""
    head = f"id: {event.id}\nevent: {event.name}\n" if event.id else f"event: {event.name}\n"
    return b"%sdata: %s\n\n" % (head.encode(), event.data)


class Parser:
    """Reads a stream as it arrives, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are complete with this piece. Raises `LimitExceeded` when one is too long."""
        *blocks, self._rest = (self._rest + piece).split(b"\n\n")
        if len(self._rest) > MAX_EVENT:
            raise LimitExceeded(f"an event is longer than {MAX_EVENT} bytes")
        for block in blocks:
            if (event := _event(block)) is not None:
                yield event


def _event(block: bytes) -> Event | None:
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name:
            fields[name] = value.removeprefix(b" ")
    if not fields:
        return None  # a comment, which says that the other side lives
    return Event(
        fields.get(b"id", b"").decode("utf-8", "replace"),
        fields.get(b"event", b"message").decode("utf-8", "replace"),
        fields.get(b"data", b""),
    )
