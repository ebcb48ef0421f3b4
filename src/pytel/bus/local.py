"""The bus within one process: for tests, the demo and a small observatory.

It carries builtins only and loses its link on request, so that what runs here runs on a wire.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping, Sequence
from typing import Any

from pytel.base import clock
from pytel.base.errors import Conflict, ConnectionLost, ModuleNotFound, PytelError, Timeout
from pytel.bus.address import Address
from pytel.bus.builtins import copied
from pytel.bus.contract import (
    Builtin,
    Bus,
    Call,
    Caller,
    CallOptions,
    Card,
    Endpoint,
    Origin,
    Peer,
    PeerWatcher,
    Publication,
    Receiver,
    Role,
    Subscription,
    Topic,
)
from pytel.bus.envelope import wire_error


class LocalHub:
    """Where the buses of one process meet."""

    def __init__(self) -> None:
        self.members: dict[Address, LocalBus] = {}
        self.running = True
        self._routes: dict[Topic, tuple[_Listener, ...]] = {}
        self._present: list[Peer] | None = None

    def bus(self, address: Address, role: Role = Role.MODULE, *, is_proxy: bool = False) -> LocalBus:
        """Make a connection for one module; the hub vouches for its address and role."""
        return LocalBus(self, address, role, is_proxy=is_proxy)

    def stop(self) -> None:
        """Go down as a server does: every link is lost."""
        self.running = False
        for member in list(self.members.values()):
            member.lose_link()

    def start(self) -> None:
        """Come back: every module that is still there appears again with its states."""
        self.running = True
        present = [self.members[address] for address in sorted(self.members, key=str)]
        for member in present:
            self.announce(member, True)
        for member in present:
            member.show_states_again()

    def announce(self, member: LocalBus, present: bool) -> None:
        """Tell everybody that a module appeared or is gone."""
        if self.running or not present:
            for other in list(self.members.values()):
                other.told_of_peer(member.peer, present)

    def join(self, member: LocalBus) -> None:
        """Take a module in. Raises `Conflict` when its address is taken."""
        if member.address in self.members:
            raise Conflict(f"a module called {member.address} is on the bus already; stop it or choose another name")
        self.members[member.address] = member
        self._present = None
        self.reroute()
        self.announce(member, True)

    def peers(self) -> list[Peer]:
        """The modules present now, sorted by address."""
        if self._present is None:
            self._present = [self.members[address].peer for address in sorted(self.members, key=str)]
        return list(self._present) if self.running else []

    def reroute(self) -> None:
        """Somebody listens who did not, or no longer does."""
        self._routes.clear()

    def deliver(self, publication: Publication) -> None:
        """Hand a publication to whoever listens."""
        if not self.running:
            return
        topic = publication.topic
        if topic not in self._routes:
            self._routes[topic] = tuple(
                listener for member in self.members.values() for listener in member.listeners_to(topic)
            )
        for listener in self._routes[topic]:
            listener.receive(publication)

    def drop(self, member: LocalBus) -> None:
        """Take a module out, whether it closed or crashed."""
        if self.members.get(member.address) is member:
            del self.members[member.address]
            self._present = None
            self.reroute()
            member.lose_link()
            self.announce(member, False)


class _Watching:
    def __init__(self, watchers: list[PeerWatcher], watcher: PeerWatcher) -> None:
        self._watchers, self._watcher = watchers, watcher

    def cancel(self) -> None:
        if self._watcher in self._watchers:
            self._watchers.remove(self._watcher)


class _Listening:
    def __init__(self, bus: LocalBus, listener: _Listener) -> None:
        self._bus, self._listener = bus, listener

    def cancel(self) -> None:
        self._bus.unsubscribe(self._listener)


class _Listener:
    """One subscription; remembers what it has heard, so that a state shown again is not heard twice."""

    def __init__(self, topic: Topic | None, receiver: Receiver) -> None:
        self.topic, self.receiver = topic, receiver
        self.listens = True
        self._heard: dict[Address, dict[Topic, tuple[str, int]]] = {}

    def receive(self, publication: Publication) -> None:
        if not self.listens:
            return
        heard = self._heard.setdefault(publication.publisher, {})
        boot, seq = heard.get(publication.topic, ("", 0))
        if boot == publication.boot and publication.seq <= seq:
            return
        heard[publication.topic] = (publication.boot, publication.seq)
        self.receiver(publication)

    def forget(self, publisher: Address) -> None:
        self._heard.pop(publisher, None)


class LocalBus(Bus):
    """One module's connection to a `LocalHub`."""

    def __init__(self, hub: LocalHub, address: Address, role: Role, *, is_proxy: bool) -> None:
        self.address = address
        self._hub = hub
        self._caller = Caller(str(address), role, is_proxy)
        self._endpoint: Endpoint | None = None
        self._card: Card | None = None
        self._listeners: list[_Listener] = []
        self._watchers: list[PeerWatcher] = []
        self._states: dict[Topic, Publication] = {}
        self._seq: dict[Topic, int] = {}
        self._waiting: set[asyncio.Future[Builtin]] = set()
        self._serving: dict[asyncio.Task[None], asyncio.Future[Builtin]] = {}

    @property
    def peer(self) -> Peer:
        """How this module appears to the others."""
        if self._card is None:
            raise ConnectionLost(f"{self.address} is not on the bus")
        return Peer(address=self.address, card=self._card)

    async def open(self, endpoint: Endpoint, card: Card) -> None:
        """Connect, appear to the others, and serve calls. Raises `Conflict` when the address is taken."""
        if self.address not in self._hub.members:
            self._endpoint, self._card = endpoint, card
        self._hub.join(self)

    async def close(self) -> None:
        """Disappear and disconnect."""
        self.drop()
        for task in list(self._serving):
            await asyncio.wait([task])

    def drop(self) -> None:
        """Vanish at once, as a killed process does."""
        self._hub.drop(self)
        for listener in list(self._listeners):
            self.unsubscribe(listener)
        self._watchers.clear()
        for task in list(self._serving):
            task.cancel()

    async def call(
        self,
        target: Address,
        method: str,
        params: Mapping[str, Builtin] | Sequence[Builtin],
        options: CallOptions,
    ) -> Builtin:
        """Call a method of another module, or of this one."""
        callee = self._reach(target)
        call = Call(
            method=method,
            params=copied(params),
            caller=self._caller,
            origin=options.origin or Origin(self._caller.address, self._caller.role),
            expires=clock.real_time() + options.timeout,
            call_id=options.call_id,
            boot=options.boot,
        )
        answer: asyncio.Future[Builtin] = asyncio.get_running_loop().create_future()
        self._waiting.add(answer)
        callee.serve(call, answer)
        try:
            async with asyncio.timeout(options.timeout):
                return await answer
        except TimeoutError:
            raise Timeout(f"{target}.{method} did not answer within {options.timeout:g} s") from None
        finally:
            self._waiting.discard(answer)

    def _reach(self, target: Address) -> LocalBus:
        if not self._hub.running or self._hub.members.get(self.address) is not self:
            raise ConnectionLost(f"{self.address} is not connected, so {target} cannot be called")
        callee = self._hub.members.get(target)
        if callee is None:
            raise ModuleNotFound(f"no module called {target} is on the bus; is it started?")
        return callee

    def serve(self, call: Call, answer: asyncio.Future[Builtin]) -> None:
        """Execute a call in a task of its own, which shares no context with the caller."""
        work = self._execute(call, answer)
        task = asyncio.get_running_loop().create_task(
            work, name=f"{self.address}.{call.method}", context=contextvars.Context()
        )
        self._serving[task] = answer
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        _fail(self._serving.pop(task), ConnectionLost(f"{self.address} left while it was called"))
        if not task.cancelled():
            task.exception()  # told to the caller in the line above

    async def _execute(self, call: Call, answer: asyncio.Future[Builtin]) -> None:
        if self._endpoint is None:
            raise ConnectionLost(f"{self.address} serves no calls")
        try:
            result = copied(await self._endpoint.handle_call(call))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            _fail(answer, PytelError.from_wire(wire_error(error)))
        else:
            if not answer.done():
                answer.set_result(result)

    def lose_link(self) -> None:
        """Fail what is under way, as the loss of a stream does; jobs of the module go on."""
        for answer in [*self._waiting, *self._serving.values()]:
            _fail(answer, ConnectionLost(f"the link was lost during a call ({self.address})"))
        for other in list(self._hub.members.values()):
            if other is not self:
                self.told_of_peer(other.peer, False)

    def publish(self, topic: Topic, data: Builtin, time: float) -> None:
        """Send a state or an event to whoever listens."""
        self._seq[topic] = seq = self._seq.get(topic, 0) + 1
        publication = Publication(
            publisher=self.address,
            topic=topic,
            seq=seq,
            boot=self.peer.card.boot,
            time=time,
            data=copied(data),
        )
        if topic.kind == "state":
            self._states[topic] = publication
        if self._hub.members.get(self.address) is self:
            self._hub.deliver(publication)

    def show_states_again(self) -> None:
        """Publish the last states anew, after the hub came back."""
        for publication in self.last_states():
            self._hub.deliver(publication)

    def last_states(self, topic: Topic | None = None) -> list[Publication]:
        """The last value of each of this module's states, or of one."""
        if topic is None:
            return list(self._states.values())
        return [self._states[topic]] if topic in self._states else []

    def listeners_to(self, topic: Topic) -> list[_Listener]:
        """This module's listeners to a topic."""
        return [listener for listener in self._listeners if listener.topic is None or listener.topic == topic]

    def unsubscribe(self, listener: _Listener) -> None:
        """End a subscription; harmless when it has ended."""
        listener.listens = False
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._hub.reroute()

    def subscribe(self, topic: Topic | None, receiver: Receiver) -> Subscription:
        """Hear one topic (None: all) of every module; last states come at once."""
        listener = _Listener(topic, receiver)
        self._listeners.append(listener)
        self._hub.reroute()
        for peer in self._hub.peers():
            for publication in self._hub.members[peer.address].last_states(topic):
                listener.receive(publication)
        return _Listening(self, listener)

    def peers(self) -> list[Peer]:
        """The modules present now, sorted by address."""
        return self._hub.peers()

    def watch_peers(self, watcher: PeerWatcher) -> Subscription:
        """Hear of modules that come and go; those present are told at once."""
        self._watchers.append(watcher)
        for peer in self.peers():
            watcher(peer, True)
        return _Watching(self._watchers, watcher)

    def told_of_peer(self, peer: Peer, present: bool) -> None:
        """Tell this module's watchers."""
        if not present:
            for listener in self._listeners:
                listener.forget(peer.address)
        for watcher in list(self._watchers):
            watcher(peer, present)


def _fail(answer: asyncio.Future[Any], error: PytelError) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # the caller may have stopped waiting; that is no fault
