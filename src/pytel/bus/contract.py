"""What every bus does, and the messages it carries."""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pytel.bus.address import Address

if TYPE_CHECKING:
    from pytel.bus.passwords import PasswordChecker
    from pytel.bus.people import AccountsFile

Builtin = Any
"""`None, bool, int, float, str, list, dict[str, …]`: what JSON can hold, and nothing else."""


class Role(StrEnum):
    """What a caller may do; each role may do what those before it may."""

    VIEWER = "viewer"
    OBSERVER = "observer"
    OPERATOR = "operator"
    MODULE = "module"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Tell whether this role may do what `other` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}


class Origin(msgspec.Struct, frozen=True):
    """The person or robot on whose behalf a call is made."""

    name: str
    role: Role = Role.MODULE


class Caller(msgspec.Struct, frozen=True):
    """Who sent a call, as the bus vouches for it. Only a proxy (the gateway) speaks with its origin's role."""

    address: str
    role: Role
    is_proxy: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call as the callee receives it.

    `expires` is real UTC in Unix seconds: after it the call is refused. `call_id` (with `boot`, the callee's start that
    the first attempt reached) makes a retry idempotent.
    """

    method: str
    params: Mapping[str, Builtin] | Sequence[Builtin]
    caller: Caller
    origin: Origin
    expires: float | None = None
    call_id: str | None = None
    boot: str | None = None


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a call is sent. `timeout` is real seconds."""

    timeout: float = 10.0
    origin: Origin | None = None
    call_id: str | None = None
    boot: str | None = None


class Topic(msgspec.Struct, frozen=True):
    """What is published: `kind` is "state" or "event", `name` that of the interface or event."""

    kind: str
    name: str
    version: int = 1

    def __str__(self) -> str:
        return f"urn:pytel:{self.kind}:{self.name}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """Read `urn:pytel:KIND:NAME:VERSION`. Raises `ValueError`."""
        head, pytel, kind, name, version = text.split(":")
        if (head, pytel) != ("urn", "pytel") or kind not in ("state", "event"):
            raise ValueError(f"{text!r} is no topic of pytel")
        return cls(kind, name, int(version))


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A state or event as it arrives: `seq` counts per publisher and topic, `boot` tells its starts apart.

    `time` is site time in Unix seconds. `replayed` marks what was fetched afterwards and is not new.
    """

    publisher: Address
    topic: Topic
    seq: int
    boot: str
    time: float
    data: Builtin
    replayed: bool = False


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a module shows of itself to find it: the features of service discovery."""

    interfaces: tuple[str, ...]
    boot: str
    primary: bool = False


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A module that is present on the bus."""

    address: Address
    card: Card


class Endpoint(Protocol):
    """The module's side of the bus."""

    async def handle_call(self, call: Call) -> Builtin:
        """Execute a call and return its result; raises `PytelError`."""


Receiver = Callable[[Publication], None]
PeerWatcher = Callable[[Peer, bool], None]
"""Called with a peer and True when it appears (or shows another card), False when it is gone."""


class Subscription(Protocol):
    """A standing wish to hear; `cancel()` ends it."""

    def cancel(self) -> None:
        """Stop hearing."""


class Bus(ABC):
    """One module's connection. Every method may be used before, during and after a loss of the link.

    Publications of one publisher and topic arrive in order and once; a new subscriber gets the last value of each
    state at once, and no old event. After a loss of the link the bus reconnects by itself and shows its card and
    states again; calls meanwhile fail with `ConnectionLost` at once and are never queued.
    """

    address: Address
    passwords: PasswordChecker | None = None
    """Who knows the passwords of people, where they have accounts on the bus itself."""
    people: AccountsFile | None = None
    """The file of the people who may log in to modules, where modules serve them."""

    @property
    def is_connected(self) -> bool:
        """Whether it has its own link; without it, nothing follows from not reaching others."""
        return True

    @abstractmethod
    async def open(self, endpoint: Endpoint, card: Card) -> None:
        """Connect, appear to the others, and serve calls. Raises `Conflict` when the address is taken."""

    @abstractmethod
    async def close(self) -> None:
        """Disappear and disconnect; calls under way fail with `ConnectionLost`."""

    @abstractmethod
    async def call(
        self,
        target: Address,
        method: str,
        params: Mapping[str, Builtin] | Sequence[Builtin],
        options: CallOptions,
    ) -> Builtin:
        """Call a method. Raises what the callee raised, `ModuleNotFound`, `ConnectionLost`, `Timeout`."""

    @abstractmethod
    def publish(self, topic: Topic, data: Builtin, time: float) -> None:
        """Send a state (its last value is kept) or an event to whoever listens."""

    @abstractmethod
    def subscribe(self, topic: Topic | None, receiver: Receiver) -> Subscription:
        """Hear one topic (None: all) of every module. `receiver` must return at once and not raise."""

    @abstractmethod
    def peers(self) -> list[Peer]:
        """The modules present now, this one included, sorted by address."""

    @abstractmethod
    def watch_peers(self, watcher: PeerWatcher) -> Subscription:
        """Hear of modules that come and go; those present are told at once."""


current_origin: contextvars.ContextVar[Origin | None] = contextvars.ContextVar("current_origin", default=None)
"""On whose behalf the present task works; set from the call or job being served."""
