"""When it is time to focus again."""

from __future__ import annotations

from pytel.base.units import Celsius, Seconds
from pytel.interfaces.autofocus import FocusResult


class FocusPlan:
    """Asks for a focus run after some time or change of temperature, and not too soon after one that failed."""

    def __init__(self, interval: Seconds, temperature_change: Celsius, retry: Seconds) -> None:
        self._interval = interval
        self._change = temperature_change
        self._retry = retry
        self._last: FocusResult | None = None
        self._not_before = float("-inf")

    def succeeded(self, result: FocusResult) -> None:
        """Take note of a result, tonight's or one from before a restart."""
        self._last = result

    def failed(self, now: float) -> None:
        """Take note of a failure at `now` (Unix seconds)."""
        self._not_before = now + self._retry

    def is_due(self, now: float, temperature: Celsius | None) -> bool:
        """Whether to focus at `now`, at this temperature of the focuser."""
        if now < self._not_before:
            return False
        if self._last is None or now - self._last.time.timestamp() >= self._interval:
            return True
        before = self._last.temperature
        return temperature is not None and before is not None and abs(temperature - before) >= self._change
