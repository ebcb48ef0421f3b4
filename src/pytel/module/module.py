"""The class behind every module (authors inherit from `pytel.services.Module`, which adds images)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pytel.base.errors import InternalError, PytelError
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.contract import Origin
from pytel.module.config import ModuleConfig
from pytel.module.hearing import current_publication
from pytel.module.interface import Interface
from pytel.module.jobtable import current_job
from pytel.module.messages import Capabilities, Event, State
from pytel.module.proxy import peer_of
from pytel.module.site import SiteInfo

if TYPE_CHECKING:
    from pytel.module.runtime import ModuleRuntime

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Capabilities)


class Module:
    """A part of an observatory that does one thing.

    Write the methods of its interfaces, `@on`, `@every` and `@background` methods, and if need be `on_start` and
    `on_stop`; declare its options in a nested `Config`. What a module may use is below; nothing in it names a
    transport, a host or another module.
    """

    is_module: ClassVar[bool] = True
    is_proxy: ClassVar[bool] = False
    """Whether it calls in the name, and with the role, of the people behind it (the gateway)."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Options of the module in the site file."""

    config: ModuleConfig

    def __init__(self, runtime: ModuleRuntime) -> None:
        self._runtime = runtime
        self.config = runtime.config
        self.address: Address = runtime.address
        self.name: str = runtime.address.module
        self.group: str | None = runtime.address.group
        self.site: SiteInfo = runtime.site
        self.log: logging.Logger = runtime.log

    async def on_start(self) -> None:
        """Get ready to serve; what the device does not allow yet is tried again later."""

    async def on_stop(self) -> None:
        """Leave everything as it should be left."""

    def at_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Have a connection closed when the module has stopped, after `on_stop`; the last one opened goes first."""
        self._runtime.at_stop(close)

    @property
    def stop_deadline(self) -> Seconds:
        """How long `on_stop` may take, in site time."""
        return 30.0

    def capabilities(self) -> list[Capabilities]:
        """Tell what the device can do, as data."""
        return []

    @property
    def directory(self) -> Path:
        """Where this module keeps its files; made on first use."""
        path = self.site.state_dir / str(self.address)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def origin(self) -> Origin:
        """On whose behalf the present call or job runs."""
        return self._runtime.origin()

    def find(
        self,
        interface: type[I],
        *,
        name: str | None = None,
        group: str | None = None,
        timeout: float | None = None,
        deadline: Seconds | None = None,
    ) -> I:
        """A proxy of whoever implements the interface, resolved anew at each call.

        `timeout` is real seconds for a short call, `deadline` site seconds for the whole of a long one. The calls
        raise `ModuleNotFound` and `AmbiguousModule`.
        """
        return self._runtime.find(interface, name, group, timeout, deadline)

    def find_all(self, interface: type[I], *, timeout: float | None = None) -> list[I]:
        """Proxies of all modules in scope that implement the interface now, sorted by address."""
        return self._runtime.find_all(interface, timeout)

    def has(self, interface: type[Interface]) -> bool:
        """Whether some module in scope implements the interface now."""
        return bool(self._runtime.scope.all(interface))

    def address_of(self, proxy: Interface) -> Address:
        """Whom a proxy would call now."""
        return peer_of(proxy).address

    def follow(self, *kinds: type[State]) -> None:
        """Begin to hear these states, so that `latest` knows them when it is first asked.

        A module that is asked by surprise hears its first state a moment after the first question.
        """
        self._runtime.follow(kinds)

    def latest(self, kind: type[S]) -> S | None:
        """The last state of the module that `find` would pick; None when it is gone or nothing was heard of it yet.

        Raises `AmbiguousModule`.
        """
        return self._runtime.latest(kind)

    def latest_all(self, kind: type[S]) -> dict[Address, S]:
        """The last states of all modules in scope, by address."""
        return self._runtime.states.all(kind, self._runtime.scope)

    async def capabilities_of(self, kind: type[C]) -> C:
        """The capabilities of the module that `find` would pick. Raises `ModuleNotFound`."""
        return await self._runtime.capabilities_of(kind)

    def publish(self, message: State | Event) -> None:
        """Send a state (its last value is kept) or an event to whoever listens."""
        self._runtime.publish(message)

    def sender(self) -> Address:
        """Who published what the running handler is about."""
        publication = current_publication.get()
        if publication is None:
            raise InternalError("sender() is for handlers: nothing was published here")
        return publication.publisher

    def report_progress(self, fraction: float) -> None:
        """Tell how much of the running job is done, 0 to 1."""
        job = current_job.get()
        if job is not None:
            job.progress = min(1.0, max(0.0, fraction))

    def spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
        """Run something along with the module; it ends with it, and its failure becomes the module's error."""
        return self._runtime.spawn(work, name)

    def raise_alarm(self, source: str, error: PytelError) -> None:
        """Put the module into error until the alarm is cleared; told and logged once."""
        self._runtime.raise_alarm(source, error)

    def clear_alarm(self, source: str) -> None:
        """Take an alarm back; harmless when there is none."""
        self._runtime.clear_alarm(source)
