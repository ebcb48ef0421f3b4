"""Those who wait for a property: each hears every message about it, in order, however many came at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pytel.base.errors import PytelError
from pytel.devices.indi.properties import Vector

Judge = Callable[[Vector, str], bool]
"""Whether a vector, which changed with these words, is what is waited for; raises to end the wait with an error."""


class Waiter:
    """One wait for one property; a context manager, so that it is forgotten however it ends."""

    def __init__(self, waiters: Waiters, device: str, name: str, judge: Judge, *, patient: bool) -> None:
        self._waiters, self._judge = waiters, judge
        self.device, self.name = device, name
        self.patient = patient
        """Outlives links and properties that vanish."""
        self.future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Waiter:
        self._waiters.add(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._waiters.remove(self)
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()

    def hear(self, vector: Vector, words: str) -> None:
        """Judge a vector."""
        if self.future.done():
            return
        try:
            if self._judge(vector, words):
                self.future.set_result(vector)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self.future.set_exception(error)

    def fail(self, error: PytelError) -> None:
        """End it."""
        if not self.future.done():
            self.future.set_exception(error)


class Waiters:
    """All waits of a client."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], list[Waiter]] = {}

    def add(self, waiter: Waiter) -> None:
        """Have it hear."""
        self._waiting.setdefault((waiter.device, waiter.name), []).append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Forget it."""
        key = (waiter.device, waiter.name)
        self._waiting[key].remove(waiter)
        if not self._waiting[key]:
            del self._waiting[key]

    def hear(self, vector: Vector, words: str) -> None:
        """Tell of a message."""
        for waiter in tuple(self._waiting.get((vector.device, vector.name), ())):
            waiter.hear(vector, words)

    def gone(self, device: str, name: str, error: PytelError) -> None:
        """End the waits for a property that has vanished."""
        for waiter in tuple(self._waiting.get((device, name), ())):
            if not waiter.patient:
                waiter.fail(error)

    def lost(self, error: PytelError, *, stopped: bool = False) -> None:
        """End the waits as the link broke; all of them when the client has `stopped`."""
        for waiter in [each for waiters in self._waiting.values() for each in waiters]:
            if stopped or not waiter.patient:
                waiter.fail(error)
