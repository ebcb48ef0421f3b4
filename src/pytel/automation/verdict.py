"""Safe or not, with a memory: what was bad must have been good for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pytel.automation.limits import Fault
from pytel.base.units import Seconds


class Verdict:
    """Turns faults over time into safe or unsafe. It begins unsafe, and stays so until all was good for `good_for`."""

    def __init__(self, now: datetime, good_for: Seconds) -> None:
        self.safe = False
        self.since = now
        self.reasons: tuple[str, ...] = ("the safety monitor has just started",)
        self._keys: tuple[str, ...] = ("start",)
        self._good_for = timedelta(seconds=good_for)
        self._good_since: datetime | None = None

    def update(self, faults: Sequence[Fault], now: datetime) -> bool:
        """Judge anew; tells whether the verdict or the kind of its reasons changed."""
        before = (self.safe, self._keys)
        if faults:
            self._good_since = None
        elif self._good_since is None:
            self._good_since = now
        waited = now - self._good_since if self._good_since is not None else timedelta()
        safe = not faults and waited >= self._good_for
        if safe != self.safe:
            self.safe, self.since = safe, now
        self.reasons, self._keys = self._explain(faults, waited)
        return before != (self.safe, self._keys)

    @property
    def good_from(self) -> datetime | None:
        """When it becomes safe if nothing happens, None while something is wrong."""
        return None if self._good_since is None else self._good_since + self._good_for

    def _explain(self, faults: Sequence[Fault], waited: timedelta) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if faults:
            return tuple(fault.text for fault in faults), tuple(fault.key for fault in faults)
        if self.safe:
            return (), ()
        left = (self._good_for - waited).total_seconds()
        return (f"good again, {left:.0f} s more to wait",), ("waiting",)
