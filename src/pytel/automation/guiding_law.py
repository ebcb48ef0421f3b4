"""From measured offsets to corrections: what to believe, and what to do about it.

The law keeps account of its own corrections. What a frame shows, less the mean of the corrections that were in force
while it was exposed, is the telescope's own error; of that the predictors learn, and each correction makes up for what
they foretell. So neither a correction in the middle of a frame nor one that came too late for it is made twice.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from statistics import median

from pytel.automation.guiding_predictors import Ensemble, Experience
from pytel.automation.guiding_sky import NOWHERE, Shift
from pytel.base.units import Arcsec

_RECENT = 25
_ENOUGH = 5
_SIGMAS = 6.0
_MAD_TO_SIGMA = 1.4826
_FORGIVEN: Arcsec = 2.0
"""A surprise below this is believed as long as the scatter is not known."""
_LEAST_SCATTER: Arcsec = 0.1
_SAME_WAY = 0.7
_CORRECTIONS = 500


class Verdict(Enum):
    """What became of a measurement; a `SUSPECT` is not followed unless the next frame confirms it: then a `JUMP`."""

    GOOD = "good"
    SUSPECT = "suspect"
    JUMP = "jump"


class CorrectionLog:
    """The sum of all corrections since the reference, as a function of time."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, Shift]] = deque(maxlen=_CORRECTIONS)
        self._forgotten = NOWHERE

    @property
    def present(self) -> Shift:
        """The sum now."""
        return self._steps[-1][1] if self._steps else self._forgotten

    def add(self, when: float, correction: Shift) -> None:
        """A correction was made."""
        total = self.present.plus(correction)
        if len(self._steps) == self._steps.maxlen:
            self._forgotten = self._steps[0][1]
        self._steps.append((when, total))

    def mean(self, start: float, end: float) -> Shift:
        """The mean of the sum during a frame."""
        length = max(end - start, 1e-3)
        mean, before = NOWHERE, self._forgotten
        since = start
        for when, total in self._steps:
            if when > start:
                until = min(when, start + length)
                mean = mean.plus(before.times(max(0.0, until - since) / length))
                since = max(since, until)
            before = total
        return mean.plus(before.times(max(0.0, start + length - since) / length))


class GuideLaw:
    """Decides how far the telescope is to be moved. Times are Unix seconds of site time."""

    def __init__(self, gain: float, start: float, experience: Experience | None = None) -> None:
        self.corrections = CorrectionLog()
        self._error = Ensemble(gain, start, experience)
        self._surprises: deque[float] = deque(maxlen=_RECENT)
        self._suspect: Shift | None = None

    @property
    def rate(self) -> Shift:
        """The telescope's drift, arcsec per second."""
        return self._error.rate

    @property
    def experience(self) -> Experience:
        """What the next target may profit from."""
        return self._error.experience

    def measured(
        self, start: float, end: float, offset: Shift, uncertainty: Arcsec = 0.0, *, found_again: bool = False
    ) -> Verdict:
        """Take in how far off the telescope was, in the mean, during a frame.

        `found_again`: the field had been lost, so that any place is as good as another.
        """
        when = (start + end) / 2
        error = offset.minus(self.corrections.mean(start, end))
        surprise = error.minus(self._error.predict(when))
        if surprise.length <= self._believable(uncertainty):
            self._suspect = None
            self._surprises.append(surprise.length)
            self._error.learn(when, error)
            return Verdict.GOOD
        if not (found_again or (self._suspect is not None and self._suspect.along(surprise) >= _SAME_WAY)):
            self._suspect = surprise
            return Verdict.SUSPECT
        self._suspect = None
        self._error.jump(surprise)
        self._error.learn(when, error)
        return Verdict.JUMP

    def _believable(self, uncertainty: Arcsec) -> Arcsec:
        """How large a surprise may be: several times what is usual."""
        if len(self._surprises) < _ENOUGH:
            return max(_FORGIVEN, _SIGMAS * uncertainty)
        usual = _MAD_TO_SIGMA * median(self._surprises)
        return _SIGMAS * max(usual, uncertainty, _LEAST_SCATTER)

    def wanted(self, when: float) -> Shift:
        """The correction that brings the telescope to its place at a time."""
        return self._error.predict(when).plus(self.corrections.present).times(-1.0)

    def expected_offset(self, start: float, end: float) -> Shift:
        """How far off the telescope is thought to have been during a frame."""
        return self._error.predict((start + end) / 2).plus(self.corrections.mean(start, end))

    def corrected(self, when: float, correction: Shift) -> None:
        """Take note of a correction that the telescope has made."""
        self.corrections.add(when, correction)
