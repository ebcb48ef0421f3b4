"""What one module hears: its listeners, the last states of the modules that are present, and who watches for peers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from pytel.base import clock
from pytel.bus.address import Address
from pytel.bus.contract import Peer, PeerWatcher, Publication, Receiver, Subscription, Topic

T = TypeVar("T")


class _Listener:
    """One subscription, effective since a moment (real UTC in Unix seconds)."""

    def __init__(self, topic: Topic | None, receiver: Receiver) -> None:
        self.topic, self.receiver = topic, receiver
        self.since = clock.real_time()

    def wants(self, topic: Topic) -> bool:
        return self.topic is None or self.topic == topic


class _Standing:
    """A wish that can be taken back, once or more often."""

    def __init__(self, wishes: list[T], wish: T) -> None:
        self._take_back: Callable[[], None] = lambda: wishes.remove(wish) if wish in wishes else None

    def cancel(self) -> None:
        self._take_back()


class Reception:
    """Distributes what arrives."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._listeners: list[_Listener] = []
        self._watchers: list[PeerWatcher] = []
        self._present: dict[Address, Peer] = {}
        self._states: dict[Address, dict[Topic, Publication]] = {}

    def listening_since(self) -> float | None:
        """When the first of the present subscriptions was made; None when nobody listens."""
        return min((listener.since for listener in self._listeners), default=None)

    def subscribe(self, topic: Topic | None, receiver: Receiver) -> Subscription:
        """Begin to listen; the last states of the modules that are present come at once."""
        listener = _Listener(topic, receiver)
        self._listeners.append(listener)
        for states in list(self._states.values()):
            for publication in list(states.values()):
                if listener.wants(publication.topic):
                    self._hand(listener, publication)
        return _Standing(self._listeners, listener)

    def hear(self, publication: Publication, sent: float | None = None) -> None:
        """Hand on what arrived; an event that was kept for us has been `sent` at a time of our clock."""
        if publication.topic.kind == "state":
            self._states.setdefault(publication.publisher, {})[publication.topic] = publication
            sent = None
        for listener in list(self._listeners):
            if listener.wants(publication.topic) and (sent is None or sent >= listener.since):
                self._hand(listener, publication)

    def _hand(self, listener: _Listener, publication: Publication) -> None:
        if listener not in self._listeners:
            return  # cancelled by another one's receiver
        try:
            listener.receiver(publication)
        except Exception:  # noqa: BLE001 - one that fails must not cost the others what they hear
            self._log.exception("a receiver of %s failed", publication.topic)

    def peers(self) -> list[Peer]:
        """The modules present now, sorted by address."""
        return [self._present[address] for address in sorted(self._present, key=str)]

    def is_present(self, address: Address) -> bool:
        """Tell whether a module is there."""
        return address in self._present

    def watch_peers(self, watcher: PeerWatcher) -> Subscription:
        """Begin to watch; those present are told at once."""
        self._watchers.append(watcher)
        for peer in self.peers():
            watcher(peer, True)
        return _Standing(self._watchers, watcher)

    def appeared(self, peer: Peer) -> None:
        """A module is there."""
        self._present[peer.address] = peer
        self._tell(peer, True)

    def gone(self, address: Address) -> None:
        """A module is gone, and its states with it."""
        self._states.pop(address, None)
        if (peer := self._present.pop(address, None)) is not None:
            self._tell(peer, False)

    def _tell(self, peer: Peer, present: bool) -> None:
        for watcher in list(self._watchers):
            try:
                watcher(peer, present)
            except Exception:  # noqa: BLE001 - as above
                self._log.exception("a watcher of peers failed")

    def forget_all(self) -> None:
        """Hear nothing more."""
        self._listeners.clear()
        self._watchers.clear()
        self._states.clear()
        self._present.clear()
