"""What a module hears: handlers that run one at a time, and the last value of every state."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pytel.base.errors import InternalError, PytelError, wrap
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Peer, Publication, Subscription, Topic
from pytel.module.handlers import OnSpec
from pytel.module.lifecycle import Lifecycle, is_asked_to_end, stray_cancellation
from pytel.module.messages import State, topic_of
from pytel.module.rpc import from_builtins
from pytel.module.scope import Scope

S = TypeVar("S", bound=State)

current_publication: contextvars.ContextVar[Publication | None] = contextvars.ContextVar(
    "current_publication", default=None
)


class Handler:
    """One subscription with its queue."""

    def __init__(
        self,
        name: str,
        spec: OnSpec,
        function: Callable[[Any], Awaitable[None]],
        lifecycle: Lifecycle,
        log: logging.Logger,
    ) -> None:
        self.name, self.spec = name, spec
        self._function = function
        self._lifecycle = lifecycle
        self._log = log
        self._queue: deque[Publication] = deque()
        self._arrived = asyncio.Event()
        self._overflows = False

    def put(self, publication: Publication) -> None:
        """Queue what arrived; tells when something had to go."""
        if self.spec.policy == "latest":
            kept = [waiting for waiting in self._queue if waiting.publisher != publication.publisher]
            self._queue = deque(kept)
        elif len(self._queue) >= self.spec.queue:
            lost = self._queue.popleft()
            if self._overflows:  # one overflow is one alarm, however much is lost of however many
                self._queue.append(publication)
                return
            self._overflows = True
            error = InternalError(f"{self.name} is too slow: {lost.topic.name} of {lost.publisher} was dropped unheard")
            self._lifecycle.raise_alarm(f"{self.name} queue", error)
        self._queue.append(publication)
        self._arrived.set()

    async def run(self) -> None:
        """Call the handler for each publication, one at a time and in order."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._handle(self._queue.popleft())
            self._overflows = False
            self._lifecycle.clear_alarm(f"{self.name} queue")

    async def _handle(self, publication: Publication) -> None:
        current_publication.set(publication)
        try:
            message = from_builtins(
                publication.data, self.spec.kind, f"{publication.topic.name} of {publication.publisher}"
            )
            await self._function(message)
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            self._failed(stray_cancellation(self.name))
        except Exception as error:  # noqa: BLE001 - becomes the module's error state; the module lives on
            self._failed(error)
        else:
            self._lifecycle.clear_alarm(self.name)

    def _failed(self, error: Exception) -> None:
        if self._lifecycle.raise_alarm(self.name, wrap(error)):
            fault = None if isinstance(error, PytelError) else error
            self._log.warning("%s: %s", self.name, wrap(error).message, exc_info=fault)


class StateCache:
    """The last value of the states that were asked for, by publisher."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._kinds: dict[Topic, Any] = {}
        self._values: dict[tuple[Topic, Address], Publication] = {}
        self._decoded: dict[tuple[Topic, Address], tuple[Publication, Any]] = {}
        self._subscriptions: list[Subscription] = [bus.watch_peers(self._peer_changed)]

    def _peer_changed(self, peer: Peer, present: bool) -> None:
        if not present:
            for key in [key for key in self._values if key[1] == peer.address]:
                del self._values[key]
                self._decoded.pop(key, None)

    def want(self, kind: type[State]) -> Topic:
        """Begin to listen to a kind of state; its present values are there when this returns (or soon after)."""
        topic = topic_of(kind)
        if topic not in self._kinds:
            self._kinds[topic] = kind
            self._subscriptions.append(self._bus.subscribe(topic, self._receive))
        return topic

    def _receive(self, publication: Publication) -> None:
        self._values[publication.topic, publication.publisher] = publication

    def get(self, kind: type[S], publisher: Address) -> S | None:
        """The last value of one publisher, None when it is gone or said nothing."""
        return self._decode((self.want(kind), publisher), kind)

    def all(self, kind: type[S], scope: Scope) -> dict[Address, S]:
        """The last values of all publishers in scope, by address."""
        topic = self.want(kind)
        found: dict[Address, S] = {}
        publishers = [key[1] for key in self._values if key[0] == topic and scope.sees(key[1])]
        for publisher in sorted(publishers, key=str) if len(publishers) > 1 else publishers:
            if (value := self._decode((topic, publisher), kind)) is not None:
                found[publisher] = value
        return found

    def _decode(self, key: tuple[Topic, Address], kind: type[S]) -> S | None:
        publication = self._values.get(key)
        if publication is None:
            return None
        known = self._decoded.get(key)
        if known is not None and known[0] is publication:
            value: S = known[1]
            return value
        value = from_builtins(publication.data, kind, f"{publication.topic.name} of {publication.publisher}")
        self._decoded[key] = (publication, value)
        return value

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            subscription.cancel()
