"""What the telescope did while a frame was taken, from its states: which moves were made on purpose."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from pytel.automation.guiding_sky import Shift
from pytel.base.units import Seconds
from pytel.interfaces.telescope import TelescopeState, TelescopeStatus

_REMEMBERED = 200


class Pointing(NamedTuple):
    """Where the telescope was held: the count of slews, and the sum of the offsets that it was told to make since."""

    slew: int
    offset: Shift


class _Since(NamedTuple):
    when: float
    pointing: Pointing | None


class TelescopeLog:
    """Tells slews from offsets, and steady times from others.

    A slew sets the telescope's offset to zero when it begins; an offset is added when it has ended. So a motion that
    shows neither another target nor another offset at its end was a slew too: to the same target again.
    """

    def __init__(self) -> None:
        self._course: deque[_Since] = deque(maxlen=_REMEMBERED)
        self._slews = 0
        self._target: tuple[float | None, float | None] | None = None
        self._offset = Shift(0.0, 0.0)
        self._moving_with: Shift | None = None

    @property
    def present(self) -> Pointing | None:
        """Where it is held now, None while it moves, rests or does not answer."""
        return self._course[-1].pointing if self._course else None

    def heard(self, when: float, state: TelescopeState) -> None:
        """Take note of a state that came at a site time."""
        offset = Shift(state.offset_ra, state.offset_dec)
        if state.status is TelescopeStatus.TRACKING:
            self._tracks(when, (state.target_ra, state.target_dec), offset)
            return
        if state.status is TelescopeStatus.SLEWING:
            if self._moving_with is None:
                self._moving_with = offset
            elif offset != self._moving_with:
                self._target = None
        elif state.status is not TelescopeStatus.ERROR:
            self._target = None
        if state.status is TelescopeStatus.SLEWING and offset != self._offset:
            self._target = None  # the offset was set to zero by the beginning of a slew
        self._note(when, None)

    def _tracks(self, when: float, target: tuple[float | None, float | None], offset: Shift) -> None:
        slewed = self._moving_with is not None and offset == self._moving_with
        if slewed or self._target != target:
            self._slews += 1
        self._target, self._offset, self._moving_with = target, offset, None
        self._note(when, Pointing(self._slews, offset))

    def _note(self, when: float, pointing: Pointing | None) -> None:
        if not self._course or self._course[-1].pointing != pointing:
            self._course.append(_Since(when, pointing))

    def during(self, start: float, end: float, late: Seconds) -> Pointing | None:
        """Where it was held from `start` to `end`, None when it was not held still.

        States may come up to `late` after what they tell of. Of the time before the first state that first one is
        taken to be true.
        """
        begin = min(start + late, (start + end) / 2)
        found: Pointing | None = None
        for index, (since, pointing) in enumerate(self._course):
            until = self._course[index + 1].when if index + 1 < len(self._course) else float("inf")
            if (since >= end and index > 0) or until <= begin:
                continue
            if pointing is None or (found is not None and pointing != found):
                return None
            found = pointing
        return found
