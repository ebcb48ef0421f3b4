"""The internals of slixmpp that the fast path touches, and the path that touches none."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from slixmpp import ClientXMPP
from slixmpp.xmlstream import XMLStream

from bus.harness import Ear, Endpoint, call, event, publish, state, until
from bus.xmpp_harness import XmppHarness
from pytel.base.errors import LimitExceeded, ModuleNotFound
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Role
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.link import Server
from xmpp_client import client
from xmpp_kit import KINDS, accounts, fresh_name, xmpp_server

MOVED = "slixmpp has moved {what}: adapt src/pytel/bus/xmpp/stream.py, or log in with Server(stock=True) meanwhile"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_spawn_event", ["self", "xml"]),
        ("cancel_connection_attempt", ["self"]),
        ("data_received", ["self", "data"]),
    ],
)
def test_slixmpp_still_has_the_methods_that_we_override_and_call(name: str, parameters: list[str]) -> None:
    method = getattr(XMLStream, name, None)
    assert method is not None, MOVED.format(what=name)
    assert list(inspect.signature(method).parameters) == parameters, MOVED.format(what=f"the parameters of {name}")


def test_every_stanza_still_goes_through_spawn_event() -> None:
    source = inspect.getsource(XMLStream.data_received)
    assert "self._spawn_event(" in source, MOVED.format(what="the call of _spawn_event")


async def test_a_client_still_has_the_attributes_that_we_touch() -> None:
    one = ClientXMPP("camera@pytel.test/pytel", "secret-word")
    try:
        assert one.transport is None, MOVED.format(what="transport")
        assert isinstance(one.disconnected, asyncio.Future), MOVED.format(what="disconnected")
        assert hasattr(one, "_run_out_filters"), MOVED.format(what="_run_out_filters")
    finally:
        one.disconnected.cancel()


@pytest.mark.slow
async def test_a_live_connection_has_what_we_touch() -> None:
    server = await asyncio.to_thread(xmpp_server, "prosody")
    name = fresh_name("camera")
    async with accounts(server, name) as passwords, client(server, name, passwords[name]) as one:
        assert isinstance(one.transport, asyncio.Transport), MOVED.format(what="transport")
        assert isinstance(one._run_out_filters, asyncio.Task), MOVED.format(what="_run_out_filters")
        gone = one.disconnected
        one.transport.abort()
        async with asyncio.timeout(20):
            await gone


class StockHarness(XmppHarness):
    """A site whose links go through slixmpp's own handlers."""

    def make_bus(self, address: Address, role: Role, is_proxy: bool) -> Bus:
        bus = super().make_bus(address, role, is_proxy)
        assert isinstance(bus, XmppBus)
        bus._link.server = msgspec.structs.replace(bus._link.server, stock=True)
        return bus


@pytest.fixture(params=[(kind, stock) for kind in KINDS for stock in (True, False)], ids=str)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    kind, stock = request.param
    harness = (StockHarness if stock else XmppHarness)(tmp_path, kind, "json")
    await harness.prepare()
    yield harness
    await harness.close()


@pytest.mark.slow
async def test_calls_events_and_states_work_with_and_without_the_fast_path(site: XmppHarness) -> None:
    one = await site.member("one", Endpoint(lambda call: ["one", call.params]))
    two = await site.member("two", Endpoint(lambda call: ["two", call.params]))
    awkward = {"text": "<&'\">]]>\r\n\x00\x1b\U0001f52d", "list": [1, 2.5, None]}
    assert await call(one, "two", "say", awkward) == ["two", awkward]
    assert await call(two, "one", "say", awkward) == ["one", awkward]
    assert await asyncio.gather(*(call(one, "two", "say", [n]) for n in range(200))) == [
        ["two", [n]] for n in range(200)
    ]
    with pytest.raises(ModuleNotFound):
        await call(one, "three", "say")
    events, states = Ear(two, event()), Ear(two, state())
    await until(lambda: not two._is_presence_due)  # type: ignore[attr-defined]
    for number in range(20):
        publish(one, event(), number)
    publish(one, state(), awkward)
    await until(lambda: events.data == list(range(20)) and states.data == [awkward])


@pytest.mark.slow
async def test_what_is_too_large_is_refused_before_it_costs_the_stream(site: XmppHarness) -> None:
    one = await site.member("one")
    await site.member("two", Endpoint(lambda call: len(call.params["text"])))  # type: ignore[call-overload]
    with pytest.raises(LimitExceeded):
        await call(one, "two", "say", {"text": "x" * 2_000_000})
    with pytest.raises(LimitExceeded):
        publish(one, event(), "x" * 2_000_000)
    assert isinstance(one, XmppBus)
    assert one.is_up
    assert await call(one, "two", "say", {"text": "x" * 100_000}) == 100_000
    assert one.is_up


def test_a_server_is_reached_by_the_fast_path_unless_asked_otherwise() -> None:
    assert not Server(domain="pytel.test").stock
