"""Who else is there: presence, with what each module shows of itself and wants to hear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from xml.etree.ElementTree import Element

import msgspec

from pytel.base.errors import PytelError, Timeout
from pytel.bus.address import Address
from pytel.bus.contract import Card, Peer
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.caps import announced, query_for, verified_features
from pytel.bus.xmpp.names import PING, PYTEL, RESOURCE, Realm, attribute, child, text

ALL_EVENTS = "urn:pytel:event:*"
ALL_STATES = "urn:pytel:state:*"
_INTERFACE = "urn:pytel:interface:"
_WANT = f"{{{PYTEL}}}want"
MAX_WANTS = 200
ATTEMPTS = 6
"""How often somebody is asked what he is who does not answer in time."""
Ask = Callable[[str, str], Awaitable[Element]]
"""Sends a query (full JID, content) and returns the answer; raises `PytelError`."""


def is_of_states(wanted: str) -> bool:
    """Whether what is wanted are states."""
    return wanted.startswith("urn:pytel:state:")


class Wants(msgspec.Struct, frozen=True):
    """What somebody wants to hear: topics (or all of a kind), each since when.

    Real UTC in Unix seconds: what was published since then is still wanted.
    """

    since: dict[str, float] = {}

    def element(self) -> str:
        """How it stands in a presence."""
        return "".join(f"<want since='{since!r}'>{text(topic)}</want>" for topic, since in self.since.items())

    @classmethod
    def of(cls, module: Element) -> Wants:
        """Read it; what is misshapen is not wanted."""
        found: dict[str, float] = {}
        for item in list(module.iterfind(_WANT))[:MAX_WANTS]:
            try:
                found[item.text or ""] = float(item.get("since", "nan"))
            except ValueError:
                continue
        return cls(found)


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is present: `peer` is None for who is no module. A person may have several at once."""

    jid: str
    features: frozenset[str]
    wants: Wants
    peer: Peer | None

    @property
    def bare_jid(self) -> str:
        """The account."""
        return self.jid.partition("/")[0]


def own_presence(boot: str, primary: bool, caps: str, wants: Wants) -> str:
    """The presence of a module."""
    first = " primary='true'" if primary else ""
    return (
        f"<presence>{caps}<module xmlns='{PYTEL}' boot={attribute(boot)}{first}>{wants.element()}</module></presence>"
    )


class Neighbours:
    """Follows presences. `changed` hears of each neighbour that came, changed (with what it was before), or went."""

    def __init__(
        self,
        realm: Realm,
        access: Access,
        ask: Ask,
        changed: Callable[[Neighbour | None, Neighbour | None], None],
        own_jid: str,
    ) -> None:
        self._realm, self._access, self._ask, self._changed = realm, access, ask, changed
        self._own_jid = own_jid
        self._known: dict[str, Neighbour] = {}
        self._checking: dict[str, asyncio.Task[None]] = {}
        """Who is asked what he is, or whether he is gone."""
        self._features: dict[str, frozenset[str]] = {}
        """What hashes of modules stand for."""
        self._asked: dict[str, asyncio.Future[frozenset[str]]] = {}
        self._room = asyncio.Semaphore(8)
        self._log = logging.getLogger("pytel.xmpp.presence")

    def get(self, bare_jid: str) -> Neighbour | None:
        """The module that is present under an account."""
        return self._known.get(f"{bare_jid}/{RESOURCE}")

    def all(self) -> list[Neighbour]:
        """Everybody who is present."""
        return list(self._known.values())

    def know(self, ver: str, features: frozenset[str]) -> None:
        """Remember what a hash stands for."""
        self._features[ver] = features

    def receive(self, presence: Element) -> None:
        """Take a presence in."""
        jid = presence.get("from", "")
        bare = jid.partition("/")[0]
        if not jid or jid == self._own_jid or self._access.role(bare) is None:
            return
        kind = presence.get("type")
        if kind == "unavailable":
            self._left(jid)
        elif kind is None:
            self._came(jid, presence)

    def clear(self) -> None:
        """Everybody is gone: the link was lost."""
        for task in list(self._checking.values()):
            task.cancel()
        self._checking.clear()
        for jid in list(self._known):
            self._changed(self._known.pop(jid), None)

    def _left(self, jid: str) -> None:
        if (task := self._checking.pop(jid, None)) is not None:
            task.cancel()
        if jid in self._known:
            self._checking[jid] = asyncio.create_task(self._confirm_leaving(jid), name=f"is {jid} gone?")

    def _forget(self, jid: str) -> None:
        if (known := self._known.pop(jid, None)) is not None:
            self._changed(known, None)

    async def _confirm_leaving(self, jid: str) -> None:
        """Let somebody go, unless he answers.

        After a link that broke in silence a server may notice the end of the old session long after the next one has
        begun, and then tells everybody that the account, which has the same name, is gone.
        """
        try:
            await self._ask(jid, f"<ping xmlns='{PING}'/>")
        except PytelError:
            self._forget(jid)
        finally:
            if self._checking.get(jid) is asyncio.current_task():
                del self._checking[jid]

    def _came(self, jid: str, presence: Element) -> None:
        if (task := self._checking.pop(jid, None)) is not None:
            task.cancel()
        module = child(presence, PYTEL, "module")
        if module is None:
            if jid in self._known and self._known[jid].peer is not None:  # another program has taken the name
                self._forget(jid)
            return
        is_module = self._access.is_module(jid.partition("/")[0])
        told = (
            announced(presence) if is_module else None
        )  # a person's features are nobody's business, nor worth a query
        if told is None:
            self._settle(jid, module, frozenset())
        elif told[1] in self._features:
            self._settle(jid, module, self._features[told[1]])
        else:
            work = self._look_up(jid, module, *told)
            self._checking[jid] = asyncio.create_task(work, name=f"capabilities of {jid}")

    async def _look_up(self, jid: str, module: Element, node: str, ver: str) -> None:
        try:
            features = await self._patiently(jid, node, ver)
        except PytelError as error:
            self._log.warning("%s is not taken in: it does not tell what it is (%s)", jid, error.message)
            return
        finally:
            if self._checking.get(jid) is asyncio.current_task():
                del self._checking[jid]
        self._settle(jid, module, features)

    async def _patiently(self, jid: str, node: str, ver: str) -> frozenset[str]:
        """Ask again who has no time to answer: a module that is busy when we come must not be overlooked for ever."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._features_of(jid, node, ver)
            except Timeout as error:
                self._log.info("%s is asked again what it is: %s", jid, error.message)
        return await self._features_of(jid, node, ver)

    async def _features_of(self, jid: str, node: str, ver: str) -> frozenset[str]:
        """Ask what a hash stands for; many with one hash are asked once."""
        if ver not in self._asked:
            self._asked[ver] = asyncio.ensure_future(self._fetch(jid, node, ver))
            self._asked[ver].add_done_callback(lambda done: self._answered(ver, done))
        try:
            return await asyncio.shield(self._asked[ver])
        except PytelError:
            if ver in self._features:
                return self._features[ver]
            return await self._fetch(jid, node, ver)  # the one who was asked has gone meanwhile

    def _answered(self, ver: str, done: asyncio.Future[frozenset[str]]) -> None:
        self._asked.pop(ver, None)
        if not done.cancelled():
            done.exception()  # those who wait for it are told

    async def _fetch(self, jid: str, node: str, ver: str) -> frozenset[str]:
        async with self._room:
            answer = await self._ask(jid, query_for(node, ver))
        self._features[ver] = features = verified_features(answer, ver)
        return features

    def _settle(self, jid: str, module: Element, features: frozenset[str]) -> None:
        before = self._known.get(jid)
        neighbour = Neighbour(
            jid=jid, features=features, wants=Wants.of(module), peer=self._peer(jid, module, features)
        )
        if before is not None and _boot(before) != _boot(neighbour):  # started anew, and was not seen to go
            self._changed(self._known.pop(jid), None)
            before = None
        self._known[jid] = neighbour
        self._changed(before, neighbour)

    def _peer(self, jid: str, module: Element, features: frozenset[str]) -> Peer | None:
        bare, _, resource = jid.partition("/")
        address: Address | None = self._realm.address(bare)
        boot = module.get("boot", "")
        if address is None or resource != RESOURCE or not boot or not self._access.is_module(bare):
            return None
        interfaces = tuple(sorted(feature for feature in features if feature.startswith(_INTERFACE)))
        card = Card(interfaces=interfaces, boot=boot, primary=module.get("primary") == "true")
        return Peer(address=address, card=card)


def _boot(neighbour: Neighbour) -> str | None:
    return neighbour.peer.card.boot if neighbour.peer else None
