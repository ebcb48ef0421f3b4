"""The site as Alpaca's devices see it: states, capabilities, and calls in the name of Alpaca's clients."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pytel.base.errors import ModuleNotFound, NotAllowed, NotReady
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller, CallOptions, Origin, Peer, Role
from pytel.bus.door import ANSWER_TIME, Door
from pytel.gateway.alpaca.control import Control
from pytel.gateway.audit import AuditLog
from pytel.gateway.doorkeeper import Person
from pytel.gateway.visits import Looks, PersonVisitor
from pytel.interfaces.images import ImageRef
from pytel.module import Capabilities, Interface, State
from pytel.module.messages import topic_of
from pytel.module.proxy import Link, make_proxy
from pytel.module.rpc import from_builtins
from pytel.module.site import SiteInfo

if TYPE_CHECKING:
    from pytel.services.images import Image

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Capabilities)

NAME = "alpaca/clients"
"""Who all clients are; no account of a person can be called so."""

log = logging.getLogger("pytel.gateway")


class ClientKey(NamedTuple):
    """What tells clients apart: the address, and the number that a client gives itself."""

    address: str
    number: int


class _ClientLink(Link):
    """How a proxy calls in the name of a client, on record."""

    def __init__(self, visitor: PersonVisitor, resolve: Callable[[], Peer]) -> None:
        super().__init__(visitor.door.bus, resolve, lambda: visitor.origin, ANSWER_TIME, None)
        self._visitor = visitor

    async def call(
        self,
        peer: Peer,
        method: str,
        params: Mapping[str, Builtin],
        *,
        timeout: float | None = None,
        call_id: str | None = None,
    ) -> Builtin:
        """Send a call."""
        if method == "job.cancel":
            # Devices are stopped by their own methods; a gateway that ends leaves what it has begun.
            raise NotAllowed("jobs of Alpaca's clients are not cancelled by the gateway")
        origin = self._visitor.origin
        boot = peer.card.boot if call_id else None
        caller = Caller(origin.name, origin.role)
        call = Call(method=method, params=params, caller=caller, origin=origin, call_id=call_id, boot=boot)
        return await self._visitor.call(peer.address, call)


class Client:
    """One who asks."""

    def __init__(self, key: ClientKey, visitor: PersonVisitor, site: AlpacaSite) -> None:
        self.key = key
        self.visitor = visitor
        self._site = site

    def find(self, interface: type[I], address: Address) -> I:
        """A proxy of a module; its calls are made in the client's name."""
        return make_proxy(interface, _ClientLink(self.visitor, lambda: self._site.peer(address)))


class AlpacaSite:
    """What stands behind all devices."""

    def __init__(
        self,
        door: Door,
        info: SiteInfo,
        role: Role,
        audit: AuditLog,
        read_image: Callable[[ImageRef], Awaitable[Image]],
        guide_ports: Mapping[Address, Address],
    ) -> None:
        self.info = info
        self.guide_ports = guide_ports
        self.read_image = read_image
        self.connections: set[tuple[Address, ClientKey]] = set()
        """Who is connected to what."""
        self._door, self._role, self._audit = door, role, audit
        self._looks = Looks(door)
        self._capabilities: dict[Address, tuple[str, Mapping[str, Builtin]]] = {}
        self.control = Control(door, Origin(f"{door.bus.address.module}/{NAME}", role))

    def client(self, key: ClientKey) -> Client:
        """Whoever sends a request."""
        person = Person(name=NAME, role=self._role, way=f"alpaca {key.number}", is_welcome=lambda: True)
        return Client(key, PersonVisitor(self._door, person, key.address, self._audit, self._looks), self)

    def peer(self, address: Address) -> Peer:
        """A module that is present. Raises `ModuleNotFound`."""
        for peer in self._door.modules():
            if peer.address == address:
                return peer
        raise ModuleNotFound(f"the module {address} is not there; is it started?")

    def state(self, address: Address, kind: type[S]) -> S:
        """The last state of a module. Raises `ModuleNotFound`, `NotReady` while it has told none."""
        self.peer(address)
        publication = self._door.state(address, topic_of(kind))
        if publication is None:
            raise NotReady(f"{address} has not told its state yet")
        state: S = from_builtins(publication.data, kind, f"the state of {address}")
        return state

    def forget_capabilities(self, address: Address) -> None:
        """Ask a module anew: a driver may have another device behind it."""
        self._capabilities.pop(address, None)

    async def capabilities(self, address: Address, kind: type[C]) -> C:
        """What a module can do, asked for once at each of its starts. Raises `ModuleNotFound`, `NotReady`."""
        peer = self.peer(address)
        boot, told = self._capabilities.get(address, ("", {}))
        if boot != peer.card.boot or kind.__name__ not in told:
            document = await self._door.bus.call(address, "rpc.discover", {}, CallOptions(timeout=5.0))
            told = document["x-pytel"]["capabilities"]
            self._capabilities[address] = (peer.card.boot, told)
        if kind.__name__ not in told:
            raise NotReady(f"{address} does not tell its {kind.__name__} yet")
        found: C = from_builtins(told[kind.__name__], kind, f"{kind.__name__} of {address}")
        return found
