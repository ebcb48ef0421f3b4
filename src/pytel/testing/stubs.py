"""A module alone, its bus stubbed by contract.

    async with alone(DewWatch, stubs=[stub(Notifier), stub(WeatherStation)]) as (module, bus):
        bus.publish(WeatherState(measured=clock.now(), temperature=4.0, dew_point=3.1))
        call = await bus.called("notify")

The module calls and hears over a real local bus, so that what does not fit an interface fails here as it does there.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pytel.base.location import Location
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.local import LocalHub
from pytel.module import Capabilities, Event, Interface, State
from pytel.module.config import ModuleConfig
from pytel.module.interface import methods_of
from pytel.module.module import Module
from pytel.module.rpc import Method, from_builtins, to_builtins
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.testing.seat import Seat

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
K = TypeVar("K", bound=Module)
M = TypeVar("M", bound=State | Event)


class StubCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a stub received, with its parameters as they arrived."""

    stub: str
    interface: str
    method: str
    arguments: Mapping[str, Any]
    origin: str


class Stub:
    """Plays a module: says what it is told to say. Made by `stub`."""

    def __init__(
        self,
        interface: type[Interface],
        name: str,
        group: str | None,
        capabilities: Capabilities | None,
        answers: Mapping[str, Any],
    ) -> None:
        unknown = sorted(set(answers) - set(methods_of(interface)))
        if unknown:
            raise TypeError(f"{interface.__name__} has no method {unknown[0]!r} to answer for")
        self.interface = interface
        self.address = Address(name, group)
        self.answers = dict(answers)
        self.capabilities = capabilities
        self.runtime: ModuleRuntime | None = None

    def publishes(self, message: State | Event) -> bool:
        """Tell whether this is a state or event of the stub's interface."""
        return type(message) is self.interface.state or type(message) in self.interface.events


def stub(
    interface: type[Interface],
    *,
    name: str | None = None,
    group: str | None = None,
    capabilities: Capabilities | None = None,
    **answers: Any,
) -> Stub:
    """Make a stub of an interface.

    `answers` are by method: a value, an error to raise, or a function (async, too) of the method's parameters. A method
    without one returns None if that fits its type, and fails the caller otherwise.
    """
    return Stub(interface, name or interface.__name__.lower(), group, capabilities, answers)


class StubBus:
    """What the test sees of the bus of a module alone."""

    def __init__(self, seat: Seat, stubs: list[Stub], address: Address) -> None:
        self.calls: list[StubCall] = []
        self._seat = seat
        self._stubs = stubs
        self._address = address
        self._taken: dict[str, int] = {}

    @property
    def published(self) -> list[State | Event]:
        """All that the module has published, in order."""
        own = [heard for heard in self._seat.record if heard.publisher == self._address]
        return [heard.message for heard in own if heard.message is not None]

    def said(self, kind: type[M]) -> list[M]:
        """What the module has published of one kind, oldest first."""
        return [message for message in self.published if isinstance(message, kind)]

    async def hears(self, kind: type[M], timeout: Seconds = 60.0) -> M:
        """Wait for the module to publish a state or event of a kind; gives the newest. Raises `Timeout`."""
        await self._seat.until(lambda: self.said(kind), timeout)
        return self.said(kind)[-1]

    async def called(self, method: str, timeout: Seconds = 60.0) -> StubCall:
        """Wait for the next call of a method; each call is given once. Raises `Timeout`."""
        count = self._taken.get(method, 0)
        await self._seat.until(lambda: len(self._calls_of(method)) > count, timeout)
        self._taken[method] = count + 1
        return self._calls_of(method)[count]

    def _calls_of(self, method: str) -> list[StubCall]:
        return [call for call in self.calls if call.method == method]

    def publish(self, message: State | Event, *, by: Stub | None = None) -> None:
        """Say something as the stub whose state or event it is (or as `by`)."""
        chosen = by or next((stub for stub in self._stubs if stub.publishes(message)), None)
        runtime = chosen.runtime if chosen is not None else None
        (runtime or self._seat.runtime).publish(message)

    def find(self, interface: type[I], *, deadline: Seconds | None = None) -> I:
        """A proxy of the module (or of a stub), to call it over the bus."""
        return self._seat.find(interface, deadline=deadline)

    async def until(self, condition: Any, deadline: Seconds = 3600.0) -> None:
        """Wait until `condition()` is true, in site time. Raises `Timeout`."""
        await self._seat.until(condition, deadline)


@contextlib.asynccontextmanager
async def alone(
    kind: type[K],
    *,
    config: ModuleConfig | Mapping[str, Any] | None = None,
    stubs: Iterable[Stub] = (),
    name: str = "module",
    group: str | None = None,
    uses: Mapping[str, str] | None = None,
    site: SiteInfo | None = None,
) -> AsyncIterator[tuple[K, StubBus]]:
    """Run one module among stubs. `config` may be a mapping, checked as a site file's would be."""
    hub = LocalHub()
    cast = list(stubs)
    with tempfile.TemporaryDirectory(prefix="pytel-alone-") as directory:
        info = site or SiteInfo(name="test", location=Location(latitude=49.0, longitude=8.0), state_dir=Path(directory))
        seat = Seat(hub.bus(Address("test"), Role.ADMIN), info)
        address = Address(name, group)
        bus = StubBus(seat, cast, address)
        runtime = ModuleRuntime(
            kind, config=_config(kind, config), site=info, bus=hub.bus(address), uses=dict(uses or {})
        )
        async with contextlib.AsyncExitStack() as stack:
            await seat.open()
            stack.push_async_callback(seat.close)
            for played in cast:
                played.runtime = ModuleRuntime(_playing(played, bus), site=info, bus=hub.bus(played.address))
                await played.runtime.start()
                stack.push_async_callback(played.runtime.stop)
            await runtime.start()
            stack.push_async_callback(runtime.stop)
            module: Any = runtime.module
            yield module, bus


def _config(kind: type[Module], given: ModuleConfig | Mapping[str, Any] | None) -> ModuleConfig | None:
    if given is None or isinstance(given, ModuleConfig):
        return given
    converted: ModuleConfig = msgspec.convert(dict(given), kind.Config)
    return converted


def _playing(played: Stub, bus: StubBus) -> type[Module]:
    """Make the class of a module that answers as the stub is told to."""
    interface = played.interface
    capabilities = [played.capabilities] if played.capabilities is not None else []
    members: dict[str, Any] = {}
    for name, method in methods_of(interface).items():
        members[name] = _answering(method, getattr(interface, name), played, bus)
    members["capabilities"] = lambda self: capabilities
    members["__doc__"] = f"Plays a {interface.__name__}."
    return type(f"Stub{interface.__name__}", (Module, interface), members)


def _answering(method: Method, declared: Any, played: Stub, bus: StubBus) -> Any:
    @functools.wraps(inspect.unwrap(declared))
    async def answer(self: Module, **arguments: Any) -> Any:
        bus.calls.append(
            StubCall(
                stub=str(played.address),
                interface=played.interface.__name__,
                method=method.name,
                arguments=arguments,
                origin=self.origin.name,
            )
        )
        given = played.answers.get(method.name)
        if isinstance(given, BaseException):
            raise given
        result = given(**arguments) if callable(given) else given
        if inspect.isawaitable(result):
            result = await result
        what = f"the answer of stub({played.interface.__name__}) to {method.name}"
        from_builtins(to_builtins(result), method.result, what)
        return result

    return answer
