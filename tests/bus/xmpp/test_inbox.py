"""Gaps: what was missed is fetched wherever it lies, told once and in order; what is lost is said to be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from xml.etree.ElementTree import Element, fromstring

import pytest

from bus.harness import event, until
from pytel.base.errors import ConnectionLost, ModuleNotFound, PytelError
from pytel.bus.address import Address
from pytel.bus.contract import Card, Peer, Publication, Topic
from pytel.bus.xmpp import inbox as inbox_module
from pytel.bus.xmpp.inbox import Inbox
from pytel.bus.xmpp.names import PUBSUB_EVENT
from pytel.bus.xmpp.neighbours import Neighbour, Wants

CAMERA = Address("camera")


def item(seq: int, boot: str = "b") -> str:
    told = json.dumps({"seq": seq, "boot": boot, "time": 1.0, "sent": 2.0, "data": seq})
    return f"<item xmlns='{PUBSUB_EVENT}' id='{boot}-{seq}'><json xmlns='urn:xmpp:json:0'>{told}</json></item>"


def neighbour(boot: str) -> Neighbour:
    peer = Peer(address=CAMERA, card=Card(interfaces=(), boot=boot))
    return Neighbour(jid="camera@pytel.test/pytel", features=frozenset(), wants=Wants({}), peer=peer)


class Subject:
    """An inbox, and the node of a camera that it may ask."""

    def __init__(self) -> None:
        self.node: list[int] = []
        self.faults: list[PytelError] = []
        self.asked: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.inbox = Inbox(Address("me"), self._fetch, lambda: None)
        self.heard: list[Publication] = []
        self.inbox.subscribe(event(), self.heard.append, 0.0)
        self.inbox.neighbour_changed(None, neighbour("b"))

    async def _fetch(self, publisher: Address, topic: Topic, count: int) -> list[Element]:
        self.asked.append(count)
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)
        return [fromstring(item(seq)) for seq in self.node[-count:]]

    def come(self, numbers: Iterable[int], boot: str = "b") -> None:
        for seq in numbers:
            self.node.append(seq)
            items = f"<items node='{event()}'>{item(seq, boot)}</items>"
            message = f"<message xmlns='jabber:client'><event xmlns='{PUBSUB_EVENT}'>{items}</event></message>"
            self.inbox.receive(CAMERA, fromstring(message))

    @property
    def told(self) -> list[tuple[int, bool]]:
        return [(one.data, one.replayed) for one in self.heard]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep

    async def brief(seconds: float) -> None:
        await real(min(seconds, 0.01))

    monkeypatch.setattr(inbox_module.asyncio, "sleep", brief)  # type: ignore[attr-defined]


def expected(last: int, replayed: Iterable[int]) -> list[tuple[int, bool]]:
    return [(seq, seq in set(replayed)) for seq in range(1, last + 1)]


async def test_a_gap_is_mended_and_only_what_was_fetched_is_marked() -> None:
    subject = Subject()
    subject.come([1, 2])
    subject.node += [3, 4]
    subject.come([5])
    await until(lambda: len(subject.heard) == 5)
    assert subject.told == expected(5, [3, 4])
    assert subject.asked == [7]


async def test_a_gap_is_mended_after_which_much_has_come_already() -> None:
    subject = Subject()
    subject.come([1, 2])
    subject.node += [3, 4]
    subject.come(range(5, 130))
    await until(lambda: len(subject.heard) == 129)
    assert subject.told == expected(129, [3, 4])


async def test_what_comes_while_a_gap_is_mended_is_told_once_and_after_it() -> None:
    subject = Subject()
    subject.open.clear()
    subject.come([1])
    subject.node += [2]
    subject.come([3])
    await until(lambda: subject.asked)
    subject.come([4, 5])
    subject.open.set()
    await until(lambda: len(subject.heard) == 5)
    assert subject.told == expected(5, [2])


async def test_what_the_publisher_has_not_stored_yet_is_asked_for_again() -> None:
    subject = Subject()
    subject.come([1])
    subject.come([4])
    await until(lambda: len(subject.asked) == 3)
    subject.node = [1, 2, 3, 4]
    await until(lambda: len(subject.heard) == 4)
    assert subject.told == expected(4, [2, 3])


async def test_a_link_that_breaks_while_a_gap_is_mended_loses_nothing() -> None:
    subject = Subject()
    subject.faults = [ConnectionLost("gone"), ConnectionLost("gone")]
    subject.come([1])
    subject.node += [2]
    subject.come([3])
    await until(lambda: len(subject.heard) == 3)
    assert subject.told == expected(3, [2])


@pytest.mark.parametrize("fault", [None, ModuleNotFound("no such node")])
async def test_what_is_lost_is_said_to_be_lost(fault: PytelError | None, caplog: pytest.LogCaptureFixture) -> None:
    subject = Subject()
    subject.faults = [fault] if fault else []
    subject.come([1])
    subject.come([5])
    await until(lambda: len(subject.heard) == 2)
    assert subject.told == [(1, False), (5, False)]
    assert [record.message for record in caplog.records if "lost" in record.message] == [
        "3 events Happened of camera are lost"
    ]
    subject.come([6])
    assert subject.told[-1] == (6, False)


async def test_what_a_next_start_sends_before_it_is_known_is_held_until_then() -> None:
    subject = Subject()
    before, after = neighbour("b"), neighbour("c")
    subject.come([1], "c")
    subject.come([1], "a")
    assert subject.heard == []
    subject.inbox.neighbour_changed(before, None)
    subject.inbox.neighbour_changed(None, after)
    assert [(one.boot, one.seq) for one in subject.heard] == [("c", 1)]
    subject.come([2], "c")
    assert [one.seq for one in subject.heard] == [1, 2]


async def test_who_stops_listening_and_begins_again_at_once_wants_it_anew() -> None:
    subject = Subject()
    topic = Topic("state", "Test")
    listener = subject.inbox.subscribe(topic, subject.heard.append, 1.0)
    assert subject.inbox.wants().since[str(topic)] == 1.0
    listener.cancel()
    subject.inbox.subscribe(topic, subject.heard.append, 2.0)
    assert subject.inbox.wants().since[str(topic)] == 2.0, "publishers would take it for what they have sent already"
