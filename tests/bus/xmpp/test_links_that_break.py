"""Links that break at the wrong moment, and clocks that are wrong: nobody stays present who is not, nothing is lost."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.harness import Ear, event, publish, state, until
from bus.xmpp.test_access import jid, notification
from bus.xmpp_harness import XmppHarness
from pytel.base import clock
from pytel.base.errors import ConnectionLost, Timeout
from pytel.bus.contract import Bus, Peer
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.link import Link
from pytel.bus.xmpp.stream import Login, Stream
from xmpp_kit import KINDS


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "json")
    await harness.prepare()
    yield harness
    await harness.close()


def link_of(bus: Bus) -> Link:
    assert isinstance(bus, XmppBus)
    return bus._link


def cut(bus: Bus) -> None:
    """Let the connection break."""
    stream: Any = link_of(bus)._stream
    stream.transport.abort()


async def back(bus: Bus) -> None:
    """Wait until the link that was cut is back."""
    assert isinstance(bus, XmppBus)
    await until(lambda: not bus.is_up)
    await until(lambda: bus.is_up, within=15)


@pytest.mark.slow
async def test_who_was_seen_on_a_link_that_broke_while_all_was_announced_is_seen_to_go(
    site: XmppHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearer, camera = await site.member("hearer"), await site.member("camera")
    ear, events = Ear(hearer, state()), Ear(hearer, event())
    publish(camera, state(), 1)
    await until(lambda: ear.data == [1])
    seen: list[tuple[str, bool]] = []
    hearer.watch_peers(lambda peer, present: seen.append((str(peer.address), present)))
    link, faults = link_of(hearer), [1, 2]
    announce = link._on_up

    async def broken() -> None:
        await announce()
        if faults:
            faults.pop()
            await until(lambda: len(hearer.peers()) == 2)
            publish(camera, event(), len(faults))
            cut(hearer)
            await until(lambda: link._stream is None)
            assert [str(peer.address) for peer in hearer.peers()] == ["hearer"]
            publish(camera, state(), 2 + len(faults))

    monkeypatch.setattr(link, "_on_up", broken)
    cut(hearer)
    await back(hearer)
    await until(lambda: len(hearer.peers()) == 2 and ear.data[-1:] == [2] and sorted(events.data) == [0, 1])
    assert [present for name, present in seen if name == "camera"] == [True, False] * 3 + [True]


@pytest.mark.slow
async def test_a_watcher_that_raises_does_not_keep_the_link_down(site: XmppHarness) -> None:
    hearer = await site.member("hearer")
    await site.member("camera")
    seen: list[bool] = []

    def watcher(peer: Peer, present: bool) -> None:
        seen.append(present)
        if not present:
            raise ValueError("a fault of the watcher")

    hearer.watch_peers(watcher)
    cut(hearer)
    await back(hearer)
    await until(lambda: len(hearer.peers()) == 2)
    assert False in seen


@pytest.mark.slow
async def test_a_ca_that_was_renewed_is_read_again(site: XmppHarness) -> None:
    one = await site.member("one")
    link_of(one)._tls = ssl.create_default_context(cafile=None)  # trusts others
    cut(one)
    await back(one)


@pytest.mark.slow
async def test_whatever_goes_wrong_at_a_log_in_the_next_is_tried(site: XmppHarness) -> None:
    one = await site.member("one")
    link, faults = link_of(one), [RuntimeError("a fault of ours"), ConnectionLost("no network")]
    password = link._password

    async def ask() -> str:
        if faults:
            raise faults.pop()
        return await password()

    link._password = ask
    cut(one)
    await back(one)
    assert not faults


async def test_a_log_in_that_is_cancelled_in_the_moment_of_success_leaves_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = ssl.create_default_context()
    login = Login(account="a", domain="b.test", resource="r", password="x", host="127.0.0.1", port=1, tls=tls)
    stream = Stream(login, lambda stanza: None, lambda error: None)
    monkeypatch.setattr(stream, "connect", lambda *where: None)
    task = asyncio.create_task(stream.log_in(5.0))
    await asyncio.sleep(0)
    stream._live = True
    stream._outcome.set_result(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not stream._live


@pytest.mark.slow
async def test_a_server_too_slow_to_be_asked_is_not_taken_for_one_that_knows_no_other_copy(
    site: XmppHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await site.member("one")

    async def slow(stream: Stream, deadline: float) -> None:
        raise Timeout("too slow")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "log_in", slow)
        with pytest.raises(Timeout):
            await link_of(one).is_taken()
    assert await link_of(one).is_taken()


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-600.0, 600.0])
async def test_events_are_heard_however_wrong_the_clock_here_is(
    site: XmppHarness, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "real_time", lambda: time.time() + ahead)
    hearer, camera = await site.member("hearer"), await site.member("camera")
    ear = Ear(hearer, event())
    for seq, sent in ((1, time.time() - 60), (2, time.time() + 1)):  # by a right clock, as a camera elsewhere has
        told = notification(str(event()), "true", seq=seq, boot="boot-1").replace("4000000000.0", str(sent))
        link_of(camera).write(f"<message to='{jid(site, 'hearer')}' type='headline'>{told}</message>")
    await until(lambda: ear.heard)
    assert [one.seq for one in ear.heard] == [2], "what was sent before one listened is not heard, the rest is"


@pytest.mark.slow
async def test_what_was_missed_while_the_machine_slept_is_wanted(
    site: XmppHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearer = await site.member("hearer")
    assert isinstance(hearer, XmppBus)
    Ear(hearer, event())
    asleep = time.time()
    hearer._announced_at = asleep - 3600  # the link was up for long
    monkeypatch.setattr(clock, "real_time", lambda: time.time() + 8 * 3600)
    cut(hearer)
    await back(hearer)
    assert hearer._away_since < asleep
