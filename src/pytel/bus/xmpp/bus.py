"""One module's connection to an XMPP server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from xml.etree.ElementTree import Element

from pytel.base import clock
from pytel.base.errors import Conflict, ConnectionLost, ModuleNotFound, PytelError, Timeout
from pytel.bus.address import Address
from pytel.bus.builtins import copied
from pytel.bus.contract import (
    Builtin,
    Bus,
    CallOptions,
    Card,
    Endpoint,
    Peer,
    PeerWatcher,
    Publication,
    Receiver,
    Subscription,
    Topic,
)
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.calls import Calls, is_call
from pytel.bus.xmpp.caps import OwnCaps
from pytel.bus.xmpp.config import Wire
from pytel.bus.xmpp.inbox import Inbox, items_in, items_query
from pytel.bus.xmpp.link import Link, Server
from pytel.bus.xmpp.names import (
    CLIENT,
    DISCO_INFO,
    PING,
    PYTEL_RPC,
    RESOURCE,
    RPC,
    TIME,
    Realm,
    attribute,
    child,
)
from pytel.bus.xmpp.neighbours import Neighbour, Neighbours, own_presence
from pytel.bus.xmpp.outbox import Outbox
from pytel.bus.xmpp.stanza_errors import error_stanza

PATIENCE = 60.0
"""Real seconds that a server may take to come up when a module opens its bus."""
TOLERATED_SKEW = 1.0
FAREWELL = 2.0
"""Real seconds that leaving may take while the server does not answer."""
CATCH_UP = 30.0
"""Real seconds after which all has come that was missed before a link: one that is lost sooner has missed it still."""
_IQ, _MESSAGE, _PRESENCE = (f"{{{CLIENT}}}{name}" for name in ("iq", "message", "presence"))
_OVERLAP = 1.0


class XmppBus(Bus):
    """A module (or a person) on an XMPP server.

    `password` is asked for at each log-in, so that it may be changed meanwhile. `resource` is fixed for modules; with
    it a second copy is refused. `wire` is the form of calls between modules of pytel.
    """

    def __init__(
        self,
        address: Address,
        server: Server,
        password: Callable[[], Awaitable[str]],
        access: Access,
        *,
        realm: Realm | None = None,
        wire: Wire = "json",
        resource: str = RESOURCE,
        patience: float = PATIENCE,
    ) -> None:
        self.address = address
        self._realm = realm or Realm(server.domain)
        self._access, self._wire, self._patience = access, wire, patience
        account = self._realm.bare_jid(address).partition("@")[0]
        self._link = Link(
            server,
            account,
            resource,
            password,
            inbound=self._inbound,
            on_up=self._announce,
            on_down=self._link_lost,
        )
        self._calls = Calls(self._link, self._realm, access)
        self._outbox = Outbox(self._link)
        self._inbox = Inbox(address, self._fetch, self._wants_changed)
        self._neighbours = Neighbours(self._realm, access, self._ask, self._neighbour_changed, self._link.full_jid)
        self._card: Card | None = None
        self._caps = OwnCaps(())
        self._seq: dict[Topic, int] = {}
        self._watchers: list[PeerWatcher] = []
        self._present: list[Peer] | None = None
        """Every module that is present, sorted; None when it is to be found anew. Each call by interface asks."""
        self._away_since = 0.0
        self._announced_at: float | None = None
        self._is_presence_due = False
        self._log = logging.getLogger(f"pytel.xmpp.{account}")

    @property
    def is_up(self) -> bool:
        """Whether there is a link to the server, and all is announced on it."""
        return self._link.is_up

    @property
    def is_connected(self) -> bool:
        """Whether it has its own link."""
        return self._link.is_up

    @property
    def wants_link(self) -> bool:
        """Whether it was opened, and is neither closed nor ended."""
        return self._link.is_kept

    @property
    def bare_jid(self) -> str:
        """The account."""
        return self._link.bare_jid

    # life

    async def open(self, endpoint: Endpoint, card: Card) -> None:
        """Log in, appear to the others, and serve calls.

        Raises `Conflict` when the address is taken, `ConnectionLost` when no server comes up, `NotAllowed`.
        """
        if self._link.resource == RESOURCE:
            await self._refuse_second()
        self._card, self._present = card, None
        self._calls.endpoint = endpoint
        self._caps = OwnCaps((PYTEL_RPC, RPC, PING, *card.interfaces))
        self._neighbours.know(self._caps.ver, frozenset(self._caps.features))
        self._tell_watchers(Peer(address=self.address, card=card), True)
        await self._link.open(self._patience)

    async def _refuse_second(self) -> None:
        until = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                is_taken = await self._link.is_taken()
                break
            except (ConnectionLost, Timeout):
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.3)
        if is_taken:
            raise Conflict(f"a module called {self.address} is on the bus already; stop it or choose another name")

    async def close(self) -> None:
        """Disappear and disconnect, when what was published is out; calls under way fail with `ConnectionLost`."""
        await self._calls.close()
        if self._link.is_up:
            await self._outbox.drained(FAREWELL)
            await self._settled(FAREWELL)
        await self._link.close("<presence type='unavailable'/>")
        self._neighbours.clear()
        await self._inbox.close()
        self._watchers.clear()

    async def _settled(self, deadline: float) -> None:
        """Let come in what the server has for us: somebody may have begun to listen just now."""
        with contextlib.suppress(PytelError):
            await self._link.query("get", self._link.server.domain, f"<ping xmlns='{PING}'/>", deadline)

    def drop(self) -> None:
        """Vanish at once, as a killed process does."""
        self._link.drop()
        self._calls.drop()
        self._watchers.clear()
        self._neighbours.clear()

    async def until_ended(self) -> PytelError:
        """Wait until the bus has ended for good (another copy has logged in), and tell why."""
        await self._link.ended.wait()
        return self._link.fate or ConnectionLost(f"{self.address} has left")

    async def _announce(self) -> None:
        """Say again all that others must know, on a new stream; returns when the server has taken it."""
        self._compare_clocks(await self._link.query("get", self._link.server.domain, f"<time xmlns='{TIME}'/>", 10.0))
        if self._announced_at is not None:
            await self._outbox.remind(self._last_own_item)
            self._inbox.was_away(self._away_since, clock.real_time())
        self._announced_at = clock.real_time()
        self._outbox.link_is_up()
        self._send_presence()
        await self._link.query("get", self._link.server.domain, f"<ping xmlns='{PING}'/>", 10.0)

    async def _last_own_item(self, topic: Topic) -> str | None:
        try:
            items = await self._fetch(self.address, topic, 1)
        except ModuleNotFound:  # there is no such node any longer
            return None
        return items[-1].get("id") if items else None

    def _link_lost(self, error: PytelError) -> None:
        if self._announced_at is not None and clock.real_time() - self._announced_at > CATCH_UP:
            self._away_since = self._link.last_word_at - _OVERLAP
        self._neighbours.clear()

    def _compare_clocks(self, answer: Element) -> None:
        offset = _offset(answer)
        is_off = offset is not None and abs(offset) > TOLERATED_SKEW
        if is_off:
            self._log.warning("the clock here and that of the server differ by %.1f s; calls are corrected", offset)
        self._calls.offset = self._inbox.offset = offset if offset is not None and is_off else 0.0

    # presence

    def _send_presence(self) -> None:
        if self._card is not None:
            wants = self._inbox.wants()
            self._link.write(own_presence(self._card.boot, self._card.primary, self._caps.element(), wants))

    def _wants_changed(self) -> None:
        if self._link.can_write and not self._is_presence_due:
            self._is_presence_due = True
            asyncio.get_running_loop().call_soon(self._show_wants)

    def _show_wants(self) -> None:
        self._is_presence_due = False
        if self._link.can_write:
            self._send_presence()

    def _neighbour_changed(self, before: Neighbour | None, after: Neighbour | None) -> None:
        self._present = None
        self._outbox.neighbour_changed(before, after)
        if after is None and before is not None:
            self._link.fail_queries_to(before.jid, ConnectionLost(f"{before.bare_jid} left while it was called"))
        was, now = (known.peer if known is not None else None for known in (before, after))
        if now is not None and now != was:
            self._tell_watchers(now, True)
        elif was is not None and now is None:
            self._tell_watchers(was, False)
        self._inbox.neighbour_changed(before, after)

    def _tell_watchers(self, peer: Peer, present: bool) -> None:
        for watcher in list(self._watchers):
            try:
                watcher(peer, present)
            except Exception:  # noqa: BLE001 - one with a fault must not keep anything from the others, nor the link down
                self._log.exception("a watcher of peers failed")

    def peers(self) -> list[Peer]:
        """The modules present now, this one included, sorted by address."""
        if self._present is None:
            found = [neighbour.peer for neighbour in self._neighbours.all() if neighbour.peer is not None]
            if self._card is not None:
                found.append(Peer(address=self.address, card=self._card))
            self._present = sorted(found, key=lambda peer: str(peer.address))
        return list(self._present)

    def watch_peers(self, watcher: PeerWatcher) -> Subscription:
        """Hear of modules that come and go; those present are told at once."""
        self._watchers.append(watcher)
        for peer in self.peers():
            watcher(peer, True)
        return _Watching(self._watchers, watcher)

    # what comes in

    def _inbound(self, stanza: Element) -> None:
        if stanza.tag == _IQ:
            self._query_came(stanza)
        elif stanza.tag == _MESSAGE:
            self._message_came(stanza)
        elif stanza.tag == _PRESENCE:
            if stanza.get("type") == "unavailable":  # whoever comes back has lost what he was asked
                jid = stanza.get("from", "")
                self._link.fail_queries_to(jid, ConnectionLost(f"{jid.partition('/')[0]} left while it was called"))
            self._neighbours.receive(stanza)

    def _message_came(self, stanza: Element) -> None:
        sender = stanza.get("from", "") or self._link.bare_jid
        bare = sender.partition("/")[0]
        address = self._realm.address(bare)
        if address is not None and stanza.get("type") != "error" and self._access.is_module(bare):
            self._inbox.receive(address, stanza)

    def _query_came(self, stanza: Element) -> None:
        payload = stanza[0] if len(stanza) else None
        if payload is not None and is_call(stanza, payload):
            self._calls.serve(stanza, payload)
            return
        answer = self._own_answer(stanza.get("type"), payload)
        sender, identity = stanza.get("from"), attribute(stanza.get("id", ""))
        to = attribute(sender) if sender else attribute(self._link.bare_jid)
        if answer is None:
            self._link.write(error_stanza("cancel", identity, to, "service-unavailable"))
        elif sender:
            self._link.write(f"<iq type='result' id={identity} to={to}>{answer}</iq>")
        else:
            self._link.write(f"<iq type='result' id={identity}>{answer}</iq>")

    def _own_answer(self, kind: str | None, payload: Element | None) -> str | None:
        if kind == "get" and payload is not None:
            if payload.tag == f"{{{DISCO_INFO}}}query":
                return self._caps.info(payload.get("node"))
            if payload.tag == f"{{{PING}}}ping":
                return ""
        return None

    # the contract

    async def call(
        self,
        target: Address,
        method: str,
        params: Mapping[str, Builtin] | Sequence[Builtin],
        options: CallOptions,
    ) -> Builtin:
        """Call a method. Raises what the callee raised, `ModuleNotFound`, `ConnectionLost`, `Timeout`."""
        plain = self._wire == "xep-0009" or self._takes_only_plain(target)
        return await self._calls.call(target, method, params, options, plain=plain)

    def _takes_only_plain(self, target: Address) -> bool:
        neighbour = self._neighbours.get(self._realm.bare_jid(target))
        return neighbour is not None and PYTEL_RPC not in neighbour.features

    def publish(self, topic: Topic, data: Builtin, time: float) -> None:
        """Send a state (its last value is kept) or an event to whoever listens."""
        if self._card is None:
            raise ConnectionLost(f"{self.address} is not on the bus")
        seq = self._seq.get(topic, 0) + 1
        publication = Publication(
            publisher=self.address, topic=topic, seq=seq, boot=self._card.boot, time=time, data=copied(data)
        )
        sent = clock.real_time() + self._calls.offset
        self._outbox.put(publication, sent)
        self._seq[topic] = seq
        self._inbox.own(publication, sent)

    def subscribe(self, topic: Topic | None, receiver: Receiver) -> Subscription:
        """Hear one topic (None: all) of every module."""
        return self._inbox.subscribe(topic, receiver, clock.real_time())

    async def _ask(self, jid: str, content: str) -> Element:
        return await self._link.ask("get", jid, content)

    async def _fetch(self, publisher: Address, topic: Topic, count: int) -> list[Element]:
        answer = await self._link.ask("get", self._realm.bare_jid(publisher), items_query(topic, count))
        return items_in(answer)


class _Watching:
    def __init__(self, watchers: list[PeerWatcher], watcher: PeerWatcher) -> None:
        self._watchers, self._watcher = watchers, watcher

    def cancel(self) -> None:
        if self._watcher in self._watchers:
            self._watchers.remove(self._watcher)


def _offset(answer: Element) -> float | None:
    """How far the clock of who answered (XEP-0202) is ahead; None when it does not say."""
    told = child(answer, TIME, "time")
    utc = child(told, TIME, "utc") if told is not None else None
    if utc is None or not utc.text:
        return None
    try:
        time = datetime.fromisoformat(utc.text).timestamp()
    except ValueError:
        return None
    half = 0.0 if "." in utc.text else 0.5  # whole seconds are cut off
    return time + half - clock.real_time()
