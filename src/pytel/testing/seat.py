"""A test's own place on the bus: it finds, hears and waits as a module does, and writes down what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pytel.base import clock
from pytel.base.errors import Timeout
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Bus, Publication, Topic
from pytel.module import Event, Interface, State, Struct
from pytel.module.messages import topic_of
from pytel.module.rpc import from_builtins
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services.module import Module

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
S = TypeVar("S", bound=State)
M = TypeVar("M", bound=State | Event)


class Heard(Struct, frozen=True, kw_only=True):
    """A state or event as it went over the bus, with its publisher and site time; `message` is None if unknown here."""

    time: float
    publisher: Address
    name: str
    kind: str
    data: Builtin
    message: State | Event | None = None


class Visitor(Module):
    """A module without a task of its own."""


class Seat:
    """Where a test sits. Everything that is published is in `record`, in order."""

    def __init__(
        self, bus: Bus, site: SiteInfo, keep: Callable[[Publication], bool] = lambda publication: True
    ) -> None:
        self.runtime = ModuleRuntime(Visitor, site=site, bus=bus)
        self.module = cast("Module", self.runtime.module)
        self.record: list[Heard] = []
        self._keep = keep
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[Heard], None]] = []

    async def open(self) -> None:
        """Appear on the bus and begin to hear."""
        self.runtime.bus.subscribe(None, self._hear)
        await self.runtime.start()

    async def close(self) -> None:
        """Leave."""
        await self.runtime.stop()

    def _hear(self, publication: Publication) -> None:
        self._changed.set()
        if publication.publisher == self.runtime.address:
            return
        heard = Heard(
            time=publication.time,
            publisher=publication.publisher,
            name=publication.topic.name,
            kind=publication.topic.kind,
            data=publication.data,
            message=_decoded(publication),
        )
        for watcher in self._watchers:
            watcher(heard)
        if self._keep(publication):
            self.record.append(heard)

    def watch(self, watcher: Callable[[Heard], None]) -> None:
        """Call `watcher` with everything that is heard, whether it is kept or not."""
        self._watchers.append(watcher)

    def find(
        self, interface: type[I], *, name: str | None = None, group: str | None = None, deadline: Seconds | None = None
    ) -> I:
        """A proxy of whoever implements the interface."""
        return self.module.find(interface, name=name, group=group, deadline=deadline)

    def state(self, kind: type[S]) -> S | None:
        """The last state of the module that `find` would pick."""
        return self.module.latest(kind)

    def heard(self, kind: type[M]) -> list[M]:
        """All states or events of a kind that were heard, oldest first."""
        return [entry.message for entry in self.record if isinstance(entry.message, kind)]

    async def until(self, condition: Callable[[], Any], deadline: Seconds = 3600.0) -> None:
        """Wait until `condition()` is true, up to `deadline` seconds of site time. Raises `Timeout`.

        It is looked at whenever something is published, and every second of site time.
        """
        ends = clock.time() + deadline
        while not condition():
            if clock.time() >= ends:
                raise Timeout(f"what the test waits for did not come within {deadline:g} s")
            self._changed.clear()
            await clock.wait_for_event(self._changed, min(1.0, max(0.0, ends - clock.time())))
            await asyncio.sleep(0)  # let those who heard it act first


_kinds: dict[Topic, type[State | Event]] = {}


def _decoded(publication: Publication) -> State | Event | None:
    kind = _kinds.get(publication.topic) or _learn(publication.topic)
    if kind is None:
        return None
    message: State | Event = from_builtins(publication.data, kind, publication.topic.name)
    return message


def _learn(topic: Topic) -> type[State | Event] | None:
    kinds: list[Any] = [*_subclasses(State), *_subclasses(Event)]
    for kind in kinds:
        _kinds.setdefault(topic_of(kind), kind)
    return _kinds.get(topic)


def _subclasses(base: type[Any]) -> list[type[Any]]:
    return [kind for direct in base.__subclasses__() for kind in (direct, *_subclasses(direct))]
