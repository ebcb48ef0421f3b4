"""The server goes down, in order or killed, and comes back, while calls, jobs and events go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.cast import Caller, Worker, WorkerModule, WorkerState
from bus.harness import Ear, Endpoint, event, publish, state, until
from bus.xmpp.cast import CounterModule, Told
from bus.xmpp.foreign import Foreigner
from bus.xmpp.sites import OwnSite, own_site
from pytel.base.errors import Conflict
from pytel.bus.contract import Card, Peer
from pytel.bus.xmpp.bus import XmppBus
from xmpp_kit import KINDS, fresh_name

pytestmark = pytest.mark.slow
HOWS = ("SIGTERM", "SIGKILL")


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OwnSite]:
    async with own_site(request.param, tmp_path) as one:
        yield one


@contextlib.asynccontextmanager
async def going_on(*works: Any) -> AsyncIterator[None]:
    """Work that goes on for the length of a block."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@pytest.mark.parametrize("how", HOWS)
async def test_no_call_is_executed_late_or_although_it_was_not_sent(site: OwnSite, how: str) -> None:
    modules = []
    for name in ("one", "two"):
        module = (await site.start(CounterModule, name)).module
        assert isinstance(module, CounterModule)
        modules.append(module)
    callers = [await site.member(f"caller-{number}") for number in range(2)]
    told = Told()
    async with going_on(*(told.keep_calling(bus, to, 0.005) for bus in callers for to in ("one", "two"))):
        await asyncio.sleep(0.5)
        for _ in range(2):
            await site.go_down(how)
            await asyncio.sleep(0.6)
            await site.start_bus()
            await told.more_results(100)
        await until(lambda: told.failed >= 500, within=20)
    await asyncio.sleep(0.2)
    told.check([execution for module in modules for execution in module.executed])
    assert told.tally()["not sent"] >= 100


@pytest.mark.parametrize("how", HOWS)
async def test_everybody_is_back_with_states_and_the_events_of_the_gap(site: OwnSite, how: str) -> None:
    bus = await site.member("publisher")
    hearer = await site.member("hearer")
    ear, states = Ear(hearer, event()), Ear(hearer, state())
    seen: list[tuple[str, bool]] = []

    def watch(peer: Peer, present: bool) -> None:
        if peer.address == bus.address:
            seen.append((peer.card.boot, present))

    hearer.watch_peers(watch)
    for number in range(10):
        publish(bus, event(), number)
    publish(bus, state(), "before")
    await until(lambda: ear.data == list(range(10)) and states.data == ["before"])
    await site.go_down(how)
    await until(lambda: hearer.peers() == [peer for peer in hearer.peers() if peer.address == hearer.address])
    for number in range(10, 60):
        publish(bus, event(), number)
    publish(bus, state(), "meanwhile")
    await site.start_bus()
    for number in range(60, 70):
        publish(bus, event(), number)
    await until(lambda: ear.data[-1:] == [69] and states.data[-1:] == ["meanwhile"])
    await asyncio.sleep(0.3)
    assert ear.data == list(range(70))
    assert not any(one.replayed for one in ear.heard)  # the publisher itself sent what was missed
    assert [seen[0], seen[-2], seen[-1]] == [("boot-1", True), ("boot-1", False), ("boot-1", True)]
    publish(bus, state(), "after")
    await until(lambda: states.data[-1] == "after")
    late = Ear(await site.member("late-comer"), None)
    await until(lambda: late.data == ["after"])


async def test_what_a_node_no_longer_has_is_told_as_lost(site: OwnSite, caplog: pytest.LogCaptureFixture) -> None:
    bus = await site.member("publisher")
    hearer = await site.member("hearer")
    ear = Ear(hearer, event())
    publish(bus, event(), 0)
    await until(lambda: ear.data == [0])
    await site.go_down("SIGTERM")
    for number in range(1, 301):
        publish(bus, event(), number)
    await site.start_bus()
    publish(bus, event(), 301)
    await until(lambda: ear.data[-1:] == [301])
    assert ear.data == [0, *range(ear.data[1], 302)]
    lost = ear.data[1] - 1
    assert 100 <= lost <= 101
    told = [record.message for record in caplog.records if "are lost" in record.message]
    assert told == [f"{lost} events {event().name} of publisher are lost"]


@pytest.mark.parametrize("how", HOWS)
async def test_jobs_go_on_and_their_callers_get_the_results(site: OwnSite, how: str) -> None:
    worker = await site.start(WorkerModule, "worker")
    caller = (await site.start(Caller, "caller")).module
    jobs = [caller.find(Worker).work(2.0)]
    await jobs[0].eta()

    async def wait(job: Any) -> Any:
        return await job

    waiting = [asyncio.create_task(wait(job)) for job in jobs]
    caller.latest(WorkerState)
    await site.go_down(how)
    module = worker.module
    assert isinstance(module, WorkerModule)
    await until(lambda: module.ended)
    assert module.ended == "done"
    await site.start_bus()
    async with asyncio.timeout(30):
        assert await asyncio.gather(*waiting) == ["worked for caller"]


async def test_a_second_copy_is_refused_and_the_first_stays(site: OwnSite) -> None:
    first = await site.member("camera")
    second = site.bus("camera")
    with pytest.raises(Conflict, match="camera is on the bus already"):
        await second.open(Endpoint(), Card(interfaces=(), boot="boot-2"))
    await asyncio.sleep(0.3)
    assert isinstance(first, XmppBus)
    assert first.is_up
    assert [peer.card.boot for peer in first.peers()] == ["boot-1"]


async def test_a_session_that_takes_the_name_ends_the_first_for_good(
    site: OwnSite, caplog: pytest.LogCaptureFixture
) -> None:
    name = fresh_name("camera")
    first = await site.member(name)
    other = await site.member("other")
    assert isinstance(first, XmppBus)
    ended = asyncio.create_task(first.until_ended())
    await asyncio.sleep(0.1)
    assert not ended.done()
    thief = Foreigner(site.host, name, site._passwords[name], "pytel")
    try:
        await thief.log_in()
        async with asyncio.timeout(10):
            error = await ended
        assert isinstance(error, Conflict)
        assert not first.wants_link
        await asyncio.sleep(3.0)
        assert not first.is_up
        assert not thief.closed.is_set()
        assert [str(peer.address) for peer in other.peers()] == ["other"]
        assert "another copy" in caplog.text
    finally:
        await thief.leave()
