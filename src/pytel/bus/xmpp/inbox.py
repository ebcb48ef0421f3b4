"""What a module hears: each publication once and in order, gaps mended from the publisher's node."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from xml.etree.ElementTree import Element

import msgspec

from pytel.base.errors import ConnectionLost, InvalidRequest, PytelError
from pytel.bus.address import Address
from pytel.bus.contract import Publication, Receiver, Topic
from pytel.bus.xmpp.item import Sent, decode_item, items_of
from pytel.bus.xmpp.names import PUBSUB, attribute
from pytel.bus.xmpp.neighbours import ALL_EVENTS, ALL_STATES, Neighbour, Wants, is_of_states

MAX_HELD = 500
MAX_GAP = 200
RETRIES = 3
"""How often a node is asked again, a second later each, for what it does not have yet."""
Fetch = Callable[[Address, Topic, int], Awaitable[list[Element]]]
"""Gets the last items of a module's node; raises `PytelError`."""


class Listener:
    """One subscription. `since` is the real time from which on events are heard."""

    def __init__(self, inbox: Inbox, topic: Topic | None, receiver: Receiver, since: float) -> None:
        self._inbox = inbox
        self.topic, self.receiver, self.since = topic, receiver, since

    def cancel(self) -> None:
        """Stop hearing."""
        self._inbox.unsubscribe(self)


class _Track:
    """How far one publisher has been heard on one topic."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.seq: int | None = None
        self.waiting: deque[Sent] | None = None
        """What came after a gap that is being mended; None while there is none."""


class Inbox:
    """Hears. `changed` is called when other topics than before are wanted.

    `offset` is how far the server's clock, by which publications are stamped, is ahead of ours, in seconds.
    """

    def __init__(self, own: Address, fetch: Fetch, changed: Callable[[], None]) -> None:
        self.offset = 0.0
        self._own, self._fetch, self._changed = own, fetch, changed
        self._listeners: list[Listener] = []
        self._tracks: dict[tuple[Address, Topic], _Track] = {}
        self._states: dict[tuple[Address, Topic], Publication] = {}
        self._boots: dict[Address, str] = {}
        self._held: dict[Address, deque[Sent]] = {}
        self._mending: set[asyncio.Task[None]] = set()
        self._since: dict[str, float] = {}
        self._told: set[Address] = set()
        self._log = logging.getLogger(f"pytel.xmpp.{own}")

    # what is wanted

    def subscribe(self, topic: Topic | None, receiver: Receiver, since: float) -> Listener:
        """Hear one topic (None: all) from now on; states known here come at once."""
        listener = Listener(self, topic, receiver, since)
        is_new = self._is_new(topic)
        self._listeners.append(listener)
        for publication in list(self._states.values()):
            if topic is None or publication.topic == topic:
                self._hand(receiver, publication)
        if is_new:
            self._changed()
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        """End a subscription; harmless when it has ended."""
        if listener not in self._listeners:
            return
        self._listeners.remove(listener)
        if self._is_new(listener.topic):
            self._forget_topics()
            self._changed()

    def _is_new(self, topic: Topic | None) -> bool:
        return all(known.topic is not None and known.topic != topic for known in self._listeners)

    def _forget_topics(self) -> None:
        """Forget how far what nobody listens to was heard: it is not followed any longer.

        Whoever wants it again, even at once, wants it since then: so publishers see that it is to be sent again.
        """
        followed = {name for known in self._listeners for name in _names(known.topic)}
        self._since = {name: since for name, since in self._since.items() if name in followed}
        for key in [key for key in self._tracks if not self._is_followed(key[1])]:
            del self._tracks[key]
        for key in [key for key in self._states if not self._is_followed(key[1])]:
            if key[0] != self._own:
                del self._states[key]

    def _is_followed(self, topic: Topic) -> bool:
        return any(known.topic in (None, topic) for known in self._listeners)

    def wants(self) -> Wants:
        """What publishers must be told."""
        wanted = {name: known.since for known in reversed(self._listeners) for name in _names(known.topic)}
        self._since = {name: self._since.get(name, since) for name, since in wanted.items()}
        return Wants({name: since + self.offset for name, since in self._since.items()})

    def was_away(self, since: float, until: float) -> None:
        """The link was lost for a while: events since then are still wanted, of states only those to come.

        The times differ from those told before in any case: publishers that did not see us go send again.
        """
        for name, known in self._since.items():
            self._since[name] = until if is_of_states(name) else max(math.nextafter(known, math.inf), since)

    # what comes

    def receive(self, publisher: Address, message: Element) -> None:
        """Take a notification in, for whose sender the server vouches."""
        if publisher == self._own:
            return  # heard when it was sent
        for topic, items in items_of(message):
            for item in items:
                try:
                    sent = decode_item(item, publisher, topic)
                except InvalidRequest as error:
                    self._complain(publisher, error.message)
                    continue
                self._take(sent)

    def own(self, publication: Publication, sent: float) -> None:
        """Hear oneself."""
        if publication.topic.kind == "state":
            self._states[publication.publisher, publication.topic] = publication
        self._deliver(Sent(publication=publication, sent=sent))

    def neighbour_changed(self, before: Neighbour | None, after: Neighbour | None) -> None:
        """A module came: what was held for it is heard; or it went: its states are gone."""
        if after is not None and after.peer is not None:
            address = after.peer.address
            self._boots[address] = after.peer.card.boot
            held = [sent for sent in self._held.pop(address, ()) if sent.publication.boot == self._boots[address]]
            for sent in held:
                self._take(sent)
        elif before is not None and before.peer is not None:
            address = before.peer.address
            self._boots.pop(address, None)
            for key in [key for key in self._states if key[0] == address]:
                del self._states[key]
            for key in [key for key in self._tracks if key[0] == address and key[1].kind == "state"]:
                del self._tracks[key]

    def _take(self, sent: Sent) -> None:
        publication = sent.publication
        publisher, topic = publication.publisher, publication.topic
        boot = self._boots.get(publisher)
        if publication.boot != boot:  # of an earlier start, or of one that has not shown itself yet
            self._held.setdefault(publisher, deque(maxlen=MAX_HELD)).append(sent)
            return
        if not self._is_followed(topic):
            return
        track = self._tracks.get((publisher, topic))
        if track is None or track.boot != boot:
            track = self._tracks[publisher, topic] = _Track(boot)
        if track.seq is not None and publication.seq <= track.seq:
            return
        if topic.kind == "state":
            track.seq = publication.seq
            self._states[publisher, topic] = publication
            self._deliver(sent)
        else:
            self._take_event(track, sent)

    def _take_event(self, track: _Track, sent: Sent) -> None:
        if track.waiting is not None:
            track.waiting.append(sent)
        elif track.seq is None or sent.publication.seq == track.seq + 1:
            track.seq = sent.publication.seq
            self._deliver(sent)
        else:
            track.waiting = deque([sent])
            work = self._mend(track, sent.publication)
            task = asyncio.get_running_loop().create_task(work, name=f"{self._own} mends a gap")
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)

    async def _mend(self, track: _Track, after_gap: Publication) -> None:
        """Fetch what was missed; what cannot be had is told as lost."""
        publisher, topic = after_gap.publisher, after_gap.topic
        found = await self._fetched(track.boot, after_gap, range((track.seq or 0) + 1, after_gap.seq))
        waiting, track.waiting = track.waiting or deque(), None
        heard = {sent.publication.seq: sent for sent in waiting}
        last = max(heard)
        begin = track.seq or 0
        told = sorted(seq for seq in heard.keys() | found.keys() if begin < seq <= last)
        for seq in told:
            if seq in heard:
                self._deliver(heard[seq])
            else:
                replayed = msgspec.structs.replace(found[seq].publication, replayed=True)
                self._deliver(msgspec.structs.replace(found[seq], publication=replayed))
        track.seq = last
        if lost := last - begin - len(told):
            self._log.error("%d events %s of %s are lost", lost, topic.name, publisher)

    async def _fetched(self, boot: str, after_gap: Publication, missing: range) -> dict[int, Sent]:
        """What the publisher's node has of a gap.

        The gap may lie further back than what came since, and the publisher may still be busy storing it.
        """
        publisher, topic = after_gap.publisher, after_gap.topic
        found: dict[int, Sent] = {}
        for pause, count in ((0.0, min(len(missing) + 5, MAX_GAP)), (0.0, MAX_GAP), *[(1.0, MAX_GAP)] * RETRIES):
            await asyncio.sleep(pause)
            try:
                items = [decode_item(item, publisher, topic) for item in await self._fetch(publisher, topic, count)]
            except ConnectionLost:
                continue  # the link comes back
            except PytelError as error:
                self._log.warning("events of %s by %s cannot be fetched: %s", topic.name, publisher, error.message)
                break
            found |= {sent.publication.seq: sent for sent in items if sent.publication.boot == boot}
            if all(seq in found for seq in missing):
                break
        return found

    def _deliver(self, sent: Sent) -> None:
        publication = sent.publication
        is_state = publication.topic.kind == "state"
        for listener in list(self._listeners):
            if listener.topic in (None, publication.topic) and (is_state or sent.sent - self.offset >= listener.since):
                self._hand(listener.receiver, publication)

    def _hand(self, receiver: Receiver, publication: Publication) -> None:
        """One receiver with a fault must not keep anything from the others."""
        try:
            receiver(publication)
        except Exception:  # noqa: BLE001 - whatever it is, it is in the log
            self._log.exception("a receiver of %s failed", publication.topic)

    def _complain(self, publisher: Address, message: str) -> None:
        if publisher not in self._told:
            self._told.add(publisher)
            self._log.warning("%s (told once for this publisher)", message)

    async def close(self) -> None:
        """Stop listening altogether."""
        self._listeners.clear()
        for task in list(self._mending):
            task.cancel()
        if self._mending:
            await asyncio.wait(list(self._mending))


def items_query(topic: Topic, count: int) -> str:
    """The question for the last items of a node."""
    return f"<pubsub xmlns='{PUBSUB}'><items node={attribute(str(topic))} max_items='{count}'/></pubsub>"


def items_in(answer: Element) -> list[Element]:
    """The items in the answer."""
    return answer.findall(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}items/{{{PUBSUB}}}item")


def _names(topic: Topic | None) -> tuple[str, ...]:
    return (ALL_EVENTS, ALL_STATES) if topic is None else (str(topic),)
