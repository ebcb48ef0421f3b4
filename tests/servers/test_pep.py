"""Presence and nodes."""

from __future__ import annotations

import functools

from pytel.servers import XmppServer
from xmpp_client import Client, client, until
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
        await sender.publish(EVENT, "1", item_id="a-1")
        await sender.publish(EVENT, "2", item_id="a-2")
        await sender.publish(STATE, "3", item_id="a-3")
        await until(lambda: len(listener.items) == 3)
        assert [item[1:] for item in listener.items] == [
            (EVENT, "a-1", "1"),
            (EVENT, "a-2", "2"),
            (STATE, "a-3", "3"),
        ]
        assert deaf.items == []


def _sees(one: Client, names: set[str]) -> bool:
    return names <= one.online | {str(one.boundjid)}
