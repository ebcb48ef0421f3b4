"""How long to expose on a light that changes: the twilight sky, or a lamp."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from pytel.base.units import Adu, Seconds

_REMEMBERED: Seconds = 600.0
_SPAN: Seconds = 40.0
_FEWEST = 3


class FlatLight:
    """Predicts exposure times from the counts of earlier frames.

    The rate is taken to grow or fall by a constant share in the time of an exposure, as twilight does: `slope` gives
    d ln(rate)/dt (1/s) at a Unix time. Once three frames span 40 s their own slope replaces it, for clouds and
    filters that the model does not know.
    """

    def __init__(self, slope: Callable[[float], float]) -> None:
        self._model = slope
        self._seen: deque[tuple[float, float]] = deque()

    def measured(self, middle: float, rate: float) -> None:
        """Take note of a rate (ADU/s above bias) at the middle of an exposure (Unix seconds)."""
        self._seen.append((middle, math.log(max(rate, 1e-3))))
        while self._seen[0][0] < middle - _REMEMBERED:
            self._seen.popleft()

    def forget(self) -> None:
        """The filter is another one."""
        self._seen.clear()

    def slope(self, when: float) -> float:
        """Share by which the light grows in a second (negative: it fades)."""
        if len(self._seen) < _FEWEST or self._seen[-1][0] - self._seen[0][0] < _SPAN:
            return self._model(when)
        times = [time for time, _ in self._seen]
        mean_time, mean_log = sum(times) / len(times), sum(log for _, log in self._seen) / len(self._seen)
        spread = sum((time - mean_time) ** 2 for time in times)
        return sum((time - mean_time) * (log - mean_log) for time, log in self._seen) / spread

    def rate(self, when: float) -> float:
        """Expected ADU per second at a Unix time; what was seen last counts. Raises `LookupError` before that."""
        if not self._seen:
            raise LookupError("no frame was measured yet")
        time, log = self._seen[-1]
        return math.exp(min(60.0, log + self.slope(when) * (when - time)))

    def exposure_time(self, counts: Adu, start: float) -> Seconds:
        """How long to expose from `start` for so many counts above bias; infinite when the light fades too fast."""
        rate, slope = self.rate(start), self.slope(start)
        if abs(slope) * counts / rate < 1e-6:
            return counts / rate
        grown = 1.0 + slope * counts / rate
        return math.log(grown) / slope if grown > 0 else math.inf

    def wait(self, rate: float, now: float) -> Seconds:
        """How long until the light has a rate (ADU/s); infinite when it goes the other way."""
        slope, present = self.slope(now), self.rate(now)
        if slope == 0.0:
            return math.inf
        seconds = math.log(rate / present) / slope
        return seconds if seconds >= 0 else math.inf
