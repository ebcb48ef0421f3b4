"""Who is let in, believed, and heard: strangers with an account, people, and modules that speak for others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.cast import EchoModule
from bus.harness import Ear, Endpoint, event, publish, state, until
from bus.xmpp.foreign import Foreigner, foreigner, outcome, value
from bus.xmpp_harness import XmppHarness
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.config import XmppConfig, XmppSection, filled_in
from pytel.bus.xmpp.names import CAPS, PUBSUB_EVENT, PYTEL, Realm
from pytel.bus.xmpp.people import Household
from xmpp_kit import KINDS, fresh_name, server_account


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "json")
    await harness.prepare()
    yield harness
    await harness.close()


async def stranger(site: XmppHarness, name: str) -> str:
    """An account that no site file names: its password."""
    password = await in_thread(server_account, await site.server(), name)
    site._passwords[name] = password  # so that it is removed again
    return password


def jid(site: XmppHarness, name: str) -> str:
    assert site._server is not None
    return f"{name}@{site._server.domain}/pytel"


def notification(node: str, data: Any, *, seq: int = 1, boot: str = "b", publisher: str = "") -> str:
    told = json.dumps({"seq": seq, "boot": boot, "time": 1.0, "sent": 4e9, "data": data})
    whose = f" publisher='{publisher}'" if publisher else ""
    return (
        f"<event xmlns='{PUBSUB_EVENT}'><items node='{node}'><item id='{boot}-{seq}'{whose}>"
        f"<json xmlns='urn:xmpp:json:0'>{told}</json></item></items></event>"
    )


async def pinged(one: Foreigner, to: str) -> None:
    """Wait until `to` has read all that was sent before."""
    answer = await one.ask(to, "<ping xmlns='urn:xmpp:ping'/>", "get")
    assert answer.get("type") == "result"


@pytest.mark.slow
async def test_a_stranger_s_call_is_refused_and_reaches_nobody(site: XmppHarness) -> None:
    endpoint = Endpoint()
    await site.member("camera", endpoint)
    name = fresh_name("mallory")
    async with foreigner(await site.server(), name, await stranger(site, name)) as mallory:
        camera = jid(site, "camera")
        assert outcome(await mallory.call(camera, "grab")) == "forbidden"
        origin = {"pytel": {"origin": {"name": "camera", "role": "admin"}}}
        assert outcome(await mallory.call(camera, "grab", **origin)) == "forbidden"
        plain = "<query xmlns='jabber:iq:rpc'><methodCall><methodName>grab</methodName></methodCall></query>"
        assert outcome(await mallory.ask(camera, plain)) == "forbidden"
    assert endpoint.calls == []


@pytest.mark.slow
async def test_a_stranger_is_not_heard_whatever_he_publishes(site: XmppHarness) -> None:
    hearer = await site.member("hearer")
    camera = await site.member("camera")
    ear, name = Ear(hearer, None), fresh_name("mallory")
    async with foreigner(await site.server(), name, await stranger(site, name)) as mallory:
        to = jid(site, "hearer")
        for topic in (event(), state()):
            await mallory.publish(
                str(topic), json.dumps({"seq": 1, "boot": "b", "time": 1.0, "sent": 4e9, "data": 666})
            )
            mallory.send_raw(f"<message to='{to}'>{notification(str(topic), 667)}</message>")
            mallory.send_raw(
                f"<message to='{to}' type='headline'>"
                f"{notification(str(topic), 668, boot='boot-1', publisher=jid(site, 'camera'))}</message>"
            )
        await pinged(mallory, to)
    publish(camera, event(), "true")
    await until(lambda: ear.data == ["true"])
    assert [str(one.publisher) for one in ear.heard] == ["camera"]


@pytest.mark.slow
async def test_what_names_another_publisher_is_attributed_to_who_sent_it(site: XmppHarness) -> None:
    hearer, camera = await site.member("hearer"), await site.member("camera")
    ear = Ear(hearer, event())
    publish(camera, event(), "true")
    await until(lambda: ear.data == ["true"])
    name = fresh_name("roof")
    site.access.allow(f"{name}@{(await site.server()).domain}", Role.MODULE, False)
    async with foreigner(await site.server(), name, await stranger(site, name), "pytel") as roof:
        to, claimed = jid(site, "hearer"), jid(site, "camera")
        roof.send_raw(
            f"<message to='{to}' type='headline'>"
            f"{notification(str(event()), 'false', seq=2, boot='boot-1', publisher=claimed)}</message>"
        )
        await pinged(roof, to)
        publish(camera, event(), "true again")
        await until(lambda: len(ear.data) == 2)
    assert ear.data == ["true", "true again"]


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR, Role.ADMIN])
async def test_only_modules_are_peers_and_believed(site: XmppHarness, role: Role | None) -> None:
    hearer = await site.member("hearer")
    ear, name = Ear(hearer, None), fresh_name("person")
    server = await site.server()
    if role is not None:
        site.access.allow(f"{name}@{server.domain}", role, False)
    async with foreigner(server, name, await stranger(site, name), "pytel") as person:
        person.send_raw(f"<presence><module xmlns='{PYTEL}' boot='b' primary='true'/></presence>")
        person.send_raw(
            f"<presence><c xmlns='{CAPS}' hash='sha-1' node='urn:pytel' ver='AAAA'/>"
            f"<module xmlns='{PYTEL}' boot='b'/></presence>"
        )
        person.send_raw(f"<message to='{jid(site, 'hearer')}'>{notification(str(state()), 666)}</message>")
        await person.publish(str(state()), json.dumps({"seq": 1, "boot": "b", "time": 1.0, "sent": 4e9, "data": 666}))
        await pinged(person, jid(site, "hearer"))
        await asyncio.sleep(0.3)
        assert [str(peer.address) for peer in hearer.peers()] == ["hearer"]
    assert ear.data == []


@pytest.mark.slow
async def test_a_person_speaks_for_nobody_else(site: XmppHarness) -> None:
    await site.start(EchoModule, "echo")
    server, name = await site.server(), fresh_name("viewer")
    site.access.allow(f"{name}@{server.domain}", Role.VIEWER, False)
    admin = {"pytel": {"origin": {"name": "root", "role": "admin"}}}
    async with foreigner(server, name, await stranger(site, name)) as person:
        echo = jid(site, "echo")
        assert value(await person.call(echo, "whoami", **admin)) == f"{name} as viewer"
        assert outcome(await person.call(echo, "operate", **admin)) == "NotAllowed"
        assert outcome(await person.call(echo, "between_modules", **admin)) == "NotAllowed"


@pytest.mark.slow
async def test_all_the_sessions_of_a_person_are_sent_what_they_want_until_they_leave(site: XmppHarness) -> None:
    camera = await site.member("camera")
    server, name = await site.server(), fresh_name("viewer")
    site.access.allow(f"{name}@{server.domain}", Role.VIEWER, False)
    password = await stranger(site, name)
    topic = event()
    wants = f"<presence><module xmlns='{PYTEL}' boot=''><want since='1.0'>{topic}</want></module></presence>"

    def heard(one: Foreigner) -> int:
        return sum(stanza.find(f"{{{PUBSUB_EVENT}}}event") is not None for stanza in one.came)

    async with foreigner(server, name, password, "one") as one:
        one.send_raw(wants)
        async with foreigner(server, name, password, "two") as two:
            two.send_raw(wants)
            await asyncio.sleep(0.3)
            publish(camera, topic, 1)
            await until(lambda: heard(one) == 1 and heard(two) == 1)
        await asyncio.sleep(0.3)
        publish(camera, topic, 2)
        await until(lambda: heard(one) == 2)
    await until(lambda: camera._outbox._direct == {})  # type: ignore[attr-defined]


def config(**section: Any) -> XmppConfig:
    return filled_in(
        XmppSection(**section), site="monet", state_dir=Path("s"), directory=Path("d"), modules=("camera", "south.roof")
    )


def test_whoever_is_not_named_is_nobody() -> None:
    access = Access.of(config(people={"alice": "viewer", "root": "admin"}, trusted={"gw@other.example": "operator"}))
    roles = {
        "camera@monet.localhost": Role.MODULE,
        "south.roof@monet.localhost": Role.MODULE,
        "site@monet.localhost": Role.MODULE,
        "alice@monet.localhost": Role.VIEWER,
        "root@monet.localhost": Role.ADMIN,
        "gw@other.example": Role.OPERATOR,
    }
    assert {bare: access.role(bare) for bare in roles} == roles
    nobodies = (
        "mallory@monet.localhost",
        "camera@other.example",
        "alice@other.example",
        "gw@monet.localhost",
        "camera@monet.localhost.evil.example",
        "camera@MONET.localhost",
        "roof@monet.localhost",
        "camera",
        "monet.localhost",
        "",
    )
    for bare in nobodies:
        assert access.role(bare) is None
        assert access.caller(bare, "camera") is None
        assert not access.is_module(bare)
    assert [bare for bare in roles if access.is_module(bare)] == [
        "camera@monet.localhost",
        "south.roof@monet.localhost",
        "site@monet.localhost",
    ]


def test_only_the_proxies_speak_for_others() -> None:
    access = Access.of(config(people={"root": "admin"}))
    proxies = {
        name
        for name in ("camera", "site", "cli", "gateway", "root")
        if (caller := access.caller(f"{name}@monet.localhost", name)) and caller.is_proxy
    }
    assert proxies == {"cli", "gateway"}


@pytest.mark.parametrize(
    "stranger", ["camera@other.example", "camera@monet.localhost.other", "@monet.localhost", "monet.localhost", ""]
)
def test_another_domain_has_no_address_here(stranger: str) -> None:
    realm = Realm("monet.localhost", {"south": "south.example"})
    assert realm.address(stranger) is None
    assert realm.address(f"{stranger}/pytel") is None
    assert realm.address("camera@monet.localhost/pytel") == Address("camera")
    assert realm.address("camera@south.example") == Address("camera", site="south")


def test_a_program_of_a_person_believes_its_own_domain_alone() -> None:
    household = Household("monet.localhost")
    assert household.is_module("camera@monet.localhost")
    for other in ("camera@other.example", "camera@evil@monet.localhost", "monet.localhost", ""):
        assert not household.is_module(other)
    assert household.caller("camera@monet.localhost", "camera") is None
