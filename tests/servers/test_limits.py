"""How much who may send."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slixmpp import JID

from pytel.servers import XmppServer
from pytel.servers.setup import PEOPLE_BURST_SECONDS, PEOPLE_BYTES_PER_SECOND
from xmpp_client import PATIENCE, Client, client, until
from xmpp_kit import accounts, fresh_name

pytestmark = pytest.mark.slow

PERSON = "guest"


async def test_a_module_sends_large_stanzas_without_being_slowed(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as sender,
        client(server, robot, passwords[robot]) as receiver,
    ):
        got = _bodies(receiver)
        for _ in range(5):  # at the rate for people, these would take five minutes
            sender.send_message(receiver.boundjid, "x" * 900_000)
        await until(lambda: len(got) == 5)
        assert {len(body) for body in got} == {900_000}


async def test_a_stanza_too_large_costs_its_sender_the_stream_and_nobody_else(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as sender,
        client(server, robot, passwords[robot]) as receiver,
    ):
        got = _bodies(receiver)
        sender.send_message(receiver.boundjid, "x" * 3_000_000)
        await asyncio.wait_for(sender.closed.wait(), PATIENCE)
        assert sender.stream_error in ("policy-violation", "")
        assert got == []
        assert not receiver.closed.is_set()
        await _ping(receiver, JID(server.domain))


@pytest.mark.slow
async def test_a_person_s_flood_of_bytes_is_let_through_slowly_while_modules_talk(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, PERSON, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as one,
        client(server, robot, passwords[robot]) as other,
        client(server, PERSON, passwords[PERSON]) as guest,
    ):
        got = _bodies(one)
        begin = time.monotonic()
        async with _flooding(guest, f"<message to='{one.boundjid}'><body>{'x' * 10_000}</body></message>"):
            await until(lambda: got)
            for _ in range(300):
                await _ping(one, other.boundjid)
            await until(lambda: len(got) > 5)
        allowed = PEOPLE_BYTES_PER_SECOND * (time.monotonic() - begin + PEOPLE_BURST_SECONDS)
        assert len(got) * 10_000 < allowed + 20_000
        assert not one.closed.is_set()
        assert not other.closed.is_set()


@pytest.mark.parametrize(
    "stanza", ["<presence/>", "<iq type='get' id='p' to='{victim}'><ping xmlns='urn:xmpp:ping'/></iq>"]
)
async def test_a_person_s_flood_of_small_stanzas_ends_the_person_s_connection(server: XmppServer, stanza: str) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, PERSON, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as one,
        client(server, robot, passwords[robot]) as other,
        client(server, PERSON, passwords[PERSON]) as guest,
    ):
        async with _flooding(guest, stanza.format(victim=one.boundjid)):
            await asyncio.wait_for(guest.closed.wait(), PATIENCE)
        assert guest.stream_error in ("policy-violation", "")
        await _ping(one, other.boundjid)
        async with client(server, PERSON, passwords[PERSON]) as again:
            await _ping(again, one.boundjid)


async def test_a_module_may_send_many_small_stanzas(server: XmppServer) -> None:
    camera, robot = fresh_name("camera"), fresh_name("robot")
    async with (
        accounts(server, camera, robot) as passwords,
        client(server, camera, passwords[camera]) as one,
        client(server, robot, passwords[robot]) as other,
    ):
        got = _bodies(other)
        for number in range(1000):
            one.send_message(other.boundjid, str(number))
        await until(lambda: len(got) == 1000)
        assert got == [str(number) for number in range(1000)]


@contextlib.asynccontextmanager
async def _flooding(guest: Client, stanza: str) -> AsyncIterator[None]:
    task = asyncio.create_task(_flood(guest, stanza))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _flood(guest: Client, stanza: str) -> None:
    chunk = stanza * max(1, 20_000 // len(stanza))
    while not guest.closed.is_set():
        transport: Any = guest.transport
        if transport is not None and transport.get_write_buffer_size() < 500_000:
            guest.send_raw(chunk)
        await asyncio.sleep(0.02)


async def _ping(one: Client, whom: JID) -> None:
    ping: Any = one.plugin["xep_0199"]
    await ping.send_ping(whom, timeout=PATIENCE)


def _bodies(receiver: Client) -> list[str]:
    got: list[str] = []
    receiver.add_event_handler("message", lambda message: got.append(message["body"]))
    return got
