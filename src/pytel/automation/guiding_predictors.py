"""How a telescope's own error goes on: drift, and a worm's period once it has been seen to repeat.

They learn from the error that the telescope would have without any correction (the open loop), so that the guider's
own work does not hide what it learns. Several run side by side and the one that foretold best of late is believed.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytel.automation.guiding_sky import NOWHERE, Shift
from pytel.base.units import Seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORGETS = 0.9
"""Weight of the former frames' squared errors in a score, per frame."""
_HISTORY = 240
_LEAST_FRAMES = 12
_REPEATS = 1.15
"""So many periods must have been seen before one is believed."""
_FRAMES_IN_PERIOD = 2.6
_STEADY = 6
"""So many forecasts must have been compared with what came before one is preferred for them."""


class Predictor(Protocol):
    """Foretells the error of the telescope."""

    def predict(self, when: float) -> Shift | None:
        """The error at a time, None as long as it cannot tell."""

    def learn(self, when: float, error: Shift) -> None:
        """Take note of an error that was measured."""

    def jump(self, by: Shift) -> None:
        """All goes on as before, this far away."""


class Drift:
    """A level and a rate (an alpha-beta filter, with the gain of the rate by Benedict & Bordner 1962).

    `gain` is the part of each surprise that counts as motion of the telescope, the rest as noise.
    """

    def __init__(self, gain: float, start: float) -> None:
        self.gain = gain
        self.rate = NOWHERE
        self._level, self._time = NOWHERE, start

    def predict(self, when: float) -> Shift:
        """Go on at the rate learned."""
        return self._level.plus(self.rate.times(when - self._time))

    def learn(self, when: float, error: Shift) -> None:
        """Correct level and rate."""
        if when <= self._time:
            return
        expected = self.predict(when)
        surprise = error.minus(expected)
        self._level = expected.plus(surprise.times(self.gain))
        self.rate = self.rate.plus(surprise.times(self.gain**2 / (2 - self.gain) / (when - self._time)))
        self._time = when

    def jump(self, by: Shift) -> None:
        """Move the level; the rate stays."""
        self._level = self._level.plus(by)


class Periodic:
    """A drift and a sine, fitted to the frames since the reference by least squares; the period is found by trying."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._course: deque[tuple[float, Shift]] = deque([(0.0, NOWHERE)], maxlen=_HISTORY)
        self._fit: _Sine | None = None

    def predict(self, when: float) -> Shift | None:
        """Follow drift and sine."""
        return None if self._fit is None else self._fit.at(when - self._start)

    def learn(self, when: float, error: Shift) -> None:
        """Fit anew."""
        self._course.append((when - self._start, error))
        self._fit = _fit_sine(list(self._course))

    def jump(self, by: Shift) -> None:
        """Move what was seen, as if it had always been there."""
        self._course = deque(((when, seen.plus(by)) for when, seen in self._course), maxlen=_HISTORY)
        self._fit = _fit_sine(list(self._course))


class _Sine(NamedTuple):
    """Level, drift, cosine and sine, with a frequency (radians per second)."""

    frequency: float
    level: Shift
    rate: Shift
    cosine: Shift
    sine: Shift

    def at(self, when: Seconds) -> Shift:
        phase = self.frequency * when
        straight = self.level.plus(self.rate.times(when))
        return straight.plus(self.cosine.times(math.cos(phase))).plus(self.sine.times(math.sin(phase)))


def _fit_sine(course: list[tuple[Seconds, Shift]]) -> _Sine | None:
    """The best sine between a period of a few frames and one that has been seen to repeat."""
    import numpy as np

    if len(course) < _LEAST_FRAMES:
        return None
    times = np.array([when for when, _ in course])
    seen = np.array([error for _, error in course])
    span = float(times[-1] - times[0])
    low, high = _REPEATS / span, (len(times) - 1) / span / _FRAMES_IN_PERIOD
    if not low < high:
        return None
    tried = np.linspace(low, high, 2 * len(times))
    best = int(np.argmin(_rests(times, seen, tried)[0]))
    around = np.linspace(tried[max(0, best - 1)], tried[min(len(tried) - 1, best + 1)], 2 * len(times))
    rests, terms = _rests(times, seen, around)
    chosen = int(np.argmin(rests))
    shifts = [Shift(float(ra), float(dec)) for ra, dec in terms[chosen]]
    return _Sine(2 * math.pi * float(around[chosen]), *shifts)


def _rests(
    times: NDArray[np.float64], seen: NDArray[np.float64], tried: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each frequency (1/s) leaves of the squares, and its terms."""
    import numpy as np

    phase = 2 * math.pi * tried[:, None] * times[None, :]
    ones = np.ones_like(phase)
    design = np.stack([ones, ones * times, np.cos(phase), np.sin(phase)], axis=2)
    sizes = np.abs(design).max(axis=(0, 1))
    design = design / sizes
    turned = design.transpose(0, 2, 1)
    terms = np.linalg.solve(turned @ design + 1e-9 * np.eye(4), turned @ seen)
    rests = ((seen - design @ terms) ** 2).sum(axis=(1, 2))
    return rests, terms / sizes[:, None]


class Ensemble:
    """Several predictors, and how well each has foretold the frames so far."""

    def __init__(self, gain: float, start: float) -> None:
        gains = sorted({gain, *(smaller for smaller in (0.5, 0.3, 0.15, 0.07) if smaller < gain)}, reverse=True)
        self._drifts = [Drift(each, start) for each in gains]
        self._rated = [_Rated(drift) for drift in self._drifts] + [_Rated(Periodic(start))]

    @property
    def rate(self) -> Shift:
        """The drift learned, arcsec per second."""
        return self._drifts[len(self._drifts) // 2].rate

    def predict(self, when: float) -> Shift:
        """What the predictor says that did best of late; the first one until others have shown what they can."""
        proven = [rated for rated in self._rated if rated.count >= _STEADY]
        best = min(proven, key=lambda rated: rated.score, default=self._rated[0])
        foretold = best.predictor.predict(when)
        return self._drifts[0].predict(when) if foretold is None else foretold

    def learn(self, when: float, error: Shift) -> None:
        """Rate all by what they foretold, then let them learn."""
        for rated in self._rated:
            rated.rate(when, error)
            rated.predictor.learn(when, error)

    def jump(self, by: Shift) -> None:
        """All goes on this far away."""
        for rated in self._rated:
            rated.predictor.jump(by)


class _Rated:
    """A predictor and the mean of the squares by which it failed, the latest counting most."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.count = 0
        self._sum = self._weight = 0.0

    @property
    def score(self) -> float:
        return self._sum / self._weight

    def rate(self, when: float, error: Shift) -> None:
        foretold = self.predictor.predict(when)
        if foretold is None:
            return
        self.count += 1
        self._sum = _FORGETS * self._sum + error.minus(foretold).length ** 2
        self._weight = _FORGETS * self._weight + 1.0
