"""One module's connection to an observatory whose modules speak HTTP with each other."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec

from pytel.base import clock
from pytel.base.errors import ConfigError, ConnectionLost, ModuleNotFound, Timeout
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.builtins import copied
from pytel.bus.contract import (
    Builtin,
    Bus,
    Call,
    CallOptions,
    Card,
    Endpoint,
    Origin,
    Peer,
    PeerWatcher,
    Publication,
    Receiver,
    Subscription,
    Topic,
)
from pytel.bus.http.accounts import Accounts
from pytel.bus.http.app import Asker, make_app
from pytel.bus.http.client import Client, make_session
from pytel.bus.http.config import Listen, Tls, checked_url, is_safe
from pytel.bus.http.credentials import Doorkeeper, Signer, proof
from pytel.bus.http.link import Link
from pytel.bus.http.listener import Listener, client_context
from pytel.bus.http.outbox import Outbox
from pytel.bus.http.reception import Reception
from pytel.bus.http.rpc import RpcService
from pytel.bus.http.serving import Serving
from pytel.bus.people import AccountsFile

FIRST_LOOK = 2.5
"""Real seconds that `open` waits until those of the other modules that are there and this one have met."""


class HttpBus(Bus):
    """One module: its server, and its links to the others.

    `listen` None makes a guest, who calls and hears and is no module to the others (a gateway, a command). `peers` are
    the addresses (URLs) of the other modules, `people` those who may log in here. Raises `ConfigError` for what would
    let others read along on the network (unless `insecure`).
    """

    def __init__(
        self,
        address: Address,
        *,
        accounts: Accounts,
        listen: Listen | None,
        peers: Mapping[Address, str],
        people: AccountsFile | None = None,
        tls: Tls | None = None,
        insecure: bool = False,
    ) -> None:
        self.address = address
        self.log = logging.getLogger(f"pytel.bus.http.{address}")
        self._accounts, self._tls, self._insecure = accounts, tls, insecure
        self._urls: dict[Address, str] = {}
        self._reception = Reception(self.log)
        self._serving = Serving(address)
        self._links: dict[Address, Link] = {}
        self._following: dict[Address, asyncio.Task[None]] = {}
        self._card: Card | None = None
        self._session: aiohttp.ClientSession | None = None
        self._is_open = False
        self.rpc = RpcService(address, self._serving.serve)
        self.outbox = Outbox("")
        self.people = people
        self.doorkeeper = Doorkeeper(accounts, people, str(address))
        self._listener = self._make_listener(listen) if listen else None
        for peer, url in peers.items():
            self.add_peer(peer, url)

    def _make_listener(self, listen: Listen) -> Listener:
        if listen.needs_tls and self._tls is None and not self._insecure:
            raise ConfigError(
                f"{self.address} would listen on {listen.host}, where passwords could be read on the way: give a "
                "certificate (http: tls), or say http: insecure: true"
            )
        return Listener(make_app(self), listen, self._tls)

    def add_peer(self, peer: Address, url: str) -> None:
        """Know of one more module. Raises `ConfigError`."""
        if not (self._insecure or is_safe(checked_url(url))):
            raise ConfigError(f"{peer} would be called at {url} in clear: write https, or say http: insecure: true")
        if peer != self.address:
            self._urls[peer] = url
            if self._is_open:
                self._follow(peer)

    # life

    async def open(self, endpoint: Endpoint, card: Card) -> None:
        """Serve, appear to the others, and learn which of them are there.

        Raises `Conflict` when the port (and so the address) is taken, `ConfigError` for what only a person can mend.
        """
        if self._is_open:
            raise ConfigError(f"{self.address} is on the bus already")
        await in_thread(self._accounts.prepare)
        self._accounts.secret_of(str(self.address))
        self._card = card
        self.outbox = Outbox(card.boot)
        if self._listener is not None:
            await self._listener.start(str(self.address))
        self._is_open = True
        self._serving.open(endpoint)
        context = await in_thread(client_context, self._tls.ca) if self._tls else None
        self._session = make_session(context)
        self._reception.appeared(Peer(address=self.address, card=card))
        for peer in self._urls:
            self._follow(peer)
        is_guest = self._listener is None
        looks = [asyncio.create_task(link.met(mutually=not is_guest)) for link in self._links.values()]
        if looks:
            _, late = await asyncio.wait(looks, timeout=FIRST_LOOK)
            for look in late:
                look.cancel()
            if late:
                await asyncio.wait(late)

    def _follow(self, peer: Address) -> None:
        if self._session is None or self._card is None or peer in self._links:
            return
        secret = self._accounts.secret_of(str(peer))
        client = Client(self._session, self._signer(), peer, self._urls[peer])
        link = Link(peer, client, secret, self._card.boot, self._reception, self.outbox, self.log)
        self._links[peer] = link
        # What it hears is nobody's doing: no context goes along.
        task = asyncio.get_running_loop().create_task(link.run(), name=f"link to {peer}", context=contextvars.Context())
        self._following[peer] = task

    def _signer(self) -> Signer:
        return Signer(str(self.address), self._accounts.secret_of(str(self.address)))

    async def close(self) -> None:
        """Disappear and disconnect; calls under way fail with `ConnectionLost`."""
        self._is_open = False
        self._serving.stop()
        self.outbox.end()
        for task in self._following.values():
            task.cancel()
        if self._listener is not None:
            await self._listener.stop()
        if tasks := list(self._following.values()):
            await asyncio.wait(tasks)
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._links.clear()
        self._following.clear()
        self._reception.forget_all()
        await self._serving.ended()

    def drop(self) -> None:
        """Vanish at once, as a killed process does; `close` tidies up after it."""
        self._is_open = False
        self._serving.stop()
        if self._listener is not None:
            self._listener.abort()
        for task in self._following.values():
            task.cancel()
        self._reception.forget_all()

    # calls

    async def call(
        self,
        target: Address,
        method: str,
        params: Mapping[str, Builtin] | Sequence[Builtin],
        options: CallOptions,
    ) -> Builtin:
        """Call a method of another module, or of this one."""
        if not self._is_open:
            raise ConnectionLost(f"{self.address} is not connected, so {target} cannot be called")
        if target == self.address:
            return await self._call_self(method, params, options)
        link = self._links.get(target)
        if link is None:
            raise ModuleNotFound(f"no module called {target} is on the bus; does the site file know it?")
        return await link.call(method, params, options)

    async def _call_self(
        self, method: str, params: Mapping[str, Builtin] | Sequence[Builtin], options: CallOptions
    ) -> Builtin:
        caller = self._accounts.caller(str(self.address))
        call = Call(
            method=method,
            params=copied(params),
            caller=caller,
            origin=options.origin or Origin(caller.address, caller.role),
            expires=clock.real_time() + options.timeout,
            call_id=options.call_id,
            boot=options.boot,
        )
        try:
            async with asyncio.timeout(options.timeout):
                return copied(await self._serving.serve(call))
        except TimeoutError:
            raise Timeout(f"{self.address}.{method} did not answer within {options.timeout:g} s") from None

    # states, events, presence

    def publish(self, topic: Topic, data: Builtin, time: float) -> None:
        """Send a state (its last value is kept) or an event to whoever listens."""
        if self._card is None:
            raise ConnectionLost(f"{self.address} is not on the bus")
        publication = Publication(
            publisher=self.address,
            topic=topic,
            seq=self.outbox.next_seq(topic),
            boot=self._card.boot,
            time=time,
            data=copied(data),
        )
        self.outbox.add(publication)
        if self._is_open:
            self._reception.hear(publication)

    def subscribe(self, topic: Topic | None, receiver: Receiver) -> Subscription:
        """Hear one topic (None: all) of every module; last states come at once."""
        return self._reception.subscribe(topic, receiver)

    def peers(self) -> list[Peer]:
        """The modules present now, this one included, sorted by address."""
        return self._reception.peers()

    def watch_peers(self, watcher: PeerWatcher) -> Subscription:
        """Hear of modules that come and go; those present are told at once."""
        return self._reception.watch_peers(watcher)

    # what the server asks for

    def card(self) -> Builtin:
        """What the module shows of itself."""
        return {"address": str(self.address), "card": msgspec.to_builtins(self._card)}

    def greeting(self, asker: Asker) -> Builtin:
        """The card, the proof that it is ours, and whether we follow the asker too."""
        link, secret = self._link_to(asker.name), self._accounts.secret_of(str(self.address))
        follows = link is not None and link.follows(asker.boot)
        return {
            **self.card(),
            "proof": proof(secret, asker.name, asker.nonce) if asker.nonce else "",
            "follows": follows,
        }

    def seen(self, asker: Asker) -> None:
        """Another module reads our stream, so it is there."""
        if (link := self._link_to(asker.name)) is not None:
            link.seen(asker.boot)

    def _link_to(self, name: str) -> Link | None:
        return next((link for peer, link in self._links.items() if str(peer) == name), None)
