"""Guiding on one target: references, what was learned, and how well it goes. No bus, no clock."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from pytel.automation.guiding_field import Frame, GuideField, Measured, make_field
from pytel.automation.guiding_law import GuideLaw, Verdict
from pytel.automation.guiding_predictors import Experience
from pytel.automation.guiding_sky import NOWHERE, Orientation, Shift
from pytel.base.units import Arcsec, Seconds

if TYPE_CHECKING:
    from pytel.sky.catalogue import StarSource

_MOST_REFERENCES = 6
_LOST_AFTER = 2
"""Frames in a row without the field, until it counts as lost."""
_LEARNED = 4


class Outcome(Enum):
    """What became of a frame."""

    REFERENCE = "reference"
    MEASURED = "measured"
    DOUBTED = "doubted"
    NOT_FOUND = "not found"


class Statistics:
    """How well it goes since the first reference."""

    def __init__(self) -> None:
        self.frames = self.rejected = self.corrections = 0
        self.max_offset: Arcsec = 0.0
        self._squares_ra = self._squares_dec = 0.0

    def note(self, offset: Shift) -> None:
        """A frame was measured."""
        self.frames += 1
        self.max_offset = max(self.max_offset, offset.length)
        self._squares_ra += offset.ra**2
        self._squares_dec += offset.dec**2

    @property
    def rms(self) -> Shift:
        """Root of the mean square of the offsets measured."""
        count = max(1, self.frames)
        return Shift(math.sqrt(self._squares_ra / count), math.sqrt(self._squares_dec / count))


class GuidingSession:
    """What is known about one target.

    `slew` is the count of slews (see `Pointing`) that it belongs to, `start` the middle of its first frame; `kind`
    tells targets that may profit from each other's `experience`: those with exposures of a similar length.
    """

    def __init__(
        self,
        slew: int,
        start: float,
        *,
        gain: float,
        max_offset: Arcsec,
        fallback: Orientation | None = None,
        stars: StarSource | None = None,
        kind: int = 0,
        experience: Experience | None = None,
    ) -> None:
        self.slew, self.kind = slew, kind
        self.statistics = Statistics()
        self.last: tuple[float, Measured] | None = None
        self.law = GuideLaw(gain, start, experience)
        self._gain, self._experience = gain, experience
        self.misses = 0
        self.reason = ""
        self._max_offset, self._fallback, self._stars = max_offset, fallback, stars
        self._fields: list[GuideField] = []
        self._good = 0

    @property
    def reference(self) -> str | None:
        """The id of the image that the latest frames were compared with."""
        return self._fields[-1].image if self._fields else None

    @property
    def is_lost(self) -> bool:
        """Whether the field has not been found for some frames."""
        return self.misses >= _LOST_AFTER

    @property
    def has_just_lost(self) -> bool:
        """Whether the last frame made it so."""
        return self.misses == _LOST_AFTER

    @property
    def foresees(self) -> bool:
        """Whether enough is known to correct between frames."""
        return self._good >= _LEARNED and not self.is_lost

    def look(self, frame: Frame) -> Outcome:
        """Compare a frame with its reference, or make it one; blocking.

        Raises `OrientationUnknown`; `OffsetError` when a frame is not fit to be a reference.
        """
        from pytel.imaging.offset import OffsetError

        if self._good == 0 and self.misses >= _LOST_AFTER:
            self._begin_anew(frame)
        field = next((field for field in self._fields if field.fits(frame)), None)
        if field is None:
            self._take_reference(frame)
            return Outcome.REFERENCE
        self._fields.remove(field)
        self._fields.append(field)
        try:
            measured = field.measure(frame, self._max_offset)
        except OffsetError as error:
            return self._missed(error.message)
        if measured.offset.length > self._max_offset:
            return self._missed(f"the field is {measured.offset.length:.1f} arcsec away, which is over the limit")
        return self._found(frame, measured)

    def _begin_anew(self, frame: Frame) -> None:
        """Forget a reference that no frame has ever fitted: it was taken through a cloud."""
        self._fields.clear()
        self.misses, self.reason = 0, ""
        self.law = GuideLaw(self._gain, (frame.start + frame.end) / 2, self._experience)

    def _take_reference(self, frame: Frame) -> None:
        error = self.law.expected_offset(frame.start, frame.end) if self._fields else NOWHERE
        self._fields.append(make_field(frame, self._fallback, error, stars=self._stars))
        del self._fields[:-_MOST_REFERENCES]

    def _missed(self, reason: str) -> Outcome:
        self.misses += 1
        self.reason = reason
        self.statistics.rejected += 1
        return Outcome.NOT_FOUND

    def _found(self, frame: Frame, measured: Measured) -> Outcome:
        verdict = self.law.measured(
            frame.start, frame.end, measured.offset, measured.uncertainty, found_again=self.is_lost
        )
        self.misses = 0
        self.reason = ""
        if verdict is Verdict.SUSPECT:
            self.statistics.rejected += 1
            return Outcome.DOUBTED
        self._good += 1
        self.last = ((frame.start + frame.end) / 2, measured)
        self.statistics.note(measured.offset)
        return Outcome.MEASURED

    def correction(self, when: float) -> Shift:
        """What would bring the telescope to its place at a time."""
        return self.law.wanted(when)

    def corrected(self, when: float, correction: Shift) -> None:
        """The telescope was moved."""
        self.law.corrected(when, correction)
        self.statistics.corrections += 1

    @property
    def rate(self) -> Shift:
        """The drift learned, arcsec per second."""
        return self.law.rate


def coasts(last_good: float | None, now: float, longest: Seconds) -> bool:
    """Whether what was learned may still be followed without a frame that confirms it."""
    return last_good is not None and now - last_good <= longest
