"""What carries a module: connects it to its bus, starts and stops it, and keeps its tasks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from pytel.base import clock, ids
from pytel.base.errors import Cancelled, ConfigError, ModuleNotFound, NotReady, PytelError, wrap
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Bus, Call, CallOptions, Card, Origin, Peer
from pytel.module.config import ModuleConfig
from pytel.module.description import describe
from pytel.module.dispatch import Dispatcher, origin_of_call
from pytel.module.handlers import BackgroundSpec, EverySpec, OnSpec, specs_of
from pytel.module.hearing import Handler, StateCache
from pytel.module.interface import Interface, interfaces_of, is_interface
from pytel.module.leases import GroupLease
from pytel.module.lifecycle import Lifecycle, Status, is_asked_to_end, stray_cancellation
from pytel.module.messages import Capabilities, Event, State, topic_of
from pytel.module.module import Module
from pytel.module.proxy import Link, make_proxy
from pytel.module.rpc import from_builtins, to_builtins
from pytel.module.scope import Scope
from pytel.module.site import SiteInfo

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Capabilities)

CALL_TIMEOUT = 10.0
_interfaces: dict[type, type[Interface]] = {}


class ModuleRuntime:
    """One module on one bus."""

    def __init__(
        self,
        kind: type[Module],
        *,
        config: ModuleConfig | None = None,
        site: SiteInfo,
        bus: Bus,
        uses: Mapping[str, str] | None = None,
        primary: bool = False,
    ) -> None:
        self.address = bus.address
        self.kind = kind
        self.site = site
        self.bus = bus
        self.config = config if config is not None else kind.Config()
        self.log = logging.getLogger(f"pytel.{self.address}")
        self.scope = Scope(bus, uses or {})
        self.lifecycle = Lifecycle(self.address, f"{kind.__module__}:{kind.__qualname__}", self.publish)
        self.states = StateCache(bus)
        self.module = kind(self)
        self._primary = primary
        self._tasks: set[asyncio.Task[Any]] = set()
        self._connections: list[Callable[[], Awaitable[None]]] = []
        self._capabilities: dict[tuple[str, str], Mapping[str, Builtin]] = {}
        self._lease = GroupLease(self.states, self.scope)
        self._dispatcher = Dispatcher(self.module, self.lifecycle, self._lease, self.describe, self.log)
        self._handlers = self._make_handlers()
        self._ready = asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None

    def _make_handlers(self) -> list[Handler]:
        return [
            Handler(name, spec, getattr(self.module, name), self.lifecycle, self.log)
            for name, spec in specs_of(self.kind)
            if isinstance(spec, OnSpec)
        ]

    # life

    async def start(self) -> None:
        """Appear on the bus and get ready; returns when ready or when it has to wait for its device.

        What `on_start` raises is shown as the module's error, and it is tried again in the background, without end.
        Raises `ConfigError`, which only a person can mend, and `Cancelled` when the module is stopped meanwhile.
        """
        for handler in self._handlers:  # before others see it: a bus may announce what is heard along with the module
            self._hear(handler)
        try:
            card = Card(interfaces=self._features(), boot=self.lifecycle.boot, primary=self._primary)
            await self.bus.open(self, card)
        except BaseException:
            self.states.close()
            await self.bus.close()
            raise
        self.lifecycle.tell()
        starting = self._keep_own(self._start(), "start")
        try:
            await asyncio.wait([starting])
            if not starting.cancelled():
                starting.result()
        except BaseException:
            await self.stop()
            raise
        if starting.cancelled():
            raise Cancelled(f"{self.address} was stopped while it started")

    async def _start(self) -> None:
        if await self._try_start():
            self._go()
        else:
            self._keep_own(self._start_later(), "start")

    def _features(self) -> tuple[str, ...]:
        return tuple(interface.urn() for interface in interfaces_of(self.kind))

    def _hear(self, handler: Handler) -> None:
        def receive(publication: Any) -> None:
            if publication.publisher != self.address and (
                handler.spec.everywhere or self.scope.sees(publication.publisher)
            ):
                handler.put(publication)

        self.bus.subscribe(topic_of(handler.spec.kind), receive)

    async def _try_start(self) -> bool:
        try:
            await self.module.on_start()
        except ConfigError:
            raise
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            self.raise_alarm("start", stray_cancellation("on_start"))
            return False
        except Exception as error:
            if self.raise_alarm("start", wrap(error)) and not isinstance(error, PytelError):
                self.log.error("the module cannot start by a fault in it", exc_info=error)
            return False
        self.clear_alarm("start")
        return True

    async def _start_later(self) -> None:
        pause = 1.0
        while True:
            await clock.sleep(pause * ids.uniform(0.8, 1.2))
            try:
                if await self._try_start():
                    break
            except ConfigError as error:
                self.raise_alarm("start", error)
                return
            pause = min(30.0, pause * 2)
        self._go()

    def _go(self) -> None:
        self.lifecycle.move_to(Status.READY)
        for handler in self._handlers:
            self._keep_own(handler.run(), handler.name)
        for name, spec in specs_of(self.kind):
            if isinstance(spec, EverySpec):
                self._keep_own(self._repeat(name, spec), name)
            elif isinstance(spec, BackgroundSpec):
                self._keep_own(self._supervise(name), name)
        self._ready.set()

    async def until_ready(self) -> None:
        """Wait until the module serves."""
        await self._ready.wait()

    async def stop(self) -> None:
        """Leave in good order: end jobs and tasks, let the module say good-bye, disconnect.

        Once begun it is carried through, even if the one who asked for it stops waiting.
        """
        if self._stopping is None:
            work = self._stop()
            name = f"{self.address}.stop"
            self._stopping = asyncio.create_task(work, name=name, context=contextvars.Context())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self.lifecycle.move_to(Status.CLOSING)
        await self._end_work()
        try:
            async with clock.deadline(self.module.stop_deadline):
                await self.module.on_stop()
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            self.log.error("the module did not stop cleanly: %s", stray_cancellation("on_stop").message)
        except Exception as error:
            self.log.error("the module did not stop cleanly: %s", wrap(error).message, exc_info=error)
        await self._end_tasks()
        await self._close_connections()
        self.states.close()
        await self.bus.close()
        await self._end_work()  # what calls have begun meanwhile

    async def _end_work(self) -> None:
        await self._dispatcher.jobs.cancel_all(self.module.stop_deadline)
        await self._end_tasks()

    async def crash(self) -> None:
        """End as `kill -9` does: nobody is told, nothing is tidied up (for tests)."""
        self.states.close()
        drop = getattr(self.bus, "drop", None)
        if drop is not None:
            drop()
        self._dispatcher.jobs.abandon()
        await self._end_tasks()
        jobs = [job.task for job in self._dispatcher.jobs.all() if job.task is not None]
        if jobs:
            await asyncio.wait(jobs)
        await self._close_connections()  # as the operating system does

    def at_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have a connection closed when the module has stopped."""
        self._connections.append(close)

    async def _close_connections(self) -> None:
        while self._connections:
            try:
                async with clock.deadline(self.module.stop_deadline):
                    await self._connections.pop()()
            except Exception as error:
                self.log.error("a connection was not closed cleanly: %s", wrap(error).message, exc_info=error)

    async def _end_tasks(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self.module.stop_deadline / clock.current().rate)
        for task in tasks:
            if not task.done():
                self.log.error("%s does not end; the module stops without it", task.get_name())

    # tasks

    def _keep_own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run what the module does by itself: in nobody's name, whoever asked for its start."""
        return contextvars.Context().run(self._keep, work, name)

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"{self.address}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        """Run something along with the module; its failure becomes the module's error."""
        label: str = name or str(getattr(work, "__name__", "task"))

        async def run() -> None:
            try:
                await work
            except Exception as error:
                self.log.error("%s failed", label, exc_info=error)
                self.raise_alarm(label, wrap(error))

        task = self._keep(run(), label)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began never ran
        return task

    async def _repeat(self, name: str, spec: EverySpec) -> None:
        function = getattr(self.module, name)
        period = self._period(spec)
        while True:
            begun = clock.time()
            await self._attempt(name, function)
            # Never longer than the period: the wall clock may have been set back meanwhile.
            await clock.sleep(min(period, max(period - (clock.time() - begun), 0.001)))

    def _period(self, spec: EverySpec) -> float:
        return float(getattr(self.config, spec.period) if isinstance(spec.period, str) else spec.period)

    async def _attempt(self, name: str, function: Any) -> bool:
        try:
            await function()
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            self.raise_alarm(name, stray_cancellation(name))
            return False
        except Exception as error:
            if self.raise_alarm(name, wrap(error)) and not isinstance(error, PytelError):
                self.log.error("%s failed by a fault in the module", name, exc_info=error)
            return False
        self.clear_alarm(name)
        return True

    async def _supervise(self, name: str) -> None:
        function = getattr(self.module, name)
        pause = 1.0
        while True:
            begun = clock.time()
            if await self._attempt(name, function):
                return
            pause = 1.0 if clock.time() - begun > 60.0 else min(60.0, pause * 2)
            await clock.sleep(pause)

    # what the module uses

    def origin(self) -> Origin:
        """On whose behalf the present task works."""
        return origin_of_call(str(self.address))

    def publish(self, message: State | Event) -> None:
        """Send a state or event. Raises `InternalError` here, and not at every reader, when it breaks its own type."""
        kind = type(message)
        data = to_builtins(message)
        from_builtins(data, kind, f"the {kind.__name__} that {self.address} publishes")
        self.bus.publish(topic_of(kind), data, clock.time())

    def raise_alarm(self, source: str, error: PytelError) -> bool:
        """Keep an error as the module's state; log it when it is new."""
        new = self.lifecycle.raise_alarm(source, error)
        if new:
            self.log.warning("%s: %s: %s", source, error.name, error.message)
        return new

    def clear_alarm(self, source: str) -> None:
        """Take an alarm back; log it once."""
        if self.lifecycle.clear_alarm(source):
            self.log.info("%s: fine again", source)

    def _link(self, resolve: Any, timeout: float | None, deadline: Seconds | None) -> Link:
        return Link(self.bus, resolve, self.origin, timeout or CALL_TIMEOUT, deadline)

    def find(
        self, interface: type[I], name: str | None, group: str | None, timeout: float | None, deadline: Seconds | None
    ) -> I:
        """Make a proxy."""
        return make_proxy(interface, self._link(lambda: self.scope.one(interface, name, group), timeout, deadline))

    def find_all(self, interface: type[I], timeout: float | None) -> list[I]:
        """Make proxies of all who implement the interface."""

        def fixed(peer: Peer) -> I:
            return make_proxy(interface, self._link(lambda: peer, timeout, None))

        return [fixed(peer) for peer in self.scope.all(interface)]

    def follow(self, kinds: Iterable[type[State]]) -> None:
        """Begin to hear states."""
        for kind in kinds:
            self.states.want(kind)

    def latest(self, kind: type[S]) -> S | None:
        """The last state of the module that `find` would pick."""
        interface = interface_of_state(kind)
        self.states.want(kind)
        try:
            peer = self.scope.one(interface)
        except ModuleNotFound:
            return None
        return self.states.get(kind, peer.address)

    async def capabilities_of(self, kind: type[C]) -> C:
        """The capabilities of the module that `find` would pick, asked for once per its start."""
        interface = _owner(kind, "capabilities_type")
        peer = self.scope.one(interface)
        key = (str(peer.address), peer.card.boot)
        if key not in self._capabilities:
            options = CallOptions(timeout=CALL_TIMEOUT, origin=self.origin())
            document = await self.bus.call(peer.address, "rpc.discover", {}, options)
            for old in [known for known in self._capabilities if known[0] == key[0]]:
                del self._capabilities[old]
            self._capabilities[key] = document["x-pytel"]["capabilities"]
        capabilities = self._capabilities[key]
        if kind.__name__ not in capabilities:
            del self._capabilities[key]
            raise NotReady(f"{peer.address} does not tell its {kind.__name__} yet")
        found: C = from_builtins(capabilities[kind.__name__], kind, f"{kind.__name__} of {peer.address}")
        return found

    # what the bus uses

    def describe(self) -> Builtin:
        """The module's description."""
        return describe(str(self.address), self.kind, self.module.capabilities(), self.lifecycle.boot)

    async def handle_call(self, call: Call) -> Builtin:
        """Execute a call."""
        return await self._dispatcher.handle_call(call)


def interface_of_state(kind: type[State]) -> type[Interface]:
    """The interface whose state this is. Raises `TypeError` for a state of none."""
    return _owner(kind, "state")


def _owner(kind: type, attribute: str) -> type[Interface]:
    if kind not in _interfaces:
        for interface in _all_interfaces(Interface):
            if getattr(interface, attribute) is kind:
                _interfaces[kind] = interface
                break
        else:
            raise TypeError(f"{kind.__name__} belongs to no interface")
    return _interfaces[kind]


def _all_interfaces(base: type[Interface]) -> list[type[Interface]]:
    found = [kind for kind in base.__subclasses__() if is_interface(kind)]
    return found + [deeper for kind in found for deeper in _all_interfaces(kind)]
