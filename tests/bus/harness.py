"""What the contract suite needs of a bus: one more `BusHarness` in `conftest.py` holds a new bus to the contract."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pytel.base import clock
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Bus, Call, CallOptions, Card, Origin, Publication, Role, Topic
from pytel.bus.local import LocalBus, LocalHub
from pytel.module import Interface
from pytel.module.config import ModuleConfig
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
PATIENCE = 20.0
"""Real seconds for what should come at once; generous, since a bus may be a server on a busy machine."""


class BusHarness(ABC):
    """A site on one kind of bus."""

    def __init__(self, directory: Path) -> None:
        self.site = SiteInfo(name="test", location=Location(latitude=49, longitude=8), state_dir=directory)
        self.runtimes: dict[str, ModuleRuntime] = {}
        self._buses: list[Bus] = []

    async def prepare(self) -> None:  # noqa: B027 - most buses need nothing
        """Have ready what connections need."""

    @abstractmethod
    def make_bus(self, address: Address, role: Role, is_proxy: bool) -> Bus:
        """A connection that is not open yet."""

    @abstractmethod
    async def stop_bus(self) -> None:
        """Cut every link, as a server that goes down does."""

    @abstractmethod
    async def start_bus(self) -> None:
        """Let the server come back."""

    @abstractmethod
    def kill(self, bus: Bus) -> None:
        """End a connection as `kill -9` of its process does."""

    def bus(self, address: str, role: Role = Role.MODULE, *, is_proxy: bool = False) -> Bus:
        """A connection that is not open yet."""
        bus = self.make_bus(Address.parse(address), role, is_proxy)
        self._buses.append(bus)
        return bus

    async def member(self, address: str, endpoint: Endpoint | None = None, card: Card | None = None) -> Bus:
        """An open connection that answers with what `endpoint` says."""
        bus = self.bus(address)
        await bus.open(endpoint or Endpoint(), card or Card(interfaces=(), boot="boot-1"))
        return bus

    async def person(self, name: str, role: Role) -> Bus:
        """An open connection of somebody who may do what `role` may."""
        bus = self.bus(name, role)
        await bus.open(Endpoint(), Card(interfaces=(), boot="person"))
        return bus

    async def start(
        self,
        kind: type[Module],
        address: str,
        *,
        config: ModuleConfig | None = None,
        uses: Mapping[str, str] | None = None,
        primary: bool = False,
    ) -> ModuleRuntime:
        """Start a module."""
        bus = self.bus(address)
        runtime = ModuleRuntime(kind, config=config, site=self.site, bus=bus, uses=uses, primary=primary)
        self.runtimes[address] = runtime
        await runtime.start()
        return runtime

    async def crash(self, address: str) -> None:
        """End a module as `kill -9` does."""
        await self.runtimes.pop(address).crash()

    async def stop(self, address: str) -> None:
        """End a module in good order."""
        await self.runtimes.pop(address).stop()

    async def close(self) -> None:
        """End all that was opened."""
        for runtime in reversed(list(self.runtimes.values())):
            await runtime.stop()
        for bus in self._buses:
            await bus.close()


class LocalHarness(BusHarness):
    """The bus within one process."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.hub = LocalHub()

    def make_bus(self, address: Address, role: Role, is_proxy: bool) -> Bus:
        return self.hub.bus(address, role, is_proxy=is_proxy)

    async def stop_bus(self) -> None:
        self.hub.stop()

    async def start_bus(self) -> None:
        self.hub.start()

    def kill(self, bus: Bus) -> None:
        assert isinstance(bus, LocalBus)
        bus.drop()


class Endpoint:
    """Answers calls with `answer`, and keeps them."""

    def __init__(self, answer: Callable[[Call], Any] = lambda call: None) -> None:
        self.calls: list[Call] = []
        self._answer = answer

    async def handle_call(self, call: Call) -> Builtin:
        self.calls.append(call)
        answer = self._answer(call)
        return await answer if asyncio.iscoroutine(answer) else answer


class Ear:
    """Hears one topic (None: all)."""

    def __init__(self, bus: Bus, topic: Topic | None) -> None:
        self.heard: list[Publication] = []
        self.subscription = bus.subscribe(topic, self.heard.append)

    @property
    def data(self) -> list[Any]:
        return [publication.data for publication in self.heard]


def state(name: str = "Test") -> Topic:
    return Topic("state", name)


def event(name: str = "Happened") -> Topic:
    return Topic("event", name)


def publish(bus: Bus, topic: Topic, data: Builtin) -> None:
    bus.publish(topic, data, clock.time())


async def call(bus: Bus, target: str, method: str, params: Any = (), **options: Any) -> Any:
    """Call by address, with the options of `CallOptions` by name."""
    return await bus.call(Address.parse(target), method, params, CallOptions(**options))


def origin(name: str, role: Role = Role.OBSERVER) -> Origin:
    return Origin(name, role)


async def until(condition: Callable[[], Any], within: float = PATIENCE) -> None:
    """Wait for what should come soon."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - any condition, and this is a test
            await asyncio.sleep(0.002)


async def quiet(seconds: float = 0.05) -> None:
    """Give what should not come the time to come."""
    await asyncio.sleep(seconds)
