"""Talking to the hardware of an enclosure: each command has its time, and one that hangs is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceTimeout
from pytel.base.units import Seconds
from pytel.services.enclosure_sensor import EnclosureReading
from pytel.services.timing import patient

T = TypeVar("T")
LETTING_GO: Seconds = 0.5
"""Site seconds in which something that was cancelled has to let go."""


class EnclosureHardware(Protocol):
    """What a driver does for its enclosure; each method begins something and returns at once. All may be cancelled."""

    async def connect(self) -> None:
        """Connect, or connect anew after a failure."""

    async def begin_open(self) -> None:
        """Start to open."""

    async def begin_close(self) -> None:
        """Start to close, also from an opening under way."""

    async def begin_close_otherwise(self) -> None:
        """Start to close by other means, after `begin_close` did not move it."""

    async def halt(self) -> None:
        """Stand still."""

    async def read_enclosure(self) -> EnclosureReading:
        """Ask the sensors."""


class EnclosureLink:
    """Connects when it has to, and asks one thing at a time.

    `interrupted` tells whether there is something else to be done by now: then an answer does not count any more.
    """

    def __init__(
        self, name: str, hardware: EnclosureHardware, answer: Seconds, interrupted: Callable[[], bool]
    ) -> None:
        self._name, self._hardware, self._answer, self._interrupted = name, hardware, answer, interrupted
        self._connected = False

    async def command(self, command: Callable[[], Awaitable[T]], what: str) -> T:
        """Call a hook of the driver, over a connection that is made if there is none. Raises what the hook raises."""
        if not self._connected:
            await self._ask(self._hardware.connect, "connect")
            self._connected = True
        return await self._ask(command, what)

    def drop(self) -> None:
        """Connect anew before the next command."""
        self._connected = False

    def failed(self, error: Exception) -> None:
        """Note an error; after one of the connection it is made anew."""
        if isinstance(error, ConnectionLost | DeviceTimeout | OSError):
            self._connected = False

    async def _ask(self, hook: Callable[[], Awaitable[T]], what: str) -> T:
        """Call a hook of the driver. One that neither answers nor lets itself be cancelled is left behind.

        What comes when there is another goal already does not count: it ends the stroke as a cancellation does.
        """
        task = asyncio.create_task(_awaited(hook), name=f"{self._name} {what}")
        task.add_done_callback(retrieve)
        rate = clock.current().rate
        try:
            await asyncio.wait({task}, timeout=patient(self._answer, real=1.0) / rate)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=LETTING_GO / rate)
        if self._interrupted():
            raise asyncio.CancelledError
        if task.done() and not task.cancelled():
            return self._outcome(task, what)
        raise DeviceTimeout(
            f"{self._name} did not {what} within {self._answer:.1f} s; check its power and connection",
            device=self._name,
        )

    def _outcome(self, task: asyncio.Task[T], what: str) -> T:
        try:
            return task.result()
        except TimeoutError as error:
            text = f"{self._name} timed out on {what}; check its connection"
            raise DeviceTimeout(text, device=self._name) from error


async def _awaited(hook: Callable[[], Awaitable[T]]) -> T:
    return await hook()


def retrieve(future: asyncio.Future[T]) -> None:
    """Take the error of a future that nobody may wait for; whoever it concerns was told."""
    if not future.cancelled():
        future.exception()
