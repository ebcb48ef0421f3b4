"""An event loop whose time jumps to its next timer: a night with all its modules in seconds, the same every time.

For one process without sockets. Opening a socket or a subprocess is an error unless wrapped in `external()`; executors
run inline, in order of submission.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, Unpack

from pytel.base import clock, ids

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualTimeError(RuntimeError):
    """Something reached outside the virtual world, or waits for what will never come."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: it moves the loop's time to the next timer instead."""

    loop: VirtualEventLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.external_depth:
            return super().select(timeout)
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise VirtualTimeError("every task waits for another one and no timer is left: the night stands still")
        self.loop.jump(timeout)
        return []


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """The event loop of a virtual night; use `run()`."""

    def __init__(self) -> None:
        self._virtual_time = 0.0
        self.external_depth = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_time

    def jump(self, seconds: float) -> None:
        """Move time forward."""
        self._virtual_time += max(0.0, seconds)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` now, in the caller's turn, so that order never depends on threads."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(_run_inline(func, *args))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits the future
            future.set_exception(error)
        return future

    def _forbid(self, what: str) -> None:
        if not self.external_depth:
            raise VirtualTimeError(f"{what} on the virtual clock; wrap it in pytel.base.virtual.external()")

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a connection was opened")
        return await super().create_connection(*args, **kwargs)

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a server was started")
        return await super().create_server(*args, **kwargs)

    async def create_unix_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a connection was opened")
        return await super().create_unix_connection(*args, **kwargs)

    async def create_unix_server(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a server was started")
        return await super().create_unix_server(*args, **kwargs)

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a datagram socket was opened")
        return await super().create_datagram_endpoint(*args, **kwargs)

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a process was started")
        return await super().subprocess_exec(*args, **kwargs)

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Refused outside `external()`."""
        self._forbid("a process was started")
        return await super().subprocess_shell(*args, **kwargs)


def _run_inline(func: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
    """Where blocking work may stand on the loop's own thread (the leak fixtures know this name)."""
    return func(*args)


@contextlib.contextmanager
def external() -> Iterator[None]:
    """Let the virtual loop wait for the real world inside this block; virtual time stands still meanwhile."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualEventLoop):
        yield
        return
    loop.external_depth += 1
    try:
        yield
    finally:
        loop.external_depth -= 1


def run(main: Coroutine[Any, Any, T], *, start: datetime | float, seed: int = 0) -> T:
    """Run a coroutine on a virtual clock that begins at `start` (UTC); ids and random numbers come from `seed`."""
    epoch = start.timestamp() if isinstance(start, datetime) else start
    with asyncio.Runner(loop_factory=VirtualEventLoop) as runner:
        virtual = clock.VirtualClock(runner.get_loop(), epoch)
        with clock.using(virtual), ids.seeded(seed):
            try:
                return runner.run(main)
            finally:
                runner.close()  # what still runs is ended by the same clock
