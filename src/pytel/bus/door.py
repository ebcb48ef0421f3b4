"""A door to a site: what callers from outside ask of all its modules, as JSON-RPC 2.0, whatever carries it.

Besides `address.method` a door answers `rpc.discover` (the descriptions of all modules), `modules.list`, `states.list`
and `session.info`. What stands at a door (a socket, an HTTP server) says who its visitors are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pytel.base import clock
from pytel.base.errors import Expired, InvalidRequest, MethodNotFound, NotAllowed, PytelError
from pytel.base.units import Seconds
from pytel.bus import envelope, jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import (
    Builtin,
    Bus,
    Call,
    Caller,
    CallOptions,
    Card,
    Origin,
    Peer,
    Publication,
    Subscription,
    Topic,
)
from pytel.bus.publications import iso_time, told

NOBODY = Card(interfaces=(), boot="-")
"""The card of a door that is no module."""
ANSWER_TIME: Seconds = 10.0
LONGEST_WAIT: Seconds = 60.0
Own = Callable[[Mapping[str, Any]], Awaitable[Builtin]]


class Door:
    """The site as it is seen from outside; `bus` must be a proxy's, which may speak with its visitors' roles."""

    def __init__(self, bus: Bus, site: str) -> None:
        self.bus = bus
        self.site = site
        self._log = logging.getLogger("pytel.door")
        self._states: dict[tuple[Address, Topic], Publication] = {}
        self._listening: list[Subscription] = []

    def open(self) -> None:
        """Begin to keep the states of the modules; the bus is open."""
        self._listening = [self.bus.subscribe(None, self._keep), self.bus.watch_peers(self._forget)]

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._listening:
            subscription.cancel()

    def _keep(self, publication: Publication) -> None:
        if publication.topic.kind == "state":
            self._states[publication.publisher, publication.topic] = publication

    def _forget(self, peer: Peer, present: bool) -> None:
        if not present:
            self._states = {key: value for key, value in self._states.items() if key[0] != peer.address}

    def states(self) -> list[Publication]:
        """The last states of the modules that are present, by address."""
        return [self._states[key] for key in sorted(self._states, key=lambda key: (str(key[0]), str(key[1])))]

    def state(self, publisher: Address, topic: Topic) -> Publication | None:
        """The last state of one kind of a module, None while it has told none."""
        return self._states.get((publisher, topic))

    def modules(self) -> list[Peer]:
        """The modules that are present, by address."""
        return [peer for peer in self.bus.peers() if peer.card.boot != NOBODY.boot]

    async def discover(self, origin: Origin) -> dict[str, Builtin]:
        """The descriptions of all modules that give one."""
        addresses = [peer.address for peer in self.modules()]
        found = await asyncio.gather(*(self._describe(address, origin) for address in addresses))
        return {str(address): document for address, document in zip(addresses, found, strict=True) if document}

    async def _describe(self, address: Address, origin: Origin) -> Builtin:
        try:
            return await self.bus.call(address, "rpc.discover", {}, CallOptions(timeout=5.0, origin=origin))
        except PytelError as error:
            self._log.debug("%s does not describe itself: %s", address, error)
            return None


class Visitor:
    """One who asks; `own` are further methods that only his way in has."""

    def __init__(self, door: Door, origin: Origin, own: Mapping[str, Own] | None = None) -> None:
        self.door = door
        self.origin = origin
        self._own: dict[str, Own] = {
            "rpc.discover": self._discover,
            "modules.list": self._list_modules,
            "states.list": self._list_states,
            "session.info": self._info,
            **(own or {}),
        }

    async def answered(self, received: bytes) -> Builtin:
        """Answer a message, be it a request or a batch; None where nothing is to be answered."""
        try:
            message = jsonrpc.parse(received)
            if isinstance(message, list):
                return await self._batch(message)
            return await self._one(message)
        except PytelError as error:
            return envelope.fault(None, error)

    async def _batch(self, messages: list[Builtin]) -> Builtin:
        if not 1 <= len(messages) <= jsonrpc.MAX_BATCH:
            raise InvalidRequest(f"a batch holds 1 to {jsonrpc.MAX_BATCH} requests, not {len(messages)}")
        answers = await asyncio.gather(*(self._one(message) for message in messages))
        return [answer for answer in answers if answer is not None] or None

    async def _one(self, message: Builtin) -> Builtin:
        try:
            call = envelope.call_of_request(message, Caller(self.origin.name, self.origin.role))
        except InvalidRequest as error:
            return envelope.fault(jsonrpc.id_of(message), error)
        try:
            answer = jsonrpc.result(jsonrpc.id_of(message), await self._execute(call))
        except Exception as error:  # noqa: BLE001 - whatever it is, the visitor is told
            answer = envelope.fault(jsonrpc.id_of(message), error)
        return answer if "id" in message else None

    async def _execute(self, call: Call) -> Builtin:
        if call.method in self._own:
            return await self._own[call.method](call.params if isinstance(call.params, dict) else {})
        target, method = split_method(call.method)
        return await self.call(target, msgspec.structs.replace(call, method=method))

    async def call(self, target: Address, call: Call) -> Builtin:
        """Call a module in the visitor's name, whatever name the request gives. Raises what the module raises."""
        return await self.door.bus.call(target, call.method, call.params, self._options(call))

    def _options(self, call: Call) -> CallOptions:
        """How a request is sent on. Raises `Expired` for one that has been on its way for too long."""
        timeout = answer_time(call.method, call.params)
        if call.expires is not None:
            left = call.expires - clock.real_time()
            if left <= 0:
                raise Expired(f"{call.method} came after its expiry and was not executed")
            timeout = min(timeout, left)
        # A call id belongs to its sender, and all who come by this door have one address.
        call_id = f"{self.origin.name}/{call.call_id}" if call.call_id is not None else None
        return CallOptions(timeout=timeout, origin=self.origin, call_id=call_id, boot=call.boot)

    async def _discover(self, params: Mapping[str, Any]) -> Builtin:
        return await self.door.discover(self.origin)

    async def _list_modules(self, params: Mapping[str, Any]) -> Builtin:
        return [{"address": str(peer.address), **msgspec.to_builtins(peer.card)} for peer in self.door.modules()]

    async def _list_states(self, params: Mapping[str, Any]) -> Builtin:
        return [told(publication) for publication in self.door.states()]

    async def _info(self, params: Mapping[str, Any]) -> Builtin:
        return self.info()

    def info(self) -> dict[str, Builtin]:
        """Where the visitor is, and as whom."""
        return {
            "site": self.door.site,
            "origin": self.origin.name,
            "role": self.origin.role.value,
            "time": iso_time(clock.time()),
            "rate": clock.current().rate,
        }


def split_method(text: str) -> tuple[Address, str]:
    """Split `[group.]module[@site].method` or `….job.wait`. Raises `InvalidParams`, `MethodNotFound`."""
    head, _, method = text.rpartition(".")
    if head.endswith((".job", ".rpc")):
        head, _, space = head.rpartition(".")
        method = f"{space}.{method}"
    if not head or not method:
        raise MethodNotFound(f"{text!r} names no module and method; write 'telescope.park'")
    if method.startswith("_"):
        raise NotAllowed(f"{method!r} is private")
    return Address.parse(head), method


def answer_time(method: str, params: Mapping[str, Any] | Sequence[Any]) -> Seconds:
    """How many real seconds the answer to a caller may take who does not say how long he waits."""
    if method != "job.wait":
        return ANSWER_TIME
    wanted = params.get("timeout") if isinstance(params, Mapping) else params[1] if len(params) > 1 else None
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        return ANSWER_TIME + LONGEST_WAIT
    return ANSWER_TIME + min(max(0.0, wanted), LONGEST_WAIT)
