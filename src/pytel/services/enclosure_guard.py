"""When an enclosure has to close by itself: what was heard of safety, the grace at the start, a STOP of a person."""

from __future__ import annotations

from pytel.base import clock
from pytel.base.units import Seconds
from pytel.services.enclosure_drive import EnclosureDrive, Goal
from pytel.services.safety import SafetyWatch
from pytel.services.timing import patient

REPORT_WITHIN: Seconds = 1.6
"""Seconds after the decision to close by which it must be seen to close, or it is looked at once more."""
_SECOND_LOOK: Seconds = 0.1
"""Seconds until that second look, which raises the alarm: a computer that stood still has not looked at all."""
_TO_STOP: Seconds = 1.0
"""Seconds that a STOP may take before safety overrides it."""
_STOP_AGAIN: Seconds = 10.0
"""Seconds after which a STOP goes before safety once more: a button that sticks must not keep it open."""
_LONGEST_PAUSE: Seconds = 5.0
"""The guard looks this often, also if nothing wakes it, as a verdict that cannot be understood does not."""
_JUST_AFTER = 0.01


class EnclosureGuard:
    """Decides; it neither moves nor tells anything."""

    def __init__(self, drive: EnclosureDrive, safety: SafetyWatch, grace: Seconds) -> None:
        self._drive, self._safety = drive, safety
        self._grace_ends = clock.elapsed() + grace
        self._stopped = float("-inf")
        self._late_since: float | None = None

    def must_close(self, turned: bool) -> bool:
        """Tell whether to close now that it is unsafe; at each turn to unsafe even if it is said to be shut."""
        waiting = self._safety.is_unknown and clock.elapsed() < self._grace_ends
        shut = self._drive.secured and not turned
        return not (waiting or self._may_stop() or shut or self._drive.goal is Goal.CLOSED)

    def _may_stop(self) -> bool:
        """Tell whether a STOP goes before safety just now."""
        if self._drive.goal is not Goal.STOP:
            return False
        if clock.elapsed() >= self._stopped + _STOP_AGAIN:
            self._stopped = clock.elapsed()
        return clock.elapsed() < self._stopped + _TO_STOP

    def is_late(self) -> bool:
        """Tell whether it should be seen to close by now, and is not, at two looks in a row."""
        drive, now = self._drive, clock.elapsed()
        due = now >= drive.goal_since + patient(REPORT_WITHIN)
        if not (drive.goal is Goal.CLOSED and due and not drive.closing_seen):
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return now >= self._late_since + _second_look()

    def pause(self, expiry: Seconds | None) -> Seconds:
        """After how many seconds to judge again; `expiry` is when the next verdict ends."""
        now = clock.elapsed()
        waits = [_LONGEST_PAUSE]
        if expiry is not None:
            waits.append(expiry + _JUST_AFTER)
        if self._safety.is_unknown:
            waits.append(self._grace_ends - now)
        if self._drive.goal is Goal.CLOSED:
            waits.append(self._drive.goal_since + patient(REPORT_WITHIN) + _JUST_AFTER - now)
        if self._late_since is not None:
            waits.append(self._late_since + _second_look() + _JUST_AFTER - now)
        if self._drive.goal is Goal.STOP:
            waits += [since + _TO_STOP + _JUST_AFTER - now for since in (self._drive.goal_since, self._stopped)]
        return min(wait for wait in waits if wait > 0)


def _second_look() -> Seconds:
    return patient(_SECOND_LOOK, real=_SECOND_LOOK)
