"""Safe or not, with a memory: what was bad must have been good for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytel.automation.limits import Fault
from pytel.base.units import Seconds

_START = "start"


class Verdict:
    """Turns faults over time into safe or unsafe: each one must have been away for its own time to clear.

    It begins unsafe, as if something had been bad until then. All times are elapsed seconds, which nobody can set.
    """

    def __init__(self, now: Seconds, clear_after: Seconds, *, first: Seconds = 0.0) -> None:
        """`first` is how long all must be good at the beginning, if that is more than `clear_after`."""
        self.safe = False
        self.since = now
        self.reasons: tuple[str, ...] = ("the safety monitor has just started",)
        self._keys: tuple[str, ...] = (_START,)
        self._clear_after = clear_after
        self._pending = {_START: _Pending("the start", now + max(clear_after, first))}
        self._lasting: dict[str, Seconds] = {}  # what was wrong until now, and its time to clear from when it ends
        self._good_from: Seconds | None = None

    def update(self, faults: Sequence[Fault], now: Seconds) -> bool:
        """Judge anew; tells whether the verdict or the kind of its reasons changed."""
        before = (self.safe, self._keys)
        self._note(faults, now)
        safe = not faults and not self._pending
        if safe != self.safe:
            self.safe, self.since = safe, now
        ends = [pending.until for pending in self._pending.values()]
        self._good_from = None if faults else max(ends, default=now)
        self.reasons, self._keys = self._explain(faults, now)
        return before != (self.safe, self._keys)

    @property
    def good_from(self) -> Seconds | None:
        """When it becomes safe if nothing happens, None while something is wrong."""
        return self._good_from

    def _note(self, faults: Sequence[Fault], now: Seconds) -> None:
        lasting: dict[str, Seconds] = {}
        for fault in faults:
            clear_after = self._clear_after if fault.clear_after is None else fault.clear_after
            if fault.seen is None:
                lasting[fault.key] = clear_after
            self._postpone(fault.key, fault.text, (now if fault.seen is None else fault.seen) + clear_after)
        for key in self._lasting.keys() - lasting.keys():
            self._postpone(key, self._pending[key].text, now + self._lasting[key])
        self._lasting = lasting
        bad = {fault.key for fault in faults}
        for key in [key for key, pending in self._pending.items() if pending.until <= now and key not in bad]:
            del self._pending[key]

    def _postpone(self, key: str, text: str, until: Seconds) -> None:
        known = self._pending.get(key)
        self._pending[key] = _Pending(text, until if known is None else max(until, known.until))

    def _explain(self, faults: Sequence[Fault], now: Seconds) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if faults:
            return tuple(fault.text for fault in faults), tuple(fault.key for fault in faults)
        if self.safe:
            return (), ()
        last = max(self._pending.values(), key=lambda pending: pending.until)
        text = f"good again, {last.until - now:.0f} s more to wait after: {last.text}"
        return (text,), ("waiting", *sorted(self._pending))


class _Pending(NamedTuple):
    """Something that was bad, and until when it has to stay good."""

    text: str
    until: Seconds
