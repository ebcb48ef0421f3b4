"""Whatever comes in: no element takes the stream, the handlers or the process down."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.harness import Endpoint
from pytel.base import clock
from pytel.bus.address import Address
from pytel.bus.contract import Card, Role, Topic
from pytel.bus.xmpp import names
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.caps import OwnCaps
from pytel.bus.xmpp.link import Server

MEMBERS = {"camera@pytel.test": Role.MODULE, "alice@pytel.test": Role.VIEWER, "gateway@pytel.test": Role.MODULE}
SENDERS = [
    *(f"{bare}{tail}" for bare in (*MEMBERS, "me@pytel.test", "mallory@pytel.test") for tail in ("", "/pytel", "/x")),
    "pytel.test",
    "camera@other.example/pytel",
    "@",
    "/",
    "",
]
NODES = [
    "urn:pytel:event:Happened:1",
    "urn:pytel:state:Test:1",
    "urn:pytel:state:Test",
    "urn:pytel:event::",
    "urn:pytel:event:Happened:99999999999999999999999999",
    "urn:pytel:event:Happened:x",
    "urn:pytel:event:Happened:-1",
    "urn:xmpp:avatar:data",
    "",
]
SPACES = [
    names.CLIENT,
    names.JSON,
    names.RPC,
    names.PYTEL,
    names.DISCO_INFO,
    names.CAPS,
    names.PUBSUB,
    names.PUBSUB_EVENT,
    names.PING,
    names.TIME,
    names.STANZA_ERRORS,
    "urn:other",
]
TAGS = [
    *("iq", "message", "presence", "json", "query", "module", "want", "c", "event", "items", "item", "pubsub"),
    *("methodCall", "methodName", "params", "param", "value", "struct", "member", "name", "array", "data", "i4"),
    *("int", "double", "string", "dateTime.iso8601", "base64", "nil", "boolean", "methodResponse", "fault"),
    *("ping", "time", "utc", "tzo", "feature", "identity", "x", "field", "error", "text", "bad-request"),
]
ATTRIBUTES = {
    "from": SENDERS,
    "to": SENDERS,
    "type": ["get", "set", "result", "error", "unavailable", "subscribe", "headline", "chat", "", "odd"],
    "id": ["q-1", "q-2", "q-3", "'\"<&>\n\t", ""],
    "node": [*NODES, "urn:pytel", "urn:pytel#AAAA"],
    "boot": ["boot-1", "b", ""],
    "primary": ["true", "false", "1"],
    "since": ["1.0", "nan", "inf", "-inf", "1e999", "x", ""],
    "ver": ["AAAA", ""],
    "hash": ["sha-1", "md5"],
    "var": ["urn:pytel:interface:Roof:1", "", "'\""],
    "publisher": SENDERS,
    f"{{{names.PYTEL_RPC}}}call": [
        '{"expires":1}',
        "[",
        "{}",
        '{"expires":1e999}',
        '{"origin":{"name":"x","role":"y"}}',
    ],
}
LITERAL = {
    "lists": "[" * 100_000,
    "objects": '{"a":' * 50_000,
    "digits": "1" * 10_000,
    "large": "1e99999",
    "half a character": '"\\ud800"',
    "empty": "[]",
    "batch": json.dumps([{"jsonrpc": "2.0", "method": "say"}] * 3),
    "deep item": '{"seq":1,"boot":"boot-1","time":1,"sent":4e9,"data":' + "[" * 900 + "]" * 900 + "}",
    "deep call": '{"jsonrpc":"2.0","id":1,"method":"say","params":' + "[" * 900 + "]" * 900 + "}",
    "time": "2026-01-02T03:04:05Z",
    "no time": "9999-99-99",
    "name": "camera",
    "node": NODES[0],
}


def literal(name: str) -> str:
    """A text by its name: hypothesis prints what it draws from."""
    return LITERAL[name]


builtins: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | builtins,
        "method": st.just("say") | builtins,
        "params": builtins,
        "id": builtins,
        "pytel": builtins
        | st.fixed_dictionaries({}, optional={"expires": builtins, "origin": builtins, "call_id": builtins}),
    },
)
items = st.fixed_dictionaries(
    {},
    optional={
        "seq": st.integers(-5, 2**70) | builtins,
        "boot": st.sampled_from(["boot-1", "b"]) | builtins,
        "time": builtins,
        "sent": st.floats(allow_nan=False) | builtins,
        "data": builtins,
    },
)
texts = st.one_of(
    st.none(),
    requests.map(json.dumps),
    items.map(json.dumps),
    st.text(max_size=20),
    st.sampled_from(sorted(LITERAL)).map(literal),
)
attributes = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in ATTRIBUTES.items()})


def element(space: str, tag: str, given: dict[str, str], text: str | None, children: list[Element]) -> Element:
    made = Element(f"{{{space}}}{tag}", given)
    made.text = text
    made.extend(children)
    return made


def some(spaces: list[str], tags: list[str], children: Any, text: Any = texts) -> Any:
    return st.builds(element, st.sampled_from(spaces), st.sampled_from(tags), attributes, text, children)


anything = st.recursive(
    some(SPACES, TAGS, st.just([])), lambda inner: some(SPACES, TAGS, st.lists(inner, max_size=3)), max_leaves=8
)
calls = some([names.JSON], ["json"], st.just([])) | some([names.RPC], ["query"], st.lists(anything, max_size=2))
notified = some(
    [names.PUBSUB_EVENT],
    ["event"],
    st.lists(
        some(
            [names.PUBSUB_EVENT],
            ["items"],
            st.lists(
                some([names.PUBSUB_EVENT], ["item"], st.lists(some([names.JSON], ["json"], st.just([])), max_size=2)),
                max_size=3,
            ),
        ),
        max_size=2,
    ),
)
modules = some(
    [names.PYTEL], ["module"], st.lists(some([names.PYTEL], ["want"], st.just([]), st.sampled_from(NODES)), max_size=3)
)
capabilities = some([names.CAPS], ["c"], st.just([]), st.none())
stanzas = some(
    [names.CLIENT],
    ["iq", "message", "presence"],
    st.lists(calls | notified | modules | capabilities | anything, max_size=3),
)


class Wire:
    """Stands for a stream: what is written is kept."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)

    def end_at_once(self) -> None:
        return


class Subject:
    """A bus that believes to be connected."""

    def __init__(self) -> None:
        async def password() -> str:
            return ""

        self.wire = Wire()
        self.endpoint = Endpoint(lambda call: call.params)
        access = Access(MEMBERS, ("gateway@pytel.test",))
        self.bus = XmppBus(Address("me"), Server(domain="pytel.test"), password, access)
        link: Any = self.bus._link
        link._start = "q"  # so that some of what comes answers a query
        link._stream, link.is_up = self.wire, True
        self.bus._card = Card(interfaces=(), boot="me-1")
        self.bus._calls.endpoint = self.endpoint
        self.bus._caps = OwnCaps(())
        self.heard: list[Any] = []
        self.bus.subscribe(None, self.heard.append)
        self._link = link

    def receive(self, stanza: Element) -> None:
        """Take a stanza in, without the shield that the link has around our handlers."""
        is_answer = stanza.tag == f"{{{names.CLIENT}}}iq" and stanza.get("type") in ("result", "error")
        (self._link._receive if is_answer else self.bus._inbound)(stanza)

    async def end(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.bus.drop()
        await self.bus._calls.close()
        await self.bus._inbox.close()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _quiet_log() -> Any:
    logging.getLogger("pytel").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("pytel").setLevel(logging.NOTSET)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(stanzas, min_size=1, max_size=6))
@pytest.mark.slow
def test_no_stanza_raises_and_no_task_dies(came: list[Element]) -> None:
    faults: list[dict[str, Any]] = []

    async def feed() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        subject = Subject()
        for stanza in came:
            subject.receive(stanza)
            await asyncio.sleep(0)
        good = Element(f"{{{names.CLIENT}}}iq", {"type": "set", "id": "last", "from": "camera@pytel.test/pytel"})
        SubElement(good, f"{{{names.JSON}}}json").text = '{"jsonrpc":"2.0","id":7,"method":"say","params":[42]}'
        subject.receive(good)
        async with asyncio.timeout(20):
            while not any("'last'" in text or '"last"' in text for text in subject.wire.written):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await subject.end()
        del subject

    asyncio.run(feed())
    assert faults == [], [tostring(stanza) for stanza in came]


async def test_a_receiver_that_raises_harms_nobody_else() -> None:
    subject = Subject()

    def bad(_: Any) -> None:
        raise ZeroDivisionError("a bug")

    subject.bus.subscribe(None, bad)
    heard: list[Any] = []
    subject.bus.subscribe(None, heard.append)
    subject.bus.watch_peers(lambda peer, present: None)
    subject.bus.publish(Topic("event", "Happened"), 1, clock.time())
    assert [one.data for one in heard] == [1]
    await subject.end()
