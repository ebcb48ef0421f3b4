"""Presence and nodes."""

from __future__ import annotations

import contextlib
import functools
from datetime import UTC, datetime
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from pytel.base.threads import in_thread
from pytel.servers import XmppServer
from xmpp_client import PATIENCE, Client, client, heard, payload, until
from xmpp_kit import accounts, fresh_name

EVENT = "urn:pytel:event:NewImage"
STATE = "urn:pytel:state:Telescope"


async def test_all_see_each_other_and_news_come_to_those_who_want_them(server: XmppServer) -> None:
    camera, robot, other = fresh_name("camera"), fresh_name("robot"), fresh_name("other")
    async with (
        accounts(server, camera, robot, other) as passwords,
        client(server, camera, passwords[camera]) as sender,
        client(server, robot, passwords[robot], (EVENT, STATE)) as listener,
        client(server, other, passwords[other]) as deaf,
    ):
        names = {f"{name}@{server.domain}/test" for name in passwords}
        for one in (sender, listener, deaf):
            await until(functools.partial(_sees, one, names))
        await heard(sender, listener, STATE)
        await sender.publish(EVENT, "1", item_id="a-1")
        await sender.publish(EVENT, "2", item_id="a-2")
        await sender.publish(STATE, "3", item_id="a-3")
        await until(lambda: any(item[2] == "a-3" for item in listener.items))
        assert [item[1:] for item in listener.items if item[2] != "heard"] == [
            (EVENT, "a-1", "1"),
            (EVENT, "a-2", "2"),
            (STATE, "a-3", "3"),
        ]
        assert deaf.items == []


async def test_a_late_joiner_gets_the_last_item(server: XmppServer) -> None:
    camera, late = fresh_name("camera"), fresh_name("late")
    async with accounts(server, camera, late) as passwords, client(server, camera, passwords[camera]) as sender:
        # ejabberd must have met this kind of client before: of an unknown one it asks too late what it wants to hear
        async with client(server, late, passwords[late], (STATE,)) as first:
            await heard(sender, first, STATE)
        for number in range(1, 3):
            await sender.publish(STATE, str(number), item_id=f"a-{number}")
        async with client(server, late, passwords[late], (STATE,)) as listener:
            await until(lambda: listener.items)
            assert {item[1:] for item in listener.items} == {(STATE, "a-2", "2")}


@pytest.mark.parametrize("node", [EVENT, STATE])
async def test_nobody_publishes_on_the_nodes_of_another(server: XmppServer, node: str) -> None:
    camera, intruder = fresh_name("camera"), fresh_name("intruder")
    async with (
        accounts(server, camera, intruder) as passwords,
        client(server, camera, passwords[camera], (node,)) as sender,
        client(server, intruder, passwords[intruder]) as other,
    ):
        victim = sender.boundjid.bare
        with pytest.raises(IqError) as refused:
            await other.publish(node, "before the node is there", to=victim)
        assert refused.value.condition in ("forbidden", "item-not-found", "not-allowed")
        await sender.publish(node, "1", item_id="a-1")
        with pytest.raises(IqError) as refused:
            await other.publish(node, "forged", item_id="a-2", to=victim)
        assert refused.value.condition == "forbidden"
        pubsub: Any = other.plugin["xep_0060"]
        for order in (
            pubsub.retract(victim, node, "a-1"),
            pubsub.delete_node(victim, node),
            pubsub.purge(victim, node),
        ):
            with pytest.raises(IqError):
                await order
        assert await other.items_of(victim, node) == ["a-1"]


async def test_the_owner_cannot_ask_for_another_configuration(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as sender,
        client(server, robot, passwords[robot]) as reader,
    ):
        pubsub: Any = sender.plugin["xep_0060"]
        forms: Any = sender.plugin["xep_0004"]
        form = forms.make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        form.add_field(var="pubsub#access_model", value="whitelist")
        with contextlib.suppress(IqError):
            await pubsub.publish(None, STATE, id="a-1", payload=payload("1"), options=form)
        await sender.publish(STATE, "2", item_id="a-2")
        assert await reader.items_of(sender.boundjid.bare, STATE) == ["a-2"]


async def test_an_account_that_is_made_again_has_no_nodes(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with accounts(server, camera, robot) as passwords, client(server, robot, passwords[robot]) as reader:
        async with client(server, camera, passwords[camera]) as sender:
            await sender.publish(EVENT, "1", item_id="a-1")
            victim = sender.boundjid.bare
            assert await reader.items_of(victim, EVENT) == ["a-1"]
        await in_thread(server.remove_account, camera)
        await in_thread(server.set_password, camera, passwords[camera])
        with pytest.raises(IqError):
            await reader.items_of(victim, EVENT)


async def test_an_account_made_later_is_seen_and_one_removed_is_gone(server: XmppServer) -> None:
    early, late = fresh_name("early"), fresh_name("late")
    async with (
        accounts(server, early) as passwords,
        client(server, early, passwords[early]) as one,
        accounts(server, late) as others,
        client(server, late, others[late]) as other,
    ):
        await until(functools.partial(_sees, one, {str(other.boundjid)}))
        await until(functools.partial(_sees, other, {str(one.boundjid)}))
        await in_thread(server.remove_account, late)
        await until(lambda: str(other.boundjid) not in one.online)


async def test_a_person_cannot_leave_the_site_s_presence(server: XmppServer) -> None:
    camera, person = fresh_name("camera"), fresh_name("person")
    async with (
        accounts(server, camera, person) as passwords,
        client(server, camera, passwords[camera]) as module,
        client(server, person, passwords[person]) as other,
    ):
        await until(functools.partial(_sees, module, {str(other.boundjid)}))
        for kind in ("unsubscribed", "unsubscribe"):
            other.send_presence_subscription(pto=module.boundjid.bare, ptype=kind)
        rosters: Any = other
        with contextlib.suppress(IqError):
            await rosters.del_roster_item(module.boundjid.bare)
        await other.leave()
        await until(lambda: str(other.boundjid) not in module.online)
        async with client(server, person, passwords[person]) as again:
            await until(functools.partial(_sees, module, {str(again.boundjid)}))
            await until(functools.partial(_sees, again, {str(module.boundjid)}))


async def test_the_server_tells_its_time_and_answers_pings(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name) as passwords, client(server, name, passwords[name]) as one:
        time: Any = one.plugin["xep_0202"]
        before = datetime.now(UTC)
        answer = await time.get_entity_time(server.domain, timeout=PATIENCE)
        text = answer["entity_time"].xml.findtext("{urn:xmpp:time}utc")
        assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)
        ping: Any = one.plugin["xep_0199"]
        await ping.send_ping(server.domain, timeout=PATIENCE)


def _sees(one: Client, names: set[str]) -> bool:
    return names <= one.online | {str(one.boundjid)}
