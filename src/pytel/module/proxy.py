"""What `find` returns: an interface whose methods are calls to whoever implements it now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

from pytel.base import clock, ids
from pytel.base.errors import ConnectionLost, JobLost, ModuleNotFound, NotFound, PytelError, Timeout
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Bus, CallOptions, Origin, Peer
from pytel.module.interface import Interface, methods_of
from pytel.module.jobs import Job, JobReport
from pytel.module.rpc import Method, from_builtins

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
POLL = 25.0
"""Real seconds that one `job.wait` waits."""
LOST_AFTER = 15.0
"""Real seconds without a sign of the module after which its jobs count as lost."""
CUT_OFF_AFTER = 600.0
"""The same while one's own link is down: then the silence tells nothing of the module."""
_PAUSE = 0.5


class Link:
    """How a proxy reaches its module: resolved anew at each call."""

    def __init__(
        self,
        bus: Bus,
        resolve: Callable[[], Peer],
        origin: Callable[[], Origin],
        timeout: float,
        deadline: Seconds | None,
    ) -> None:
        self.resolve = resolve
        self.timeout = timeout
        self.deadline = deadline
        self._bus = bus
        self._origin = origin

    @property
    def is_connected(self) -> bool:
        """Whether the module's own link to the bus is up."""
        return self._bus.is_connected

    async def call(
        self,
        peer: Peer,
        method: str,
        params: Mapping[str, Builtin],
        *,
        timeout: float | None = None,
        call_id: str | None = None,
    ) -> Builtin:
        """Send a call to a module that was resolved before."""
        options = CallOptions(
            timeout=timeout or self.timeout,
            origin=self._origin(),
            call_id=call_id,
            boot=peer.card.boot if call_id else None,
        )
        return await self._bus.call(peer.address, method, params, options)


class RemoteJob(Job[Any]):
    """A long call under way in another module."""

    def __init__(self, link: Link, method: Method, params: Mapping[str, Builtin]) -> None:
        self._link, self._method, self._params = link, method, params
        self._peer: Peer | None = None
        self._started = asyncio.create_task(self._start(), name=f"start {method.interface}.{method.name}")
        self._started.add_done_callback(_retrieve)

    async def _start(self) -> str:
        """Start the job; a lost answer is asked for again under the same call id."""
        self._peer = self._link.resolve()
        call_id = ids.new_id()
        patience = _Patience(str(self._peer.address), self._link)
        may_have_begun = False
        while True:
            try:
                reply = await self._link.call(self._peer, self._method.name, self._params, call_id=call_id)
                return str(reply["job"])
            except (ConnectionLost, ModuleNotFound, Timeout) as error:
                if isinstance(error, ModuleNotFound) and not may_have_begun:
                    raise
                may_have_begun = True
                await patience.pause(error)

    async def _ask(self, method: str, **params: Builtin) -> JobReport:
        job = await asyncio.shield(self._started)
        if self._peer is None:
            raise JobLost("the job was never started")
        timeout = POLL + 10.0 if method == "job.wait" else None
        try:
            reply = await self._link.call(self._peer, method, {"job": job, **params}, timeout=timeout)
        except NotFound as error:
            raise JobLost(f"{self._peer.address} restarted and no longer knows {self._method.name}") from error
        report: JobReport = from_builtins(reply, JobReport, method)
        return report

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result().__await__()

    async def _result(self) -> Any:
        try:
            async with clock.deadline(self._link.deadline):
                report = await self._over()
        except TimeoutError:
            await self._cancel_quietly()
            raise Timeout(
                f"{self._method.interface}.{self._method.name} was not done within {self._link.deadline:g} s"
            ) from None
        except asyncio.CancelledError:
            await self._cancel_quietly()
            raise
        if report.error is not None:
            raise PytelError.from_wire(report.error)  # type: ignore[arg-type]
        return from_builtins(report.result, self._method.result, self._method.name)

    async def _over(self) -> JobReport:
        await asyncio.shield(self._started)
        patience = _Patience(str(self._peer.address) if self._peer else "the module", self._link)
        while True:
            try:
                report = await self._ask("job.wait", timeout=POLL)
            except (ConnectionLost, ModuleNotFound, Timeout) as error:
                await patience.pause(error)
                continue
            patience.renew()
            if report.status.is_over:
                return report

    async def _cancel_quietly(self) -> None:
        try:
            async with asyncio.timeout(10.0):
                await self._ask("job.cancel")
        except (PytelError, TimeoutError):
            return  # it is over, or out of reach: then its own deadline ends it
        finally:
            self._started.cancel()  # a start that has not got through must not get through later

    async def eta(self) -> Seconds | None:
        """Seconds of site time still to go."""
        return (await self._ask("job.status")).eta

    async def progress(self) -> float | None:
        """How much is done, 0 to 1."""
        return (await self._ask("job.status")).progress

    async def cancel(self) -> None:
        """Ask the module to stop; returns when it has."""
        await self._ask("job.cancel")


class _Patience:
    """Waits for a module that cannot be reached, but not for ever; longer while one's own link is down."""

    def __init__(self, who: str, link: Link) -> None:
        self._who, self._link = who, link
        self._since: float | None = None
        self._cut_off = 0.0

    def renew(self) -> None:
        self._since, self._cut_off = None, 0.0

    async def pause(self, error: PytelError) -> None:
        now = asyncio.get_running_loop().time()
        if self._link.is_connected:
            self._since = self._since if self._since is not None else now
        else:
            self._since, self._cut_off = None, self._cut_off + _PAUSE
        if self._cut_off > CUT_OFF_AFTER or (self._since is not None and now - self._since > LOST_AFTER):
            raise JobLost(f"{self._who} is gone and its job with it ({error.message})") from error
        await asyncio.sleep(_PAUSE)


def _retrieve(task: asyncio.Task[str]) -> None:
    if not task.cancelled():
        task.exception()  # whoever awaits the job hears of it


_classes: dict[type[Interface], Any] = {}


def _proxy_class(interface: type[Interface]) -> Any:
    if interface not in _classes:
        _classes[interface] = _make_class(interface)
    return _classes[interface]


def _make_class(interface: type[Interface]) -> type[Interface]:
    members: dict[str, Any] = {"is_module": True, "__doc__": interface.__doc__}
    for name, method in methods_of(interface).items():
        members[name] = _long(method) if method.options.long else _short(method)
    return type(f"{interface.__name__}Proxy", (interface,), members)


def _short(method: Method) -> Callable[..., Any]:
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        link: Link = self.pytel_link
        reply = await link.call(link.resolve(), method.name, method.bind(args, kwargs))
        return from_builtins(reply, method.result, f"the result of {method.interface}.{method.name}")

    return call


def _long(method: Method) -> Callable[..., Any]:
    def start(self: Any, *args: Any, **kwargs: Any) -> Job[Any]:
        return RemoteJob(self.pytel_link, method, method.bind(args, kwargs))

    return start


def make_proxy(interface: type[I], link: Link) -> I:
    """Make an instance of `interface` whose methods go through `link`."""
    proxy: Any = _proxy_class(interface)()
    proxy.pytel_link = link
    made: I = proxy
    return made


def peer_of(proxy: Interface) -> Peer:
    """The module that a proxy would call now. Raises `ModuleNotFound`, `AmbiguousModule`."""
    link: Link = proxy.pytel_link  # type: ignore[attr-defined]
    return link.resolve()
