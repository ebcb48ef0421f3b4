"""INDI's bytes as elements, and elements as bytes; BLOBs are taken out of the XML as they come.

Source: INDI protocol 1.7, sections 2 to 5. What comes is held to small limits: no document type, no entities, two
levels, bounded sizes and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from pytel.base.errors import ConnectionLost, InvalidParams

MAX_PIECE = 1 << 16
"""Bytes up to the end of a tag, the text before it included."""
MAX_ELEMENT = 1 << 20
"""Bytes of an element with all its members, BLOBs left aside."""
MAX_CHILDREN = 2000
_MAX_DEPTH = 3
_MAX_UNFINISHED = 64
"""Ends of tags within a quoted attribute or a comment; each makes expat begin the tag again."""

Attributes = dict[str, str]


class ProtocolError(ConnectionLost):
    """What came is no INDI; the link it came by is of no use any more."""


class Child(NamedTuple):
    """A member within a vector."""

    tag: str
    attributes: Attributes
    text: str


class Element(NamedTuple):
    """A message: a vector with its members, or one without any."""

    tag: str
    attributes: Attributes
    children: tuple[Child, ...]


class BlobBegins(NamedTuple):
    """The bytes of a BLOB follow as `BlobData`; its vector comes as `Element` when it has ended."""

    vector: Attributes
    attributes: Attributes


class BlobData(NamedTuple):
    """A piece of the BLOB, in base64, cut anywhere: `data[start:stop]`."""

    data: bytes
    start: int
    stop: int


class BlobEnds(NamedTuple):
    """The BLOB is complete."""


Event = Element | BlobBegins | BlobData | BlobEnds


class ElementParser:
    """Makes events of a stream of bytes, however it is cut. Of no use after an error."""

    def __init__(self) -> None:
        self._expat = expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text
        self._expat.CommentHandler = self._nothing
        self._expat.ProcessingInstructionHandler = self._nothing
        self._expat.StartDoctypeDeclHandler = self._refuse_doctype
        self._tail = bytearray()
        self._events: list[Event] = []
        self._depth = -1
        self._size = self._unfinished = 0
        self._in_blob = False
        self._vector: tuple[str, Attributes] = ("", {})
        self._children: list[Child] = []
        self._child: tuple[str, Attributes] = ("", {})
        self._texts: list[str] = []
        self._expat.Parse(b"<indi>", False)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Parse what came; to be iterated to its end before more is fed. Raises `ProtocolError`."""
        start = 0
        while start < len(data):
            if self._in_blob and not self._tail and data[start] != 60:  # "<"
                stop = data.find(b"<", start)
                stop = len(data) if stop < 0 else stop
                yield BlobData(data, start, stop)
            else:
                stop = data.find(b">", start) + 1
                self._tail += data[start:stop] if stop else data[start:]
                if len(self._tail) > MAX_PIECE:
                    raise ProtocolError(f"more than {MAX_PIECE} bytes came without the end of a tag")
                if not stop:
                    return
                yield from self._parse()
            start = stop

    def _parse(self) -> Iterator[Event]:
        piece, self._tail = bytes(self._tail), bytearray()
        self._size += len(piece)
        self._unfinished += 1
        # Some drivers begin each message as if it were a document.
        if self._depth > 0 or not piece.lstrip().startswith(b"<?xml"):
            try:
                self._expat.Parse(_as_utf8(piece), False)
            except expat.ExpatError as error:
                raise ProtocolError(f"what came is not well-formed: {error}") from error
        if self._size > MAX_ELEMENT or self._unfinished > _MAX_UNFINISHED:
            raise ProtocolError(f"an element has no end within {MAX_ELEMENT} bytes")
        if self._events:
            events, self._events = self._events, []
            yield from events

    def _start(self, tag: str, attributes: Attributes) -> None:
        self._unfinished = 0
        self._depth += 1
        if self._depth == 1:
            self._vector, self._children = (tag, attributes), []
        elif self._depth == 2:
            self._child, self._texts = (tag, attributes), []
            if len(self._children) >= MAX_CHILDREN:
                raise ProtocolError(f"a vector has more than {MAX_CHILDREN} members")
            if tag == "oneBLOB":
                self._in_blob = True
                self._events.append(BlobBegins(self._vector[1], attributes))
        elif self._depth >= _MAX_DEPTH:
            raise ProtocolError(f"elements are nested deeper than INDI's: <{tag[:40]}>")

    def _end(self, tag: str) -> None:
        self._unfinished = 0
        if self._depth == 2:
            self._children.append(Child(*self._child, "".join(self._texts).strip()))
            if self._in_blob:
                self._in_blob = False
                self._events.append(BlobEnds())
        elif self._depth == 1:
            self._events.append(Element(*self._vector, tuple(self._children)))
            self._size = 0
        self._depth -= 1
        if self._depth < 0:
            raise ProtocolError("the end of an element came that had not begun")

    def _text(self, text: str) -> None:
        if self._depth == 2:
            self._texts.append(text)
        elif text and not text.isspace():
            raise ProtocolError(f"text came where INDI has none: {text[:40]!r}")

    def _nothing(self, *ignored: Any) -> None:
        self._unfinished = 0

    def _refuse_doctype(self, *ignored: Any) -> None:
        raise ProtocolError("INDI has no document types")


def _as_utf8(piece: bytes) -> bytes:
    """Some drivers write Latin-1 (a degree sign)."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return piece.decode("latin-1").encode()
    return piece


def get_properties(device: str | None = None, name: str | None = None) -> bytes:
    """Ask for definitions: of all devices, of one, of one property."""
    return b"<getProperties version=%b%b/>\n" % (b'"1.7"', _which(device, name))


def enable_blob(device: str, name: str | None, mode: str) -> bytes:
    """Say whether BLOBs are wanted: `Never`, `Also` or `Only`."""
    return b"<enableBLOB%b>%b</enableBLOB>\n" % (_which(device, name), mode.encode())


def ping_reply(uid: str) -> bytes:
    """Answer a server that asks whether all has arrived."""
    return f"<pingReply uid={quoteattr(uid)}/>\n".encode()


def new_vector(kind: str, device: str, name: str, values: Mapping[str, str]) -> bytes:
    """Ask for other values; `kind` is Number, Switch or Text. Raises `InvalidParams` for what XML cannot say."""
    members = "".join(
        f"<one{kind} name={quoteattr(member)}>{escape(_sayable(text))}</one{kind}>" for member, text in values.items()
    )
    which = _which(device, name).decode()
    return f"<new{kind}Vector{which}>{members}</new{kind}Vector>\n".encode()


def _which(device: str | None, name: str | None) -> bytes:
    given = {"device": device, "name": name}
    return "".join(f" {key}={quoteattr(_sayable(text))}" for key, text in given.items() if text is not None).encode()


def _sayable(text: str) -> str:
    if any(ord(letter) < 32 and letter not in "\t\n\r" for letter in text) or not _is_unicode(text):
        raise InvalidParams(f"INDI cannot say {text[:40]!r}: leave control characters out")
    return text


def _is_unicode(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF or letter in "\ufffe\uffff" for letter in text)


__all__ = [
    "BlobBegins",
    "BlobData",
    "BlobEnds",
    "Child",
    "Element",
    "ElementParser",
    "Event",
    "ProtocolError",
    "enable_blob",
    "get_properties",
    "new_vector",
    "ping_reply",
]
