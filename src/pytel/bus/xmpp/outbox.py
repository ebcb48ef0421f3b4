"""What a module publishes: straight to the modules that want it, and into the nodes of its own account.

The nodes (PEP) keep what is fetched after a gap, and serve every XMPP client that announces `NODE+notify`. Modules of
pytel say in their presence what they want, and are sent it as the notification that a node would send: servers differ
in whom they notify, and when, and it takes them ten times as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from xml.etree.ElementTree import Element

from pytel.base.errors import ConnectionLost, PytelError
from pytel.bus.contract import Publication, Topic
from pytel.bus.xmpp.item import direct_message, encode_item
from pytel.bus.xmpp.link import Link
from pytel.bus.xmpp.names import FORMS, PUBLISH_OPTIONS, PUBSUB, attribute
from pytel.bus.xmpp.neighbours import ALL_EVENTS, ALL_STATES, Neighbour
from pytel.bus.xmpp.stanza_errors import condition_of, error_of

KEPT_EVENTS = 200
"""Items that a node keeps; as many are kept here for who could not hear them yet."""
KEPT_STATES = 20
"""States kept for who has begun to listen and is not known yet; a node keeps the last one."""
ACKNOWLEDGE = 15.0
STORE_AFTER = 0.01
"""Real seconds between the sending of a publication and its storing."""
WINDOW = 8
"""Items that the server is given to store at a time: what comes behind them on the stream waits, calls too."""
_PUBLISH = f"<pubsub xmlns='{PUBSUB}'><publish node={{node}}>{{item}}</publish>{{options}}</pubsub>"
_WRONG_OPTIONS = {"conflict", "resource-constraint", "not-acceptable", "feature-not-implemented", "bad-request"}


def _options(topic: Topic) -> str:
    count = KEPT_EVENTS if topic.kind == "event" else 1
    wanted = {"persist_items": "1", "access_model": "open", "max_items": str(count)}
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in sorted(wanted.items())
    )
    head = f"<field var='FORM_TYPE' type='hidden'><value>{PUBLISH_OPTIONS}</value></field>"
    return f"<publish-options><x xmlns='{FORMS}' type='submit'>{head}{fields}</x></publish-options>"


def _all_of(topic: Topic) -> str:
    return ALL_STATES if topic.kind == "state" else ALL_EVENTS


class _Kept:
    """One publication: its item, whether the server was given it, and whether it has said that it has it."""

    __slots__ = ("is_given", "is_stored", "item", "sent")

    def __init__(self, item: str, sent: float) -> None:
        self.item, self.sent = item, sent
        self.is_given = self.is_stored = False


class _Node:
    """One topic of this module: the last items, and how the server takes them."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.kept: deque[_Kept] = deque(maxlen=KEPT_EVENTS if topic.kind == "event" else KEPT_STATES)
        self.is_made = False
        """Whether the node is known to exist with our options: until then one item goes at a time."""
        self.being_made: _Kept | None = None

    def unstored(self) -> list[_Kept]:
        """What the server should have and has not: of a state only the last."""
        wanted = list(self.kept) if self.topic.kind == "event" else [self.kept[-1]]
        return [kept for kept in wanted if not kept.is_stored]

    def since(self, time: float) -> list[str]:
        """The items sent since a time, and the last one of a state in any case."""
        found = [kept.item for kept in self.kept if kept.sent >= time]
        return found or ([self.kept[-1].item] if self.topic.kind == "state" else [])


class Outbox:
    """Publishes; what the server has not taken when the link is lost goes again when it is back, under the same id."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._nodes: dict[Topic, _Node] = {}
        self._direct: dict[str, frozenset[str]] = {}
        self._taken = asyncio.Event()
        self._window: float = WINDOW
        self._under_way = 0
        self._waiting: dict[_Node, None] = {}
        """Nodes with items that the window has no room for, the first to wait first."""
        self._log = logging.getLogger(f"pytel.xmpp.{link.account}")

    def put(self, publication: Publication, sent: float) -> None:
        """Publish. Raises `LimitExceeded` for what is too large; without a link it waits for the next one."""
        kept = _Kept(encode_item(publication, sent), sent)
        node = self._nodes.get(publication.topic)
        if node is None:
            node = self._nodes[publication.topic] = _Node(publication.topic)
        node.kept.append(kept)
        if self._link.can_write:
            self._send(node.topic, kept.item)
            self._store_soon(node)

    def link_is_up(self) -> None:
        """Send what the server does not have, and the last states in any case: it may have lost its memory."""
        self._waiting.clear()
        for node in self._nodes.values():
            node.is_made, node.being_made = False, None
            for kept in node.kept:
                kept.is_given = kept.is_stored = kept.is_stored and node.topic.kind == "event"
            self._store_next(node)

    async def remind(self, last_item: Callable[[Topic], Awaitable[str | None]]) -> None:
        """Find which events the server has forgotten, to give them anew; `last_item` tells the id of its last one."""
        for node in list(self._nodes.values()):
            stored = [kept for kept in node.kept if kept.is_stored and node.topic.kind == "event"]
            if stored:
                identity = f"id={attribute(await last_item(node.topic) or '')}"
                known = max((number for number, kept in enumerate(stored) if identity in kept.item), default=-1)
                for kept in stored[known + 1 :]:
                    kept.is_stored = False

    async def drained(self, deadline: float) -> None:
        """Give the server all that was published, and wait until it has it or has no more time for it."""
        self._window = float("inf")
        self._go_on()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while self._link.can_write and any(node.unstored() for node in self._nodes.values()):
                    self._taken.clear()
                    await self._taken.wait()

    # into the nodes

    def _store_soon(self, node: _Node) -> None:
        """Give the server an item to store when it has sent it out: storing takes it longer, and listeners wait."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(STORE_AFTER, self._go_on)
        self._waiting[node] = None

    def _store(self, node: _Node, kept: _Kept) -> None:
        if self._under_way >= self._window:
            self._waiting[node] = None
        elif node.is_made:
            self._write(node, kept, "")
        elif node.being_made is None:
            node.being_made = kept
            self._write(node, kept, _options(node.topic))

    def _store_next(self, node: _Node) -> None:
        """Send what waits: the first with our options, and all others when the node is known to be made."""
        for kept in node.unstored():
            if not kept.is_given:
                self._store(node, kept)
                if not kept.is_given:
                    return

    def _go_on(self) -> None:
        while self._waiting and self._under_way < self._window and self._link.can_write:
            node = next(iter(self._waiting))
            del self._waiting[node]
            self._store_next(node)

    def _write(self, node: _Node, kept: _Kept, options: str) -> None:
        kept.is_given = True
        content = _PUBLISH.format(node=attribute(str(node.topic)), item=kept.item, options=options)
        try:
            answer = self._link.query("set", None, content, ACKNOWLEDGE)
        except ConnectionLost:
            return  # it goes with the next link
        self._under_way += 1
        answer.add_done_callback(lambda done: self._stored(node, kept, done))

    def _stored(self, node: _Node, kept: _Kept, done: asyncio.Future[Element]) -> None:
        self._under_way -= 1
        self._taken.set()
        self._settle(node, kept, done)
        self._go_on()

    def _settle(self, node: _Node, kept: _Kept, done: asyncio.Future[Element]) -> None:
        was_making = node.being_made is kept
        if done.cancelled() or done.exception() is not None:
            if was_making:
                node.being_made = None
            return
        answer = done.result()
        if answer.get("type") == "error":
            self._refused(node, kept, answer, was_making)
            return
        kept.is_stored = True
        if was_making:
            node.being_made, node.is_made = None, True
            self._store_next(node)

    def _refused(self, node: _Node, kept: _Kept, answer: Element, was_making: bool) -> None:
        condition, _ = condition_of(answer)
        if was_making and condition in _WRONG_OPTIONS:  # the server has settings of its own for our nodes
            node.being_made, node.is_made = None, True
            kept.is_given = False
            self._store_next(node)
            return
        kept.is_stored = True  # asking again would not help
        error: PytelError = error_of(answer, "the server")
        self._log.error("%s was not published: %s", node.topic, error.message)
        if was_making:
            node.being_made = None
            self._store_next(node)

    # straight to listeners

    def neighbour_changed(self, before: Neighbour | None, after: Neighbour | None) -> None:
        """Somebody wants to hear more or less than before; what was published since then is sent at once."""
        if after is None:
            if before is not None:
                self._direct.pop(before.jid, None)
            return
        known = before.wants.since if before is not None else {}
        self._direct[after.jid] = frozenset(after.wants.since)
        if not self._direct[after.jid]:
            del self._direct[after.jid]
        for wanted, since in after.wants.since.items():
            if known.get(wanted) != since:
                self._catch_up(after.jid, wanted, since)

    def _catch_up(self, jid: str, wanted: str, since: float) -> None:
        for node in list(self._nodes.values()):
            if wanted in (str(node.topic), _all_of(node.topic)):
                self._write_all([direct_message(jid, node.topic, item) for item in node.since(since)])

    def _send(self, topic: Topic, item: str) -> None:
        if self._direct:
            names = {str(topic), _all_of(topic)}
            listeners = [jid for jid, wanted in self._direct.items() if not names.isdisjoint(wanted)]
            self._write_all([direct_message(jid, topic, item) for jid in listeners])

    def _write_all(self, messages: list[str]) -> None:
        if messages:
            with contextlib.suppress(ConnectionLost):  # who listens notices by the numbers
                self._link.write("".join(messages))
