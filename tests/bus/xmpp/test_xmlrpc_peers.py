"""XEP-0009 against two writers and readers of others: the standard library's and slixmpp's."""

from __future__ import annotations

import xmlrpc.client
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slixmpp.plugins.xep_0009 import binding
from slixmpp.xmlstream import tostring

from pytel.base.errors import Busy, PytelError, RemoteError
from pytel.bus.xmpp import xmlrpc as ours

PATIENT = settings(deadline=None)
SLIXMPP: Any = binding
"""Its functions have no types."""
LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n")


def values(text: st.SearchStrategy[str], integers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=20,
    )


SHORT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(LETTERS)
TEXT_WITH_RETURNS = st.text(LETTERS | st.just("\r"))
NOT_EMPTY = st.text(LETTERS | st.just("\r"), min_size=1)
"""slixmpp reads an empty text as None."""


def query(body: str) -> ET.Element:
    return ET.fromstring(f"<query xmlns='jabber:iq:rpc'>{body}</query>")


def body_of(document: str) -> str:
    """What the standard library writes, without the head of a document."""
    return document.partition("?>\n")[2] if document.startswith("<?xml") else document


def params_of(text: str) -> ET.Element:
    found = query(text).find(".//{jabber:iq:rpc}params")
    assert found is not None
    return found


@PATIENT
@given(st.lists(values(TEXT_WITH_RETURNS, LONG), max_size=3))
def test_the_standard_library_reads_our_calls(params: list[Any]) -> None:
    assert xmlrpc.client.loads(ours.encode_call("camera.expose", params)) == (tuple(params), "camera.expose")


@PATIENT
@given(st.lists(values(TEXT, SHORT), max_size=3))
def test_we_read_calls_of_the_standard_library(params: list[Any]) -> None:
    written = body_of(xmlrpc.client.dumps(tuple(params), "camera.expose", allow_none=True))
    assert ours.decode_call(query(written)) == ("camera.expose", params)


@PATIENT
@given(values(TEXT_WITH_RETURNS, LONG))
def test_the_standard_library_reads_our_results(value: Any) -> None:
    assert xmlrpc.client.loads(ours.encode_result(value))[0] == (value,)


@PATIENT
@given(values(TEXT, SHORT))
def test_we_read_results_of_the_standard_library(value: Any) -> None:
    written = body_of(xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True))
    assert ours.decode_response(query(written)) == value


def test_we_read_times_and_bytes_of_the_standard_library() -> None:
    time = xmlrpc.client.DateTime(datetime(2026, 6, 15, 21, 30))  # noqa: DTZ001 - it knows no zones
    written = body_of(xmlrpc.client.dumps((time, xmlrpc.client.Binary(bytes(range(100)))), "m"))
    _, params = ours.decode_call(query(written))
    time_text, bytes_text = params
    assert time_text == "2026-06-15T21:30:00.000000Z"
    assert len(bytes_text) == 136


def test_the_standard_library_reads_our_faults() -> None:
    with pytest.raises(xmlrpc.client.Fault) as told:
        xmlrpc.client.loads(ours.encode_fault(Busy("in use & <busy>", by="robot").to_wire()))
    assert (told.value.faultCode, told.value.faultString) == (Busy.code, "Busy: in use & <busy>")


def test_we_read_faults_of_the_standard_library() -> None:
    with pytest.raises(RemoteError, match="too many"):
        ours.decode_response(query(body_of(xmlrpc.client.dumps(xmlrpc.client.Fault(4, "too many")))))


@PATIENT
@given(st.lists(values(NOT_EMPTY, SHORT), max_size=3))
def test_slixmpp_reads_our_calls(params: list[Any]) -> None:
    assert SLIXMPP.xml2py(params_of(ours.encode_call("camera.expose", params))) == params


@PATIENT
@given(st.lists(values(TEXT, LONG), max_size=3))
def test_we_read_calls_of_slixmpp(params: list[Any]) -> None:
    written = f"<methodCall><methodName>m</methodName>{tostring(SLIXMPP.py2xml(*params))}</methodCall>"
    assert ours.decode_call(query(written)) == ("m", params)


@PATIENT
@given(values(NOT_EMPTY, SHORT))
def test_slixmpp_reads_our_results(value: Any) -> None:
    assert SLIXMPP.xml2py(params_of(ours.encode_result(value))) == [value]


@PATIENT
@given(values(TEXT, LONG))
def test_we_read_results_of_slixmpp(value: Any) -> None:
    assert ours.decode_response(query(f"<methodResponse>{tostring(SLIXMPP.py2xml(value))}</methodResponse>")) == value


def test_we_read_times_and_bytes_of_slixmpp() -> None:
    written = tostring(SLIXMPP.py2xml(SLIXMPP.rpctime("20260615T21:30:00"), SLIXMPP.rpcbase64(b"AAECAw==")))
    _, params = ours.decode_call(query(f"<methodCall><methodName>m</methodName>{written}</methodCall>"))
    assert params == ["2026-06-15T21:30:00.000000Z", "AAECAw=="]


def test_slixmpp_reads_our_faults() -> None:
    fault = query(ours.encode_fault(Busy("in use", by="robot").to_wire())).find(".//{jabber:iq:rpc}fault")
    assert SLIXMPP.xml2fault(fault) == {"code": Busy.code, "string": "Busy: in use"}


@PATIENT
@given(SHORT, TEXT)
def test_we_read_faults_of_slixmpp(code: int, text: str) -> None:
    written = tostring(SLIXMPP.fault2xml({"code": code, "string": text}), xmlns="")
    with pytest.raises(PytelError) as told:
        ours.decode_response(query(f"<methodResponse>{written}</methodResponse>"))
    assert told.value.message in (text, type(told.value).__name__)
