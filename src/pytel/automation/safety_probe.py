"""Something that a safety monitor measures by itself from time to time: the Sun, the room on a disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pytel.automation.limits import Fault
from pytel.base import clock
from pytel.base.errors import PytelError, wrap
from pytel.base.units import Seconds
from pytel.services.timing import answered

T = TypeVar("T")
_ANSWER: Seconds = 5.0


class Probe(Generic[T]):
    """Measures again and again; what is too old, or could not be measured, is a fault."""

    def __init__(self, name: str, measure: Callable[[], Awaitable[T]], max_age: Seconds) -> None:
        self.value: T | None = None
        self.taken = clock.elapsed()
        self._name, self._measure, self._max_age = name, measure, max_age
        self._error: PytelError | None = None

    async def look(self) -> None:
        """Measure once; a failure is kept and told by `faults`."""
        try:
            value = await answered(self._measure(), _ANSWER, self._name, "answer", real=5.0)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is unsafe, and measured again
            self._error = wrap(error)
        else:
            self.value, self.taken, self._error = value, clock.elapsed(), None

    def faults(self, judge: Callable[[T], list[Fault]]) -> list[Fault]:
        """What the last value breaks, or why there is none."""
        if self._error is not None:
            return [Fault(f"{self._name}:failed", f"{self._name} cannot be told: {self._error.message}")]
        if self.value is None:
            return [Fault(f"{self._name}:unknown", f"{self._name} is not known yet", 0.0)]
        age = clock.elapsed() - self.taken
        if age >= self._max_age:
            return [Fault(f"{self._name}:old", f"{self._name} was last told {age:.0f} s ago")]
        return judge(self.value)
