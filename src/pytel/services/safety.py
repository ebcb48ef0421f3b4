"""What an enclosure knows of safety: the verdicts heard, when they expire, and that silence means unsafe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from pytel.base.units import Seconds
from pytel.interfaces.safety import SafetyMonitorState

Verdict = tuple[bool, tuple[str, ...]]


class SafetyWatch:
    """Weighs the verdicts of all safety monitors in sight.

    A verdict holds until its own `expires`, but never longer than `longest` seconds after it was heard, whatever the
    monitor promises. All monitors ever heard must agree that it is safe: one that falls silent makes it unsafe, until
    it speaks again (or the enclosure is restarted without it).
    """

    def __init__(self, longest: Seconds) -> None:
        self._longest = timedelta(seconds=longest)
        self._heard: dict[str, _Heard] = {}

    def hear(self, monitor: str, state: SafetyMonitorState, now: datetime) -> None:
        """Note a verdict. One that is shown again unchanged does not last longer for it."""
        known = self._heard.get(monitor)
        if known is None or known.state != state:
            self._heard[monitor] = _Heard(state, now - self._longest, min(state.expires, now + self._longest))

    def hear_all(self, states: Mapping[str, SafetyMonitorState], now: datetime) -> None:
        """Note the last verdicts of all monitors that are present."""
        for monitor in sorted(states):
            self.hear(monitor, states[monitor], now)

    @property
    def is_unknown(self) -> bool:
        """Tell whether no monitor was ever heard."""
        return not self._heard

    def verdict(self, now: datetime) -> Verdict:
        """Safe or not at `now`, with the reasons."""
        if self.is_unknown:
            return False, ("no safety monitor was heard",)
        reasons: list[str] = []
        for monitor, heard in self._heard.items():
            reasons.extend(_reasons(monitor, heard, now))
        return not reasons, tuple(reasons)

    def next_expiry(self, now: datetime) -> Seconds | None:
        """Seconds until the next verdict in force expires; None when none is in force."""
        left = [(heard.expires - now).total_seconds() for heard in self._heard.values() if heard.expires >= now]
        return min(left, default=None)


class _Heard(NamedTuple):
    """A verdict, and the times between which it holds: a clock that is set back makes nothing last longer."""

    state: SafetyMonitorState
    begins: datetime
    expires: datetime


def _reasons(monitor: str, heard: _Heard, now: datetime) -> tuple[str, ...]:
    if now > heard.expires:
        return (f"{monitor} is silent: its last word expired at {heard.expires:%H:%M:%S} UTC",)
    if now < heard.begins:
        return (f"{monitor} has not spoken since the clock was set back",)
    if not heard.state.safe:
        return heard.state.reasons or (f"{monitor} says unsafe and gives no reason",)
    return ()
