"""A person floods the modules: theirs goes on, and nothing of it is lost. How fast it goes: `benchmarks/flood.py`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.harness import Ear, Endpoint, call, event, publish, until
from bus.xmpp.foreign import Foreigner, json_content
from bus.xmpp_harness import XmppHarness
from pytel.base.threads import in_thread
from pytel.bus.contract import Role
from xmpp_kit import KINDS, server_account

pytestmark = pytest.mark.slow
PERSON = "alice"
FLOOD = 10_000


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "json")
    await harness.prepare()
    yield harness
    await harness.close()


def stanzas(site: XmppHarness) -> dict[str, str]:
    assert site._server is not None
    to = f"camera@{site._server.domain}/pytel"
    call = json_content({"jsonrpc": "2.0", "id": 1, "method": "wait", "params": {}})
    return {
        "calls": f"<iq type='set' id='f' to='{to}'>{call}</iq>",
        "plain calls": f"<iq type='set' id='f' to='{to}'><query xmlns='jabber:iq:rpc'/></iq>",
        "messages": f"<message to='{to}' type='headline'><body>{'x' * 100}</body></message>",
        "presences": "<presence><module xmlns='urn:pytel:module:1' boot='b'/></presence>",
    }


@contextlib.asynccontextmanager
async def flooding(site: XmppHarness, password: str, stanza: str) -> AsyncIterator[list[int]]:
    """Somebody sends as fast as he is let, and comes back whenever he is thrown out; yields how many were written."""
    server = await site.server()
    written = [0]

    async def flood() -> None:
        while True:
            one = Foreigner(server, PERSON, password)
            try:
                await one.log_in()
                while not one.closed.is_set():
                    transport: Any = one.transport
                    if transport is not None and transport.get_write_buffer_size() < 100_000:
                        transport.write(stanza.encode() * 100)
                        written[0] += 100
                    await asyncio.sleep(0.01)
            finally:
                await one.leave()

    task = asyncio.create_task(flood())
    try:
        yield written
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("what", ["calls", "plain calls", "messages", "presences"])
async def test_the_modules_go_on_and_lose_nothing(site: XmppHarness, what: str) -> None:
    async def wait(call: Any) -> Any:
        await asyncio.sleep(0.01)
        return call.params

    camera = await site.member("camera", Endpoint(wait))
    robot = await site.member("robot")
    ear = Ear(robot, event())
    server = await site.server()
    site._passwords[PERSON] = password = await in_thread(server_account, server, PERSON)
    site.access.allow(f"{PERSON}@{server.domain}", Role.OPERATOR, False)
    async with flooding(site, password, stanzas(site)[what]) as written:
        await until(lambda: written[0] > 0, within=30)
        for number in range(200):
            assert await call(robot, "camera", "wait", [number], timeout=30) == [number]
            publish(camera, event(), number)
        await until(lambda: written[0] >= FLOOD or what == "presences", within=60)
        assert await asyncio.gather(*(call(robot, "camera", "wait", [n], timeout=30) for n in range(200))) == [
            [n] for n in range(200)
        ]
        assert all(bus.is_up for bus in site.opened)
        assert {str(peer.address) for peer in robot.peers()} == {"camera", "robot"}
    await until(lambda: ear.data == list(range(200)))
