"""What one module publishes: the last value of each state and the latest events, and who reads them as a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import chain

import msgspec

from pytel.base import clock
from pytel.bus import envelope
from pytel.bus.contract import Publication, Topic
from pytel.bus.http import sse
from pytel.bus.publications import told

KEPT = 200
"""Events of each topic that are kept for those who come back."""
MAX_BACKLOG = 8 << 20
"""Bytes that may wait for a slow reader; beyond, it is sent away and may come back for what is kept."""


class Item(msgspec.Struct, frozen=True):
    """One publication; `sent` is real UTC in Unix seconds."""

    number: int
    topic: Topic
    sent: float
    text: bytes
    publication: Publication


class Wish(msgspec.Struct, frozen=True):
    """What of the stream a reader wants: the events kept from somewhere on (None: none), and only some topics."""

    since: sse.Position | float | None = None
    topics: frozenset[str] | None = None

    def includes(self, topic: Topic) -> bool:
        """Tell whether a topic was asked for, by its name or in full."""
        return self.topics is None or topic.name in self.topics or str(topic) in self.topics


class Reader:
    """One who reads the stream."""

    def __init__(self, name: str, wish: Wish, first: Iterable[bytes]) -> None:
        self.name, self.wish = name, wish
        self.is_over = False
        self._backlog = deque(first)
        self._bytes = 0  # of what came since: however much was kept, the reader gets it
        self._is_news = asyncio.Event()

    def put(self, text: bytes) -> None:
        """Queue what is to be sent; who is too far behind is sent away."""
        if self.is_over:
            return
        self._backlog.append(text)
        self._bytes += len(text)
        if self._bytes > MAX_BACKLOG:
            self._backlog.clear()
            self.end()
        self._is_news.set()

    def end(self) -> None:
        """Nothing follows what is queued."""
        self.is_over = True
        self._is_news.set()

    async def take(self, patience: float) -> bytes:
        """All that is queued, as soon as something is; nothing when nothing came for `patience` real seconds."""
        if not self._backlog and not self.is_over:
            try:
                async with asyncio.timeout(patience):
                    await self._is_news.wait()
            except TimeoutError:
                return b""
        self._is_news.clear()
        taken = b"".join(self._backlog)
        self._backlog.clear()
        self._bytes = 0
        return taken


class Outbox:
    """The publications of one start of a module."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._number = 0
        self._seq: dict[Topic, int] = {}
        self._states: dict[Topic, Item] = {}
        self._events: dict[Topic, deque[Item]] = {}
        self._readers: set[Reader] = set()

    @property
    def number_of_readers(self) -> int:
        """How many read now."""
        return len(self._readers)

    def next_seq(self, topic: Topic) -> int:
        """Number the next publication of a topic."""
        return self._seq.get(topic, 0) + 1

    def add(self, publication: Publication) -> None:
        """Keep a publication and send it to those who read. Raises `InternalError` for text that is no text."""
        number, sent = self._number + 1, clock.real_time()
        data = envelope.encode({**told(publication), "sent": sent})
        name = str(publication.topic)
        text = sse.encode(sse.Event(str(sse.Position(self._boot, number)), name, data))
        item = Item(number, publication.topic, sent, text, publication)
        self._number, self._seq[publication.topic] = number, publication.seq
        if publication.topic.kind == "state":
            self._states[publication.topic] = item
        else:
            self._events.setdefault(publication.topic, deque(maxlen=KEPT)).append(item)
        for reader in self._readers:
            if reader.wish.includes(publication.topic):
                reader.put(text)

    def states(self) -> list[Publication]:
        """The last value of each state, by topic."""
        return [self._states[topic].publication for topic in sorted(self._states, key=str)]

    def read(self, name: str, wish: Wish, hello: bytes) -> Reader:
        """Begin a stream: `hello`, the last states, what was asked for of the events kept, `live`, and what follows."""
        items = sorted([*self._states.values(), *self._missed(wish.since)], key=lambda item: item.number)
        kept = [item.text for item in items if wish.includes(item.topic)]
        reader = Reader(name, wish, [hello, *kept, sse.encode(sse.Event("", "live", b"{}"))])
        self._readers.add(reader)
        return reader

    def tell(self, name: str, text: bytes) -> None:
        """Send something to one reader only, if he is there."""
        for reader in self._readers:
            if reader.name == name:
                reader.put(text)

    def leave(self, reader: Reader) -> None:
        """End a stream."""
        self._readers.discard(reader)

    def end(self) -> None:
        """Tell all readers that this module leaves."""
        bye = sse.encode(sse.Event("", "bye", b"{}"))
        for reader in self._readers:
            reader.put(bye)
            reader.end()

    def _missed(self, since: sse.Position | float | None) -> Iterable[Item]:
        events = chain.from_iterable(self._events.values())
        if since is None:
            return []
        if isinstance(since, float):
            return [item for item in events if item.sent >= since]
        if since.boot != self._boot:
            return list(events)  # of an earlier start: all of this one is missed
        return [item for item in events if item.number > since.number]
