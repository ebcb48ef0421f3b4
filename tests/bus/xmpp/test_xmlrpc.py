"""XEP-0009 by itself, as it leaves and as it may arrive."""

from __future__ import annotations

import contextlib
import math
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import (
    Busy,
    InternalError,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    PytelError,
    RemoteError,
    WireError,
)
from pytel.bus.xmpp import xmlrpc
from pytel.bus.xmpp.xmlrpc_misfit import MAX_DEPTH, MAX_VALUES

CARRIABLE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32))) + "\ufffe\uffff")
    | st.sampled_from("\t\n\r")
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | CARRIABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CARRIABLE, inner, max_size=4),
    max_leaves=20,
)
PATIENT = settings(deadline=None)
LISTING = """
<iq type='set' from='checkov@enterprise.com/rpc' to='warpdrive@enterprise.com/rpc' id='rpc1'>
  <query xmlns='jabber:iq:rpc'>
    <methodCall>
      <methodName>warpTo</methodName>
      <params>
        <param>
          <value>
            <string>Earth</string>
          </value>
        </param>
      </params>
    </methodCall>
  </query>
</iq>
"""


def query(body: str) -> ET.Element:
    """As it arrives: parsed by a reader of XML."""
    return ET.fromstring(f"<query xmlns='jabber:iq:rpc'>{body}</query>")


def call(value: str) -> Any:
    """The one parameter of a call whose value is written by hand."""
    text = f"<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>"
    return xmlrpc.decode_call(query(text))[1][0]  # type: ignore[index]


def same(one: Any, other: Any) -> bool:
    """Equal in value and type, with the sign of zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other) and (not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other))


@PATIENT
@given(st.lists(VALUES, max_size=4))
def test_parameters_arrive_as_they_were_sent(params: list[Any]) -> None:
    method, arrived = xmlrpc.decode_call(query(xmlrpc.encode_call("camera.expose", params)))
    assert method == "camera.expose"
    assert same(arrived, params)


@PATIENT
@given(st.dictionaries(CARRIABLE, VALUES, max_size=4))
def test_named_parameters_arrive_with_their_names(params: dict[str, Any]) -> None:
    assert same(xmlrpc.decode_call(query(xmlrpc.encode_call("expose", params)))[1], params if params else [])


@PATIENT
@given(VALUES)
def test_results_arrive_as_they_were_sent(value: Any) -> None:
    assert same(xmlrpc.decode_response(query(xmlrpc.encode_result(value))), value)


def test_tuples_are_arrays() -> None:
    assert xmlrpc.decode_response(query(xmlrpc.encode_result((1, (2,))))) == [1, [2]]


def test_the_listing_of_the_paper_is_a_call() -> None:
    assert xmlrpc.decode_call(ET.fromstring(LISTING)[0]) == ("warpTo", ["Earth"])


def test_what_leaves_is_to_the_letter() -> None:
    assert xmlrpc.encode_call("move", [1, 2**31, -0.5, True, None, "<&>\n", [], {"a": ""}]) == (
        "<methodCall><methodName>move</methodName><params>"
        "<param><value><i4>1</i4></value></param>"
        "<param><value><i8>2147483648</i8></value></param>"
        "<param><value><double>-0.5</double></value></param>"
        "<param><value><boolean>1</boolean></value></param>"
        "<param><value><nil/></value></param>"
        "<param><value><string>&lt;&amp;&gt;\n</string></value></param>"
        "<param><value><array><data></data></array></value></param>"
        "<param><value><struct><member><name>a</name><value><string></string></value></member></struct></value></param>"
        "</params></methodCall>"
    )


def test_carriage_returns_survive_servers_that_write_them_as_they_are() -> None:
    sent = ["\r\n", {"a\r": "\r"}]
    written = xmlrpc.encode_call("m", sent).replace("&#13;", "\r")
    assert xmlrpc.decode_call(query(written)) == ("m", sent)
    with pytest.raises(Busy, match=r"^a\r\nb$"):
        xmlrpc.decode_response(query(xmlrpc.encode_fault(Busy("a\r\nb").to_wire()).replace("&#13;", "\r")))


@PATIENT
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_digits_and_a_point(number: float) -> None:
    text = query(xmlrpc.encode_result(number)).findtext(".//{jabber:iq:rpc}double") or ""
    assert text.lstrip("-").replace(".", "", 1).isdigit()
    assert "." in text
    assert float(text) == number


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("<value/>", ""),
        ("<value></value>", ""),
        ("<value>  </value>", "  "),
        ("<value>Earth</value>", "Earth"),
        ("<value><string/></value>", ""),
        ("<value><string> \t\n</string></value>", " \t\n"),
        ("<value>\n <i4>-7</i4>\n</value>", -7),
        ("<value><int>+007</int></value>", 7),
        ("<value><i4>2147483648</i4></value>", 2**31),
        ("<value><i8>-9223372036854775808</i8></value>", -(2**63)),
        ("<value><i8 xmlns='http://ws.apache.org/xmlrpc/namespaces/extensions'>5</i8></value>", 5),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><boolean>0</boolean></value>", False),
        ("<value><boolean>true</boolean></value>", True),
        ("<value><double>3</double></value>", 3.0),
        ("<value><double>-.5</double></value>", -0.5),
        ("<value><double>1e-07</double></value>", 1e-7),
        ("<value><nil/></value>", None),
        ("<value><nil xmlns='http://ws.apache.org/xmlrpc/namespaces/extensions'/></value>", None),
        ("<value><base64>AAECAw==</base64></value>", "AAECAw=="),
        ("<value><base64>\n AAEC\n Aw==\n</base64></value>", "AAECAw=="),
        ("<value><Base64>AAECAw==</Base64></value>", "AAECAw=="),
        ("<value><array><data/></array></value>", []),
        ("<value><array>\n<data>\n<value>a</value>\n</data>\n</array></value>", ["a"]),
        ("<value><struct/></value>", {}),
        ("<value><struct><member><name/><value><i4>1</i4></value></member></struct></value>", {"": 1}),
    ],
)
def test_all_forms_of_a_value_are_read(written: str, value: Any) -> None:
    assert same(call(written), value)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("19980717T14:08:55", "1998-07-17T14:08:55.000000Z"),
        ("1998-07-17T14:08:55", "1998-07-17T14:08:55.000000Z"),
        ("1998-07-17T14:08:55Z", "1998-07-17T14:08:55.000000Z"),
        ("1998-07-17T14:08:55.25Z", "1998-07-17T14:08:55.250000Z"),
        ("1998-07-17T14:08:55.123456789+02:00", "1998-07-17T12:08:55.123456Z"),
        ("19980717T140855Z", "1998-07-17T14:08:55.000000Z"),
        ("20240229T000000-0030", "2024-02-29T00:30:00.000000Z"),
    ],
)
def test_times_arrive_in_the_form_of_the_bus(written: str, time: str) -> None:
    assert call(f"<value><dateTime.iso8601>{written}</dateTime.iso8601></value>") == time


@pytest.mark.parametrize(
    "written",
    [
        "<value><date>2026</date></value>",
        "<value><i4/></value>",
        "<value><i4></i4></value>",
        "<value><i4> 4</i4></value>",
        "<value><i4>4.0</i4></value>",
        "<value><i4>0x10</i4></value>",
        "<value><i4>1_000</i4></value>",
        "<value><i4>٣</i4></value>",
        "<value><i8>9223372036854775808</i8></value>",
        f"<value><i4>{'9' * 10_000}</i4></value>",
        "<value><i4>1<i4>2</i4></i4></value>",
        "<value><i4>1</i4><i4>2</i4></value>",
        "<value>x<i4>1</i4></value>",
        "<value><i4>1</i4>x</value>",
        "<value><i4>1</i4>\u00a0</value>",
        "<value><boolean>2</boolean></value>",
        "<value><boolean/></value>",
        "<value><boolean> 1</boolean></value>",
        "<value><double/></value>",
        "<value><double>nan</double></value>",
        "<value><double>inf</double></value>",
        "<value><double>-Infinity</double></value>",
        "<value><double>1e999</double></value>",
        "<value><double>1_0.0</double></value>",
        "<value><double>.</double></value>",
        "<value><double> 1.0</double></value>",
        f"<value><double>{'1' * 10_000}</double></value>",
        "<value><nil>x</nil></value>",
        "<value><nil><nil/></nil></value>",
        "<value><base64>AAEC!</base64></value>",
        "<value><base64>AAE</base64></value>",
        "<value><base64>ä</base64></value>",
        "<value><dateTime.iso8601/></value>",
        "<value><dateTime.iso8601>19980732T14:08:55</dateTime.iso8601></value>",
        "<value><dateTime.iso8601>1998-0717T14:08:55</dateTime.iso8601></value>",
        "<value><dateTime.iso8601>0001-01-01T00:00:00+10:00</dateTime.iso8601></value>",
        "<value><dateTime.iso8601>19980717T24:08:55</dateTime.iso8601></value>",
        "<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>",
        "<value><array/></value>",
        "<value><array><data/><data/></array></value>",
        "<value><array><value>1</value></array></value>",
        "<value><array><data><i4>1</i4></data></array></value>",
        "<value><array><data>x</data></array></value>",
        "<value><struct>x</struct></value>",
        "<value><struct><name>a</name></struct></value>",
        "<value><struct><member><name>a</name></member></struct></value>",
        "<value><struct><member><value>a</value></member></struct></value>",
        "<value><struct><member><value>a</value><name>a</name></member></struct></value>",
        "<value><struct><member>x<name>a</name><value>1</value></member></struct></value>",
        "<value><struct><member><name>a<b/></name><value>1</value></member></struct></value>",
        "<value><struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct></value>",
        "<value><string>a<b/>c</string></value>",
        "<value><string xmlns:p='urn:pytel:rpc:1' p:text='&quot;park&quot;'>open</string></value>",
        "<value><string xmlns:p='urn:pytel:rpc:1' p:text='park'>park</string></value>",
        "<value><string xmlns:p='urn:pytel:rpc:1' p:text='1'>1</string></value>",
        "<value><i4 xmlns=''>1</i4></value>",
        "<value><i4 xmlns='urn:other'>1</i4></value>",
    ],
)
def test_what_is_no_value_is_refused_with_its_place(written: str) -> None:
    with pytest.raises(InvalidParams, match=r"^m: parameter 1"):
        call(written)
    with pytest.raises(InternalError, match="no answer"):
        xmlrpc.decode_response(query(f"<methodResponse><params><param>{written}</param></params></methodResponse>"))


def test_the_place_of_a_fault_is_told() -> None:
    bad = xmlrpc.encode_call("m", ["a", {"target": [1, 2, {"ra": "x"}]}]).replace("<string>x</string>", "<i4>x</i4>")
    with pytest.raises(InvalidParams, match=r"m: parameter 2\.target\[2\]\.ra is 'x', which is no integer"):
        xmlrpc.decode_call(query(bad))
    with pytest.raises(InvalidParams, match=r"m: parameter 2\.target\[1\] is nan"):
        xmlrpc.encode_call("m", ["a", {"target": [1, math.nan]}])
    with pytest.raises(InvalidParams, match=r"m: parameter\.target is a set"):
        xmlrpc.encode_call("m", {"target": set()})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<methodResponse/>",
        "<methodCall/>",
        "<methodCall>m</methodCall>",
        "<methodCall><methodName/></methodCall>",
        "<methodCall><methodName> m</methodName></methodCall>",
        "<methodCall><methodName>m<b/></methodName></methodCall>",
        "<methodCall><methodName>a b</methodName></methodCall>",
        f"<methodCall><methodName>{'m' * 300}</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><methodName>m</methodName></methodCall>",
        "<methodCall><params/><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params/><params/></methodCall>",
        "<methodCall><methodName>m</methodName><params>x</params></methodCall>",
        "<methodCall><methodName>m</methodName><params><value/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param>1</param></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param><value/><value/></param></params></methodCall>",
        "<methodCall><methodName>m</methodName></methodCall><methodCall><methodName>m</methodName></methodCall>",
        "<methodCall xmlns=''><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params xmlns:p='urn:pytel:rpc:1' p:by='name'><param><value/></param>"
        "</params></methodCall>",
    ],
)
def test_what_is_no_call_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest):
        xmlrpc.decode_call(query(body))


def test_another_element_is_no_query() -> None:
    with pytest.raises(InvalidRequest):
        xmlrpc.decode_call(ET.fromstring("<query/>"))
    with pytest.raises(InternalError):
        xmlrpc.decode_response(ET.fromstring("<query xmlns='jabber:iq:version'/>"))


def test_elements_of_others_beside_the_call_are_passed_over() -> None:
    body = "<x xmlns='urn:other'/><methodCall><methodName>m</methodName></methodCall>"
    assert xmlrpc.decode_call(query(body)) == ("m", [])


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<methodCall><methodName>m</methodName></methodCall>",
        "<methodResponse/>",
        "<methodResponse><params/></methodResponse>",
        "<methodResponse><params><param/></params></methodResponse>",
        "<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>",
        "<methodResponse><params><param><value/></param></params><fault/></methodResponse>",
        "<methodResponse><result/></methodResponse>",
        "<methodResponse><fault/></methodResponse>",
        "<methodResponse><fault><value/></fault></methodResponse>",
        "<methodResponse><fault><value><struct/></value></fault></methodResponse>",
    ],
)
def test_what_is_no_answer_is_told(body: str) -> None:
    with pytest.raises(InternalError, match="no answer"):
        xmlrpc.decode_response(query(body))


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x0b", "\ud800", "\ufffe", "\uffff"])
def test_characters_that_would_cost_the_stream_are_refused_before(character: str) -> None:
    with pytest.raises(InvalidParams, match=r"U\+"):
        xmlrpc.encode_call("m", [f"a{character}"])
    with pytest.raises(InvalidParams, match=r"U\+"):
        xmlrpc.encode_call("m", {f"a{character}": 1})
    with pytest.raises(InternalError, match=r"U\+"):
        xmlrpc.encode_result(f"a{character}")


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, -(2**63) - 1, b"x", {1: 2}, {"a": object()}, {1, 2}])
def test_values_that_cannot_travel_are_refused_before(value: Any) -> None:
    with pytest.raises(InvalidParams, match="parameter 1"):
        xmlrpc.encode_call("m", [value])
    with pytest.raises(InternalError):
        xmlrpc.encode_result(value)


@pytest.mark.parametrize("method", ["", "a b", "a<b", "ü", "m" * 300, "m\n"])
def test_methods_that_cannot_be_named_are_refused_before(method: str) -> None:
    with pytest.raises(InvalidParams, match="no method"):
        xmlrpc.encode_call(method, [])


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_ends() -> None:
    assert xmlrpc.decode_response(query(xmlrpc.encode_result(nested(MAX_DEPTH)))) == nested(MAX_DEPTH)
    endless: list[Any] = []
    endless.append(endless)
    for deep in (nested(MAX_DEPTH + 1), endless):
        with pytest.raises(InvalidParams, match="deeper"):
            xmlrpc.encode_call("m", [deep])
    text = "<value><array><data>" * 5_000 + "</data></array></value>" * 5_000
    with pytest.raises(InvalidParams, match="deeper"):
        call(text)


def test_the_number_of_values_has_an_end() -> None:
    values = "<value/>" * (MAX_VALUES - 1)
    assert len(call(f"<value><array><data>{values}</data></array></value>")) == MAX_VALUES - 1
    with pytest.raises(InvalidRequest, match="image store"):
        call(f"<value><array><data>{values}<value/></data></array></value>")


def test_a_stanza_that_the_server_would_not_take_is_refused_before() -> None:
    xmlrpc.check_size("x" * xmlrpc.MAX_STANZA)
    for large in ("x" * (xmlrpc.MAX_STANZA + 1), "ä" * (xmlrpc.MAX_STANZA // 2 + 1)):
        with pytest.raises(LimitExceeded, match="image store"):
            xmlrpc.check_size(large)


def fault_of(body: str) -> PytelError:
    with pytest.raises(PytelError) as told:
        xmlrpc.decode_response(query(body))
    return told.value


def test_an_error_arrives_with_its_name_and_data() -> None:
    sent = Busy("the camera exposes: <b> & 'c' \"d\"", by="robot", until="2026-06-15T21:30:00Z", deep=[{"ä": None}])
    told = fault_of(xmlrpc.encode_fault(sent.to_wire()))
    assert type(told) is Busy
    assert (told.message, told.data) == (sent.message, sent.data)


@PATIENT
@given(st.text(max_size=50), st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3))
def test_an_error_report_gets_through_whatever_it_says(message: str, data: dict[str, Any]) -> None:
    told = fault_of(xmlrpc.encode_fault({"code": -32005, "message": message, "data": {**data, "name": "Busy"}}))
    assert type(told) is Busy
    assert "\ufffd" in told.message or told.message == (message or "Busy")
    data.pop("name", None)
    assert told.data == data


def test_an_error_report_is_never_too_large() -> None:
    text = xmlrpc.encode_fault(
        {"code": -32603, "message": "x" * 10**6, "data": {"name": "InternalError", "a": "x" * 10**6}}
    )
    xmlrpc.check_size(text)
    assert type(fault_of(text)) is InternalError
    assert "detail" in fault_of(text).data


@pytest.mark.parametrize("value", [math.nan, object(), nested(100_000), {1, 2}])
def test_data_that_cannot_travel_do_not_keep_the_error_back(value: Any) -> None:
    told = fault_of(xmlrpc.encode_fault({"code": -32005, "message": "busy", "data": {"name": "Busy", "a": value}}))
    assert type(told) is Busy
    assert "cannot travel" in told.data["detail"]


def foreign(code: str, text: str, attributes: str = "") -> PytelError:
    members = (
        f"<member><name>faultCode</name><value>{code}</value></member>"
        f"<member><name>faultString</name><value>{text}</value></member>"
    )
    return fault_of(
        f"<methodResponse><fault xmlns:p='urn:pytel:rpc:1' {attributes}><value><struct>{members}</struct></value>"
        "</fault></methodResponse>"
    )


def test_a_fault_of_a_plain_peer_gets_the_class_of_its_code() -> None:
    assert type(foreign("<int>-32005</int>", "in use")) is Busy
    assert type(foreign("<int>-32005</int>", "Busy: in use")) is Busy
    assert foreign("<int>-32005</int>", "Busy: in use").message == "in use"
    assert foreign("<int>4</int>", "Busy: too many parameters").message == "Busy: too many parameters"
    assert type(foreign("<int>4</int>", "too many parameters")) is RemoteError
    assert foreign("<int>4</int>", "").message == "RemoteError"


def test_a_fault_of_an_unknown_name_keeps_it() -> None:
    told = foreign("<i4>-32005</i4>", "Jammed: stuck", "p:name='Jammed' p:data='{}'")
    assert (type(told), told.message, told.data) == (Busy, "stuck", {"remote_name": "Jammed"})


@pytest.mark.parametrize("data", ["", "{", "[1]", "NaN", "[" * 100_000, '{"a": 1e999}'])
def test_an_error_with_misshapen_data_is_still_that_error(data: str) -> None:
    assert type(foreign("<i4>-32005</i4>", "Busy: x", f"p:name='Busy' p:data='{data}'")) is Busy


def test_data_of_a_fault_may_have_any_names() -> None:
    told = foreign("<i4>-32005</i4>", "Busy: x", """p:name='Busy' p:data='{"message": 1, "self": 2, "name": "Z"}'""")
    assert (type(told), told.data) == (Busy, {"message": 1, "self": 2})


@pytest.mark.parametrize("code", ["4", "<double>4.0</double>", "<boolean>1</boolean>", "<nil/>"])
def test_a_fault_without_an_integer_code_is_no_answer(code: str) -> None:
    assert "faultCode" in foreign(code, "x").message


NAMES = (
    *("methodCall", "methodResponse", "methodName", "params", "param", "fault", "query", "other"),
    *("value", "string", "i4", "int", "i8", "boolean", "double", "dateTime.iso8601", "base64", "nil"),
    *("struct", "member", "name", "array", "data"),
)
TAGS = st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([f"{{jabber:iq:rpc}}{name}"] * 9 + [name]))
TEXTS = st.sampled_from([None, None, None, "", " ", "\n", "1", "x", "-1", "1.5", "19980717T14:08:55", "faultCode"])


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> ET.Element:
    element = ET.Element(draw(TAGS))
    element.text, element.tail = draw(TEXTS), draw(TEXTS)
    if depth < 6:
        element.extend(draw(st.lists(elements(depth + 1), max_size=2)))
    return element


def only_known_errors(root: ET.Element) -> None:
    for decode in (xmlrpc.decode_call, xmlrpc.decode_response):
        with contextlib.suppress(PytelError):
            decode(root)


@PATIENT
@given(elements())
def test_no_element_raises_anything_else(element: ET.Element) -> None:
    only_known_errors(element)


@pytest.mark.slow
@settings(PATIENT, max_examples=300)
@given(st.lists(VALUES, max_size=3), st.data())
def test_a_damaged_message_raises_nothing_else(params: list[Any], data: st.DataObject) -> None:
    """Take a good message and damage it here and there."""
    good = data.draw(
        st.sampled_from(
            [
                xmlrpc.encode_call("m", params),
                xmlrpc.encode_result(params),
                xmlrpc.encode_fault(Busy("busy", by="robot").to_wire()),
            ]
        )
    )
    root = query(good)
    for _ in range(data.draw(st.integers(1, 3))):
        victims = list(root.iter())
        victim = victims[data.draw(st.integers(0, len(victims) - 1))]
        match data.draw(st.integers(0, 5)):
            case 0:
                victim.tag = data.draw(TAGS)
            case 1:
                victim.text = data.draw(TEXTS)
            case 2:
                victim.tail = data.draw(TEXTS)
            case 3:
                victim[:] = []
            case 4:
                victim.append(data.draw(elements(4)))
            case _:
                victim[:] = victim[::-1] * 2
    only_known_errors(root)


def test_comments_raise_nothing_else() -> None:
    root = query(xmlrpc.encode_call("m", [[1], {"a": 2}]))
    for element in list(root.iter()):
        element.insert(0, ET.Comment("x"))
        only_known_errors(root)


def test_an_error_on_the_wire_has_exactly_the_two_members_of_the_standard() -> None:
    error = WireError(code=-32005, message="in use", data={"name": "Busy", "by": "robot"})
    struct = query(xmlrpc.encode_fault(error)).find(".//{jabber:iq:rpc}struct")
    assert struct is not None
    assert [(member[0].text, member[1][0].text) for member in struct] == [
        ("faultCode", "-32005"),
        ("faultString", "Busy: in use"),
    ]
