"""A burst of events: the server is given a few at a time to store, so that calls get through between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.harness import Ear, Endpoint, call, event, publish, until
from bus.xmpp_harness import XmppHarness
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.inbox import items_in, items_query
from pytel.bus.xmpp.outbox import KEPT_EVENTS, WINDOW
from xmpp_kit import KINDS

pytestmark = pytest.mark.slow


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "json")
    await harness.prepare()
    yield harness
    await harness.close()


async def test_a_burst_is_stored_a_few_at_a_time_and_wholly(site: XmppHarness) -> None:
    one, two = await site.member("one"), await site.member("two", Endpoint(lambda call: call.params))
    assert isinstance(one, XmppBus)
    ear = Ear(two, event())
    publish(one, event(), 0)
    await until(lambda: ear.data == [0])
    for number in range(1, KEPT_EVENTS):
        publish(one, event(), number)
        assert one._outbox._under_way <= WINDOW
    assert await call(one, "two", "say", [1], timeout=30) == [1]
    assert one._outbox._under_way <= WINDOW
    assert ear.data == list(range(KEPT_EVENTS))
    await until(lambda: not any(node.unstored() for node in one._outbox._nodes.values()), within=60)
    assert one._outbox._under_way == 0
    answer = await two._link.ask("get", one.bare_jid, items_query(event(), KEPT_EVENTS))  # type: ignore[attr-defined]
    assert [item.get("id") for item in items_in(answer)] == [f"boot-1-{seq}" for seq in range(1, KEPT_EVENTS + 1)]


async def test_events_are_in_their_node_again_when_the_server_has_forgotten_them(site: XmppHarness) -> None:
    one, two = await site.member("one"), await site.member("two")
    assert isinstance(one, XmppBus)
    ear = Ear(two, event())
    for number in range(5):
        publish(one, event(), number)
    await until(lambda: not any(node.unstored() for node in one._outbox._nodes.values()), within=20)
    await site.stop_bus()
    publish(one, event(), 5)
    await site.start_bus()
    await until(lambda: not any(node.unstored() for node in one._outbox._nodes.values()), within=20)
    answer = await two._link.ask("get", one.bare_jid, items_query(event(), KEPT_EVENTS))  # type: ignore[attr-defined]
    assert [item.get("id") for item in items_in(answer)] == [f"boot-1-{seq}" for seq in range(1, 7)]
    await until(lambda: len(ear.data) >= 6)
    assert ear.data == list(range(6))
