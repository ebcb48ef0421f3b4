"""States and events of the whole site in one sequence, and the clients that read it, each at its own speed.

Everything is encoded once, however many read it. Events are kept for clients that come back; of states only the last.
A client that falls behind is not waited for: what it has not taken is thrown away, and when it reads again it is told
so and gets the last states.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property

from pytel.base import clock
from pytel.base.errors import InvalidParams, PytelError
from pytel.bus import envelope
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Peer, Publication, Subscription, Topic
from pytel.bus.http import sse
from pytel.bus.publications import iso_time, told

KEPT = 10_000
KEPT_BYTES = 16 << 20
MOST_WAITING = 500
"""Publications that may wait for one client."""


AT_ONCE = 1
"""Clients that are handed something before others get a turn of the event loop."""
CALLS_FIRST = 0.003
"""Real seconds for which what is published waits for the answer to a call."""
LATEST = 0.02
"""Real seconds that it waits at most, however many calls there are."""


class Item:
    """One publication in the sequence; `text` is its JSON object."""

    def __init__(self, number: int, topic: Topic, cursor: str, text: bytes) -> None:
        self.number, self.topic, self.cursor, self.text = number, topic, cursor, text

    @cached_property
    def notification(self) -> str:
        """As JSON-RPC."""
        return f'{{"jsonrpc":"2.0","method":"{self.topic.kind}","params":{self.text.decode()}}}'

    @cached_property
    def server_sent(self) -> bytes:
        """As a server-sent event."""
        return sse.encode(sse.Event(self.cursor, self.topic.kind, self.text))


class Dropped:
    """Stands for what a client did not take: `events` of them; it has all up to `number`."""

    __slots__ = ("events", "number")

    def __init__(self, events: int, number: int) -> None:
        self.events, self.number = events, number


class Reader:
    """One client's place in the sequence."""

    def __init__(self, news: News, topics: frozenset[str] | None) -> None:
        self._news, self._topics = news, topics
        self._waiting: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._begun = self._taken = news.number
        self._room = MOST_WAITING
        self._is_behind = False
        self._dropped = 0
        self.is_over = False
        self.is_complete = True
        """Whether everything asked for by `since` was still there."""

    def wants(self, topic: Topic) -> bool:
        """Whether the client asked for a topic, by its name or in full."""
        return self._topics is None or topic.name in self._topics or str(topic) in self._topics

    def begin(self, items: Iterable[Item]) -> None:
        """Queue what the client gets first, however much that is."""
        self._waiting.extend(item for item in items if self.wants(item.topic))
        self._room = MOST_WAITING + len(self._waiting)
        self._arrived.set()

    def put(self, item: Item) -> None:
        """Queue a publication, or throw all away if the client is too far behind."""
        if item.number <= self._begun or not self.wants(item.topic):
            return
        if self._is_behind:
            self._dropped += item.topic.kind == "event"
            return
        self._waiting.append(item)
        if len(self._waiting) > self._room:
            self._dropped = sum(waiting.topic.kind == "event" for waiting in self._waiting)
            self._waiting.clear()
            self._is_behind = True
        self._arrived.set()

    def wake(self) -> None:
        """Let `take` return, whether or not something has come."""
        self._arrived.set()

    async def take(self, patience: float) -> list[Item | Dropped]:
        """What has come, as soon as something has; nothing when nothing came for `patience` real seconds."""
        if not self._arrived.is_set():
            # Half the price of a timeout, and this is done for each client each time.
            alarm = asyncio.get_running_loop().call_later(patience, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                alarm.cancel()
        self._arrived.clear()
        taken: list[Item | Dropped] = [*self._waiting]
        self._waiting.clear()
        self._room = MOST_WAITING
        if self._is_behind:
            taken = [Dropped(self._dropped, self._taken)]
            taken += [item for item in self._news.states() if self.wants(item.topic)]
            self._is_behind, self._dropped = False, 0
            self._begun = self._news.number  # these states are later than what is still being handed out
        self._taken = max(self._taken, *(item.number for item in taken)) if taken else self._taken
        return taken


class News:
    """The sequence; `boot` tells the starts of the gateway apart."""

    def __init__(self, bus: Bus, boot: str) -> None:
        self._bus, self._boot = bus, boot
        self.number = 0
        self._events: deque[Item] = deque()
        self._bytes = 0
        self._forgotten = 0
        self._states: dict[tuple[Address, Topic], Item] = {}
        self._readers: set[Reader] = set()
        self._fresh: list[Item] = []
        self._is_fresh = asyncio.Event()
        self._calls = 0
        self._no_calls = asyncio.Event()
        self._no_calls.set()
        self._listening: list[Subscription] = []

    def open(self) -> None:
        """Begin to listen; the bus is open."""
        self._listening = [self._bus.subscribe(None, self._hear), self._bus.watch_peers(self._forget)]

    def close(self) -> None:
        """Stop listening, and end what is read."""
        for subscription in self._listening:
            subscription.cancel()
        for reader in self._readers:
            reader.is_over = True
            reader.wake()

    @property
    def readers(self) -> int:
        """How many clients read."""
        return len(self._readers)

    def cursor(self, number: int | None = None) -> str:
        """How a client names its place in the sequence (default: its end)."""
        return f"{self._boot}-{self.number if number is None else number}"

    def states(self) -> Iterable[Item]:
        """The last state of each kind and module, as they stand in the sequence."""
        return self._states.values()

    def read(self, topics: frozenset[str] | None, since: str | None) -> Reader:
        """Begin to read: the last states, the events after `since`, and what follows. Raises `InvalidParams`."""
        reader = Reader(self, topics)
        missed = self._missed(reader, since) if since is not None else []
        reader.begin(sorted([*self._states.values(), *missed], key=lambda item: item.number))
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Stop reading."""
        self._readers.discard(reader)
        reader.wake()

    def _missed(self, reader: Reader, since: str) -> list[Item]:
        boot, _, digits = since.rpartition("-")
        if not (boot and digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise InvalidParams(f"since: {since[:100]!r} is no cursor; send the last one that you have seen")
        number = int(digits) if boot == self._boot else -1
        reader.is_complete = self._forgotten <= number <= self.number
        return [item for item in self._events if item.number > number]

    def _hear(self, publication: Publication) -> None:
        number = self.number + 1
        cursor = self.cursor(number)
        try:
            text = envelope.encode({"cursor": cursor, **told(publication)})
        except PytelError:  # text that is no text: nobody could read it
            return
        self.number = number
        item = Item(number, publication.topic, cursor, text)
        if publication.topic.kind == "state":
            key = (publication.publisher, publication.topic)
            self._states.pop(key, None)
            self._states[key] = item
        else:
            self._keep(item)
        if self._readers:
            self._fresh.append(item)
            self._is_fresh.set()

    async def run(self) -> None:
        """Hand out what has come, a few clients at a time: calls are answered in between."""
        while True:
            await self._is_fresh.wait()
            self._is_fresh.clear()
            items, self._fresh = self._fresh, []
            loop = asyncio.get_running_loop()
            latest = loop.time() + LATEST
            for index, reader in enumerate(list(self._readers)):
                for item in items:
                    reader.put(item)
                if index % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
                    if not self._no_calls.is_set() and loop.time() < latest:
                        await self._wait_for_calls(latest)

    async def _wait_for_calls(self, latest: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest):
                await self._no_calls.wait()

    @contextlib.contextmanager
    def calls_first(self) -> Iterator[None]:
        """Let what is published wait while a call is answered, if that does not take long."""
        self._calls += 1
        self._no_calls.clear()
        is_over = False

        def over() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._calls -= 1
                if not self._calls:
                    self._no_calls.set()

        soon = asyncio.get_running_loop().call_later(CALLS_FIRST, over)
        try:
            yield
        finally:
            soon.cancel()
            over()

    def _keep(self, item: Item) -> None:
        self._events.append(item)
        self._bytes += len(item.text)
        while len(self._events) > KEPT or self._bytes > KEPT_BYTES:
            gone = self._events.popleft()
            self._forgotten = gone.number
            self._bytes -= len(gone.text)

    def _forget(self, peer: Peer, present: bool) -> None:
        if not present:
            self._states = {key: item for key, item in self._states.items() if key[0] != peer.address}


def heartbeat(cursor: str) -> bytes:
    """The parameters of a sign of life."""
    return envelope.encode({"cursor": cursor, "time": iso_time(clock.time())})
