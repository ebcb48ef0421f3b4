"""The parser: whatever the bytes and however they are cut."""

from __future__ import annotations

import base64
import contextlib
import itertools
import zlib
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import DeviceError, InvalidParams
from pytel.devices.indi.inventory import one_line, parse_number, parse_value
from pytel.devices.indi.properties import Kind
from pytel.devices.indi.protocol import (
    MAX_CHILDREN,
    MAX_ELEMENT,
    MAX_PIECE,
    BlobBegins,
    BlobData,
    BlobEnds,
    Child,
    Element,
    ElementParser,
    ProtocolError,
    enable_blob,
    get_properties,
    new_vector,
)
from pytel.devices.indi.unpacking import Unpacking

Told = Element | BlobBegins | BlobEnds | bytes
LETTERS = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff")
TEXTS = st.text(LETTERS, max_size=20)
NAMES = st.text(st.characters(min_codepoint=65, max_codepoint=90), min_size=1, max_size=8)


def told(chunks: Iterable[bytes]) -> list[Told]:
    """The events, with neighbouring pieces of a BLOB joined."""
    parser, events = ElementParser(), list[Told]()
    for chunk in chunks:
        for event in parser.feed(chunk):
            if not isinstance(event, BlobData):
                events.append(event)
            elif events and isinstance(events[-1], bytes):
                events[-1] += event.data[event.start : event.stop]
            else:
                events.append(event.data[event.start : event.stop])
    return events


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The data in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Some messages, among them BLOBs."""
    text = "\n"
    for _ in range(draw(st.integers(1, 4))):
        members = draw(st.dictionaries(NAMES, TEXTS, max_size=3))
        kind = draw(st.sampled_from(["Text", "BLOB"]))
        if kind == "BLOB":
            members = {name: base64.b64encode(value.encode()).decode() for name, value in members.items()}
        inner = "".join(
            f"<one{kind} name={quoteattr(name)} size='3'>{escape(value)}</one{kind}>" for name, value in members.items()
        )
        text += f"<set{kind}Vector device={quoteattr(draw(TEXTS))} name='x'>{inner}</set{kind}Vector>\n"
        text += draw(st.sampled_from(["", "<!-- a > b -->", "<message device='d' message='a > b'/>", "  \n"]))
    return text.encode()


@given(messages(), st.lists(st.integers(0, 10**6), max_size=12))
def test_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    assert told(cut(data, places)) == told([data]) == told(data[at : at + 1] for at in range(len(data)))


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_garbage_is_an_error_of_ours_or_nothing(chunks: list[bytes]) -> None:
    with contextlib.suppress(ProtocolError):
        told(chunks)


@given(messages(), st.integers(0, 10**6), st.binary(min_size=1, max_size=3), st.lists(st.integers(0, 10**6)))
def test_a_message_with_garbage_in_it(data: bytes, place: int, garbage: bytes, places: list[int]) -> None:
    place %= len(data)
    try:
        whole: list[Told] | None = told([spoilt := data[:place] + garbage + data[place:]])
    except ProtocolError:
        whole = None
    try:
        pieces: list[Told] | None = told(cut(spoilt, places))
    except ProtocolError:
        pieces = None
    assert whole == pieces


def test_a_vector() -> None:
    (element,) = told(
        [b'<setTextVector device="a &amp; b" name="N"><oneText name="x"> 1 &lt; 2\n</oneText></setTextVector>']
    )
    assert element == Element(
        "setTextVector", {"device": "a & b", "name": "N"}, (Child("oneText", {"name": "x"}, "1 < 2"),)
    )


def test_a_declaration_before_each_message_and_latin_1() -> None:
    message = b'<?xml version="1.0"?>\n<message device="d" message="12 \xb0C"/>\n'
    assert [event.attributes["message"] for event in told([message * 2]) if isinstance(event, Element)] == ["12 °C"] * 2


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a/>',
        b"<a>&b;</a>",
        b"<a><b><c/></b></a>",
        b"</indi>",
        b"text <a/>",
        b"<a></b>",
        b"<" + b"a" * (MAX_PIECE + 1),
        b"<a " + b'b=">' * 3 + b'"' * 3,
        b"<!-- " + b"a > " * 1000,
        b"<!-- a > -->" * (MAX_ELEMENT // 12 + 1),
        b"<a>" + b"<b/>" * (MAX_CHILDREN + 1),
        b"<a>" + (b"<b>" + b"c" * 60000 + b"</b>") * 20,
        b"\x00<a/>",
        b"GET / HTTP/1.1\r\n\r\n<html>",
    ],
    ids=range(14),
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        told([data])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        (" -3.5e2\n", -350.0),
        ("12:30", 12.5),
        ("-0:30:36", -0.51),
        ("+10 15 18.0", 10.255),
        ("5;30;0", 5.5),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("1_000", None),
        ("", None),
        ("twelve", None),
        ("1:2:3:4", None),
        ("1:-2", None),
        ("0x10", None),
    ],
)
def test_numbers(text: str, number: float | None) -> None:
    assert parse_number(text) == (number if number is None else pytest.approx(number))


@given(st.text())
def test_values_of_any_text(text: str) -> None:
    for kind in Kind:
        parse_value(text, kind)
    assert "\n" not in one_line(text)


@given(st.text())
def test_what_is_sent_can_be_parsed(text: str) -> None:
    try:
        sent = new_vector("Text", text, text, {text: text})
    except InvalidParams:
        return
    (element,) = told([sent])
    assert isinstance(element, Element)
    assert element.children[0].text == text.replace("\r\n", "\n").replace("\r", "\n").strip()


def test_what_a_client_says() -> None:
    assert get_properties() == b'<getProperties version="1.7"/>\n'
    assert get_properties("A", "B") == b'<getProperties version="1.7" device="A" name="B"/>\n'
    assert enable_blob("A", None, "Also") == b'<enableBLOB device="A">Also</enableBLOB>\n'


def unpacked(chunks: Iterable[bytes], size: object, form: str = ".fits") -> bytes:
    """What comes out of base64."""
    unpacking = Unpacking("Cam", {"size": str(size), "format": form})
    for chunk in chunks:
        unpacking.take(b"<" + chunk + b">", 1, len(chunk) + 1)
    return bytes(unpacking.finish())


@given(st.binary(max_size=300), st.integers(1, 80), st.sampled_from([b"\n", b"\r\n", b" ", b""]), st.data())
def test_base64_however_it_is_cut(content: bytes, width: int, newline: bytes, data: st.DataObject) -> None:
    whole = base64.b64encode(content)
    lines = newline.join(whole[at : at + width] for at in range(0, len(whole), width)) + newline
    places = data.draw(st.lists(st.integers(0, 10**6), max_size=10))
    assert unpacked(cut(lines, places), len(content)) == content
    packed = base64.b64encode(zlib.compress(content))
    assert unpacked(cut(packed, places), len(content), ".fits.z") == content


@given(st.lists(st.binary(max_size=60), max_size=5), st.integers(0, 100))
def test_base64_that_is_none(chunks: list[bytes], size: int) -> None:
    try:
        content = unpacked(chunks, size)
    except DeviceError:
        return
    assert len(content) == size


@pytest.mark.parametrize("size", ["", "-1", "abc", "9" * 30, "٣", 2**31, "1.5"])
def test_sizes_that_are_none(size: object) -> None:
    with pytest.raises(DeviceError, match="is said to have"):
        unpacked([b"AAAA"], size)


def test_a_compressed_blob_that_explodes() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(10**7)))
    with pytest.raises(DeviceError, match="more than the 1000 bytes"):
        unpacked([bomb], 1000, ".fits.z")
    with pytest.raises(DeviceError, match="cannot be decompressed"):
        unpacked([base64.b64encode(b"not zlib at all")], 1000, ".z")
