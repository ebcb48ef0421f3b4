"""The stream of states and events: as cURL sees it, and as modules follow each other by it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.harness import Ear, call, event, publish, quiet, state, until
from bus.http.http_kit import HttpSite, curl, data_of
from pytel.base.errors import InvalidParams, LimitExceeded
from pytel.bus.contract import Card
from pytel.bus.http import link, outbox, sse
from pytel.bus.http.sse import Event, Parser, Position

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
EVENTS = st.lists(
    st.builds(
        Event, TEXT.map(str.strip), TEXT.map(str.strip), st.binary(max_size=50).map(lambda data: data.hex().encode())
    )
)


@given(EVENTS, st.data())
def test_events_arrive_as_they_were_written_in_pieces_of_any_size(events: list[Event], data: st.DataObject) -> None:
    stream = b"".join(sse.encode(event) + sse.HEARTBEAT for event in events)
    parser = Parser()
    read: list[Event] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        read += parser.feed(stream[:size])
        stream = stream[size:]
    assert read == events


@given(st.lists(st.binary()))
def test_no_stream_harms_its_reader(pieces: list[bytes]) -> None:
    parser = Parser()
    for piece in pieces:
        assert all(isinstance(read.data, bytes) for read in parser.feed(piece))


def test_an_event_without_end_is_refused() -> None:
    parser = Parser()
    assert list(parser.feed(b"x" * sse.MAX_EVENT)) == []
    with pytest.raises(LimitExceeded):
        list(parser.feed(b"x"))


@given(st.text())
def test_where_to_begin_is_an_id_or_a_time_or_refused(text: str) -> None:
    try:
        found = sse.since(text)
    except InvalidParams:
        return
    assert isinstance(found, (float, Position))


def test_positions_are_written_as_they_are_read() -> None:
    assert sse.since("01ABC-17") == Position("01ABC", 17)
    assert str(Position("boot-1", 3)) == "boot-1-3"
    assert sse.since("boot-1-3") == Position("boot-1", 3)
    assert sse.since("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


# as cURL sees it


async def test_a_reader_gets_card_states_and_what_follows(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    publish(sender, state("A"), 1)
    publish(sender, event(), "old")
    publish(sender, state("A"), 2)
    async with curl(http_site, "sender", "vera") as vera, vera.events() as stream:
        before = await stream.until("live")
        assert before[0].name == "card"
        assert data_of(before) == [2]
        publish(sender, event(), "new")
        publish(sender, state("A"), 3)
        heard = [await stream.next(), await stream.next()]
        assert data_of(heard) == ["new", 3]
        assert [found.id for found in heard] == ["boot-1-4", "boot-1-5"]
        told = json.loads(heard[0].data)
        assert told["topic"] == heard[0].name == "urn:pytel:event:Happened:1"
        assert (told["publisher"], told["seq"], told["boot"]) == ("sender", 2, "boot-1")
        assert told["time"].endswith("Z")


async def test_who_comes_back_gets_what_was_missed(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    begun = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for number in range(5):
        publish(sender, event(), number)
    async with curl(http_site, "sender") as otto:
        for query, expected in [
            ("?since=boot-1-3", [3, 4]),
            ("?since=boot-1-5", []),
            ("?since=earlier-99", [0, 1, 2, 3, 4]),
            (f"?since={begun}", [0, 1, 2, 3, 4]),
            ("", []),
        ]:
            async with otto.events(query) as stream:
                assert data_of(await stream.until("live")) == expected
        async with otto.events(**{"Last-Event-ID": "boot-1-4"}) as stream:
            assert data_of(await stream.until("live")) == [4]
        status, answer = await otto.get("/events?since=nonsense")
        assert (status, answer["error"]["code"]) == (400, -32602)


async def test_the_last_events_of_each_topic_are_kept(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    publish(sender, event("Rare"), "rare")
    for number in range(outbox.KEPT + 50):
        publish(sender, event(), number)
    async with curl(http_site, "sender") as otto, otto.events("?since=boot-1-0") as stream:
        assert data_of(await stream.until("live")) == ["rare", *range(50, outbox.KEPT + 50)]


async def test_only_some_topics(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    publish(sender, state("A"), "a")
    publish(sender, state("B"), "b")
    async with curl(http_site, "sender") as otto, otto.events("?topics=B,Happened") as stream:
        assert data_of(await stream.until("live")) == ["b"]
        publish(sender, state("A"), "a")
        publish(sender, event("Other"), "o")
        publish(sender, event(), "e")
        assert data_of([await stream.next()]) == ["e"]


async def test_a_quiet_stream_shows_that_its_module_lives(http_site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.bus.http.app.HEARTBEAT", 0.02)
    await http_site.member("sender")
    async with curl(http_site, "sender") as otto, otto.session.get(f"{otto.url}/events") as response:
        async with asyncio.timeout(20):
            read = b""
            while read.count(b"\n:\n\n") < 1 and read.count(b":\n\n") < 3:
                read += await response.content.readany()


async def test_who_leaves_says_good_bye(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    async with curl(http_site, "sender") as otto, otto.events() as stream:
        await stream.until("live")
        publish(sender, event(), "last words")
        leaving = asyncio.create_task(sender.close())
        assert data_of(await stream.until("bye")) == ["last words"]
        await leaving


# as modules follow each other


async def test_what_happened_while_the_link_was_down_is_heard_once_in_order_and_marked(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LATE", 0.0)
    sender, hearer = await http_site.member("sender"), await http_site.member("hearer")
    ear = Ear(hearer, event())
    publish(sender, event(), 1)
    await until(lambda: ear.heard)
    await http_site.stop_bus()
    publish(sender, event(), 2)
    publish(sender, event(), 3)
    await http_site.start_bus()
    publish(sender, event(), 4)
    await until(lambda: len(ear.heard) >= 4)
    await quiet()
    assert ear.data == [1, 2, 3, 4]
    assert [heard.replayed for heard in ear.heard] == [False, True, True, False]


async def test_who_listens_only_since_the_link_is_back_hears_nothing_of_before(http_site: HttpSite) -> None:
    sender, hearer = await http_site.member("sender"), await http_site.member("hearer")
    first = Ear(hearer, event())
    publish(sender, event(), 1)
    await until(lambda: first.heard)
    await http_site.stop_bus()
    publish(sender, event(), 2)
    second = Ear(hearer, event())
    publish(sender, event(), 3)
    await http_site.start_bus()
    await until(lambda: first.data == [1, 2, 3])
    await quiet()
    assert second.data == [3]


async def test_what_a_module_says_before_it_is_followed_is_heard(http_site: HttpSite) -> None:
    hearer = await http_site.member("hearer")
    ear = Ear(hearer, event())
    sender = http_site.bus("sender")

    class Eager:
        async def handle_call(self, request: object) -> None: ...

    opening = asyncio.create_task(sender.open(Eager(), Card(interfaces=(), boot="b")))
    await until(lambda: bool(sender.peers()))
    for number in range(3):
        publish(sender, event(), number)
    await opening
    await until(lambda: len(ear.heard) == 3)
    assert ear.data == [0, 1, 2]
    assert not any(heard.replayed for heard in ear.heard)


async def test_a_reader_that_is_too_far_behind_comes_back_for_what_is_kept(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_BACKLOG", 20_000)
    sender, hearer = await http_site.member("sender"), await http_site.member("hearer")
    ear = Ear(hearer, event())
    for number in range(50):
        publish(sender, event(), {"number": number, "ballast": "x" * 1000})
    await until(lambda: len(ear.heard) >= 50)
    await quiet()
    assert [data["number"] for data in ear.data] == list(range(50))
    assert await call(hearer, "sender", "look") is None


async def test_many_publish_and_everybody_hears_all_in_order(http_site: HttpSite) -> None:
    buses = [await http_site.member(f"m{number}") for number in range(5)]
    ears = [Ear(bus, None) for bus in buses]
    for number in range(100):
        for bus in buses:
            publish(bus, state() if number % 2 else event(), number)
        if number % 10 == 0:
            await asyncio.sleep(0)
    await until(lambda: all(len(ear.heard) == 500 for ear in ears))
    for ear in ears:
        for bus in buses:
            assert [heard.data for heard in ear.heard if heard.publisher == bus.address] == list(range(100))
