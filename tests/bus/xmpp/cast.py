"""A module that counts what it executes, and callers that write down what they are told."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter as Tally
from collections.abc import Iterable

from bus.harness import call, until
from pytel.base import clock
from pytel.base.errors import ConnectionLost, PytelError
from pytel.bus.contract import Bus
from pytel.module import Interface, rpc
from pytel.module.module import Module

UNSENT = "not sent"
LEEWAY = 0.3
"""Real seconds that may pass on a busy machine between the check of a call's expiry and its count."""


class Counter(Interface):
    """Counts."""

    @rpc()
    async def count(self, number: int) -> int:
        """Count a number."""
        raise NotImplementedError


class CounterModule(Module, Counter):
    """Writes down when it executed what."""

    async def on_start(self) -> None:
        self.executed: list[tuple[int, float]] = []

    async def count(self, number: int) -> int:
        self.executed.append((number, clock.real_time()))
        return number


class Told:
    """What callers were told, by the number of the call."""

    def __init__(self, numbers: Iterable[int] | None = None) -> None:
        self.outcome: dict[int, str] = {}
        self.expiry: dict[int, float] = {}
        self._numbers = iter(numbers if numbers is not None else itertools.count(1))
        self._random = random.Random(1)

    @property
    def failed(self) -> int:
        """How many callers were told an error."""
        return len(self.outcome) - self.tally()["result"]

    def tally(self) -> Tally[str]:
        """How often each outcome was told."""
        return Tally(self.outcome.values())

    async def more_results(self, count: int) -> None:
        """Wait until so many more calls have been answered."""
        before = self.tally()["result"]
        await until(lambda: self.tally()["result"] > before + count, within=60)

    async def keep_calling(self, bus: Bus, target: str, pace: float) -> None:
        """Start a call every `pace` seconds, with deadlines of all lengths, until cancelled; then await them all."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                task = asyncio.create_task(self.one(bus, target, self._random.choice((0.02, 0.2, 1.0, 5.0))))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(pace)
        finally:
            await asyncio.gather(*under_way)

    async def one(self, bus: Bus, target: str, timeout: float) -> None:
        """Call once."""
        number = next(self._numbers)
        self.expiry[number] = clock.real_time() + timeout
        try:
            answer = await call(bus, target, "count", {"number": number}, timeout=timeout)
        except ConnectionLost as error:
            self.outcome[number] = UNSENT if "is not connected" in error.message else error.name
        except PytelError as error:
            self.outcome[number] = error.name
        else:
            assert answer == number
            self.outcome[number] = "result"

    def check(self, executed: list[tuple[int, float]]) -> None:
        """Hold what was executed against what the callers were told."""
        times = Tally(number for number, _ in executed)
        assert max(times.values()) == 1, "executed twice"
        assert [
            (number, at - self.expiry[number]) for number, at in executed if at > self.expiry[number] + LEEWAY
        ] == []
        unsent = {number for number, outcome in self.outcome.items() if outcome == UNSENT}
        assert unsent & times.keys() == set()
        assert {number for number, outcome in self.outcome.items() if outcome == "result"} <= times.keys()
