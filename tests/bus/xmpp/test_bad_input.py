"""What foreign clients get wrong: each is told, with a typed fault, and the module goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.cast import EchoModule
from bus.harness import call
from bus.xmpp.foreign import Foreigner, foreigner, json_content, outcome
from bus.xmpp_harness import XmppHarness
from pytel.base.threads import in_thread
from pytel.bus.contract import Bus, Role
from pytel.bus.xmpp.bus import XmppBus
from pytel.servers.setup import MAX_STANZA
from xmpp_client import until
from xmpp_kit import KINDS, fresh_name, server_account

pytestmark = pytest.mark.slow
GOOD = {"jsonrpc": "2.0", "id": 1, "method": "say", "params": {"word": "hello"}}


def changed(**members: Any) -> str:
    return json.dumps({name: value for name, value in {**GOOD, **members}.items() if value is not ...})


AS_JSON = {
    "": "ParseError",
    " ": "ParseError",
    "{": "ParseError",
    "hello": "ParseError",
    "{'a': 1}": "ParseError",
    '{"a":NaN}': "ParseError",
    "[" * 100_000: "ParseError",
    '{"a":' * 15_000: "ParseError",
    '"\\ud800"': "ParseError",
    changed(params=...)[:-1] + ',"params":{"word":"a","times":1e99999}}': "ParseError",
    "null": "InvalidRequest",
    "1": "InvalidRequest",
    "[]": "InvalidRequest",
    json.dumps([GOOD, GOOD]): "InvalidRequest",
    changed(jsonrpc="1.0"): "InvalidRequest",
    changed(jsonrpc=2.0): "InvalidRequest",
    changed(jsonrpc=...): "InvalidRequest",
    changed(method=...): "InvalidRequest",
    changed(method=None): "InvalidRequest",
    changed(method=""): "InvalidRequest",
    changed(method=["say"]): "InvalidRequest",
    changed(params="hello"): "InvalidRequest",
    changed(params=None): "InvalidRequest",
    changed(id={}): "InvalidRequest",
    changed(id=True): "InvalidRequest",
    changed(pytel=1): "InvalidRequest",
    changed(pytel={"expires": "soon"}): "InvalidRequest",
    changed(pytel={"origin": {"name": "me", "role": "god"}}): "InvalidRequest",
    changed(pytel={"expires": 1.0}): "Expired",
    changed(method="shout"): "MethodNotFound",
    changed(method="__init__"): "MethodNotFound",
    changed(method="on_start"): "MethodNotFound",
    changed(method="say" * 5000): "MethodNotFound",
    changed(params={}): "InvalidParams",
    changed(params=[]): "InvalidParams",
    changed(params=[1]): "InvalidParams",
    changed(params=["a", 1, 2]): "InvalidParams",
    changed(params={"word": "a", "volume": 11}): "InvalidParams",
    changed(params={"word": "a", "times": "many"}): "InvalidParams",
    changed(params={"word": "a", "times": 1.5}): "InvalidParams",
    changed(params={"word": 10**30}): "InvalidParams",
    changed(params={"word": {"deep": []}}): "InvalidParams",
    changed(params=...)[:-1] + ',"params":{"word":' + "[" * 900 + "]" * 900 + "}}": "InvalidParams",
    changed(params={"word": "a" * 60_000, "times": 1000}): "LimitExceeded",
    changed(): "result",
    changed(id=...): "result",
    changed(id=None): "result",
    changed(id=1e300): "result",
    changed(unknown={"member": 1}): "result",
}


def query(content: str) -> str:
    return f"<query xmlns='jabber:iq:rpc'>{content}</query>"


def method_call(params: str, name: str = "<methodName>say</methodName>") -> str:
    return query(f"<methodCall>{name}{params}</methodCall>")


def typed(value: str) -> str:
    return method_call(f"<params><param><value>{value}</value></param></params>")


AS_XML = {
    query(""): "fault",
    query("<methodResponse/>"): "fault",
    query("<methodCall/>"): "fault",
    query("<methodCall/><methodCall/>"): "fault",
    query("hello"): "fault",
    method_call("", ""): "fault",
    method_call("", "<methodName/>"): "fault",
    method_call("", "<methodName><b>say</b></methodName>"): "fault",
    method_call("", "<methodName>shout</methodName>"): "fault",
    method_call(""): "fault",
    method_call("<params/>"): "fault",
    method_call("<params><value>hello</value></params>"): "fault",
    method_call("<params><param/></params>"): "fault",
    method_call("<param><value><string>hello</string></value></param>"): "fault",
    typed("<ex:i64 xmlns:ex='urn:ex'>1</ex:i64>"): "fault",
    typed("<quaternion>1</quaternion>"): "fault",
    typed("<int>many</int>"): "fault",
    typed(f"<int>{'9' * 5000}</int>"): "fault",
    typed("<double>nan</double>"): "fault",
    typed("<boolean>2</boolean>"): "fault",
    typed("<base64>!</base64>"): "fault",
    typed("<dateTime.iso8601>yesterday</dateTime.iso8601>"): "fault",
    typed("<struct><member><value/></member></struct>"): "fault",
    typed("<struct><name>a</name></struct>"): "fault",
    typed("<array><value/></array>"): "fault",
    typed("<string>a</string><string>b</string>"): "fault",
    typed(
        "<array><data>" + "<value><array><data>" * 100 + "</data></array></value>" * 100 + "</data></array>"
    ): "fault",
    typed("<string>hello</string>"): "result",
    typed("hello"): "result",
}


class Stage:
    """An echo, a module that calls it, and a foreign client."""

    def __init__(self, site: XmppHarness, caller: Bus, foreign: Foreigner) -> None:
        self.site, self.caller, self.foreign = site, caller, foreign
        assert site._server is not None
        self.echo = f"echo@{site._server.domain}/pytel"

    async def is_well(self) -> None:
        """The module answers, and no stream was lost."""
        assert await call(self.caller, "echo", "say", {"word": "well"}) == "well"
        assert all(bus.is_up for bus in self.site.opened)


@asynccontextmanager
async def staged(kind: Any, directory: Path) -> AsyncIterator[Stage]:
    site = XmppHarness(directory, kind, "json")
    await site.prepare()
    try:
        await site.start(EchoModule, "echo")
        caller, name = await site.member("caller"), fresh_name("foreign")
        server = await site.server()
        site.access.allow(f"{name}@{server.domain}", Role.MODULE, False)
        site._passwords[name] = password = await in_thread(server_account, server, name)
        async with foreigner(server, name, password, "pytel") as one:
            yield Stage(site, caller, one)
    finally:
        await site.close()


@pytest.fixture(params=KINDS)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(request.param, tmp_path) as one:
        yield one


async def answers(stage: Stage, contents: dict[str, str]) -> dict[str, str]:
    """What each content is answered with."""
    return {content[:200]: outcome(await stage.foreign.ask(stage.echo, content)) for content in contents}


async def test_misshapen_json_is_answered_with_a_typed_fault(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    told = {text[:200]: outcome(await stage.foreign.ask(stage.echo, json_content(text))) for text in AS_JSON}
    assert told == {text[:200]: wanted for text, wanted in AS_JSON.items()}
    await stage.is_well()
    assert len(caplog.records) <= 1, caplog.text


async def test_misshapen_xml_rpc_is_answered_with_a_fault(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    assert await answers(stage, AS_XML) == {content[:200]: wanted for content, wanted in AS_XML.items()}
    await stage.is_well()
    assert len(caplog.records) <= 1, caplog.text


async def test_what_is_no_call_is_answered_with_an_error(stage: Stage) -> None:
    foreign = stage.foreign
    nothing = ("", "<unknown xmlns='urn:x'/>", "<json xmlns='urn:other'>{}</json>", "<query xmlns='jabber:iq:other'/>")
    for content in nothing:
        assert outcome(await foreign.ask(stage.echo, content)) in ("service-unavailable", "bad-request")
    for content in (json_content(GOOD), typed("hello")):
        assert outcome(await foreign.ask(stage.echo, content, "get")) == "service-unavailable"
    await stage.is_well()


async def test_messages_and_presences_of_any_kind_are_passed_over(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    to = f"to='{stage.echo}'"
    event = "<event xmlns='http://jabber.org/protocol/pubsub#event'>"
    node = "urn:pytel:event:Happened:1"
    for content in (
        "",
        "<body>hello</body>",
        f"{event}</event>",
        f"{event}<items/></event>",
        f"{event}<items node='{node}'/></event>",
        f"{event}<items node='{node}'><item/></items></event>",
        f"{event}<items node='{node}'><item><json xmlns='urn:xmpp:json:0'/></item></items></event>",
        f"{event}<items node='{node}'><item>{json_content('{')}</item></items></event>",
        f"{event}<items node='{node}'><item>{json_content('[' * 90_000)}</item></items></event>",
        f"{event}<items node='{node}'><item>{json_content({'seq': 10**40})}</item></items></event>",
        f"{event}<items node='urn:pytel:event:Happened:{'9' * 5000}'><item/></items></event>",
        f"{event}<purge node='{node}'/></event>",
        f"{event}<items node='{node}'><retract id='1'/></items></event>",
    ):
        for kind in ("chat", "headline", "normal", "error", "groupchat"):
            stage.foreign.send_raw(f"<message type='{kind}' {to}>{content}</message>")
    module = "<module xmlns='urn:pytel:module:1' boot='b'>"
    for content in (
        f"{module}</module>",
        f"{module}<want/><want since='x'/><want since='nan'>{node}</want><want since='1e999'>x</want></module>",
        "<module xmlns='urn:pytel:module:1'/>",
        f"<c xmlns='http://jabber.org/protocol/caps' ver='x'/>{module}</module>",
    ):
        stage.foreign.send_raw(f"<presence {to}>{content}</presence>")
    answer = await stage.foreign.ask(stage.echo, "<ping xmlns='urn:xmpp:ping'/>", "get")
    assert answer.get("type") == "result"
    await stage.is_well()
    assert len([record for record in caplog.records if record.name.startswith("pytel")]) <= 2, caplog.text


async def test_a_stanza_too_large_costs_its_sender_alone_the_stream(stage: Stage) -> None:
    big = json_content(changed(params={"word": "x" * (3 * MAX_STANZA)}))
    stage.foreign.send_raw(f"<iq type='set' id='big' to='{stage.echo}'>{big}</iq>")
    async with asyncio.timeout(30):
        await stage.foreign.closed.wait()
    await stage.is_well()
    await until(lambda: len(stage.caller.peers()) == 2)
    assert all(isinstance(bus, XmppBus) and bus.wants_link for bus in stage.site.opened)
