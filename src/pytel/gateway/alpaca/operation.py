"""A long call of ours as Alpaca sees it: begun by one request, asked about by others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Generic, TypeVar

from pytel.base.errors import Cancelled, PytelError, Timeout, wrap
from pytel.base.units import Seconds

R = TypeVar("R")

REFUSED_WITHIN: Seconds = 0.4
"""Real seconds for which the answer to a request waits: what is refused at once is told there."""


class Operation(Generic[R]):
    """What a device does at the moment; one that failed says so to whoever asks, until the next begins."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[R], bool] = {}
        self._error: PytelError | None = None
        self.result: R | None = None
        """What the last one that succeeded gave."""

    @property
    def is_running(self) -> bool:
        """Whether something is under way."""
        return bool(self._running)

    def check(self) -> None:
        """Raise the error by which the last one ended."""
        if self._error is not None:
            raise self._error

    async def begin(self, job: Awaitable[R], patience: Seconds = REFUSED_WITHIN) -> None:
        """Follow a job that has been started, and wait `patience` real seconds for its end. Raises its error then."""
        task = asyncio.ensure_future(_awaited(job))
        self._running[task] = True
        task.add_done_callback(self._ended)
        await asyncio.wait([task], timeout=patience)
        self._error = None
        if task.done():
            task.result()

    async def finished(self, patience: Seconds) -> None:
        """Wait for the end of what is under way. Raises its error, `Timeout`."""
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=patience)
            if late:
                raise Timeout(f"this is not done after {patience:g} s; ask later whether it is")
        self.check()

    def excuse(self) -> None:
        """What is under way is being stopped on purpose, and what failed is known: neither is an error any more."""
        self._running = dict.fromkeys(self._running, False)
        self._error = None

    def _ended(self, task: asyncio.Task[R]) -> None:
        counts = self._running.pop(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.result = task.result()
        elif counts or not isinstance(error, Cancelled):
            self._error = wrap(error)

    async def close(self) -> None:
        """Follow nothing any more; what is under way goes on."""
        for task in (running := list(self._running)):
            task.cancel()
        if running:
            await asyncio.wait(running)


async def _awaited(job: Awaitable[R]) -> R:
    return await job
