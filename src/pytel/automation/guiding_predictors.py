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
_LEAST_WITH_HINT = 6
_LEAST_OF_PERIOD = 0.6
"""So much of a known period must have been seen to know its phase and size."""
_SURE_OF_REPEATS = 2.5
_FAR_BETTER = 0.3
_RECALLED = 3.0
"""Experience counts at most as much as so many frames."""
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
    """A drift and a sine, fitted to the frames since the reference by least squares; the frequency is found by trying.

    As long as it has not been seen to repeat, it is taken to be `hint` (1/s), if there is one.
    """

    def __init__(self, start: float, hint: float | None = None) -> None:
        self._start, self.hint = start, hint
        self._course: deque[tuple[float, Shift]] = deque([(0.0, NOWHERE)], maxlen=_HISTORY)
        self._fit: _Sine | None = None

    def predict(self, when: float) -> Shift | None:
        """Follow drift and sine."""
        return None if self._fit is None else self._fit.at(when - self._start)

    def learn(self, when: float, error: Shift) -> None:
        """Fit anew."""
        self._course.append((when - self._start, error))
        self._fit = _fit_sine(list(self._course), self.hint)

    @property
    def frequency(self) -> float | None:
        """Of the sine that is followed, 1/s."""
        return None if self._fit is None else self._fit.frequency / (2 * math.pi)

    def jump(self, by: Shift) -> None:
        """Move what was seen, as if it had always been there."""
        self._course = deque(((when, seen.plus(by)) for when, seen in self._course), maxlen=_HISTORY)
        self._fit = _fit_sine(list(self._course), self.hint)


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


def _fit_sine(course: list[tuple[Seconds, Shift]], hint: float | None) -> _Sine | None:
    """The best sine between a period of a few frames and one that has been seen to repeat; with a hint, that one."""
    import numpy as np

    if len(course) < (_LEAST_FRAMES if hint is None else _LEAST_WITH_HINT):
        return None
    times = np.array([when for when, _ in course])
    seen = np.array([error for _, error in course])
    span = float(times[-1] - times[0])
    if hint is not None and span * hint < _SURE_OF_REPEATS:
        return _chosen(times, seen, np.array([hint])) if span * hint >= _LEAST_OF_PERIOD else None
    low, high = _REPEATS / span, (len(times) - 1) / span / _FRAMES_IN_PERIOD
    if not low < high:
        return None
    tried = np.linspace(low, high, 2 * len(times))
    best = int(np.argmin(_rests(times, seen, tried)[0]))
    around = np.linspace(tried[max(0, best - 1)], tried[min(len(tried) - 1, best + 1)], 2 * len(times))
    return _chosen(times, seen, around)


def _chosen(times: NDArray[np.float64], seen: NDArray[np.float64], tried: NDArray[np.float64]) -> _Sine:
    """The sine whose frequency leaves least."""
    rests, terms = _rests(times, seen, tried)
    best = int(rests.argmin())
    shifts = [Shift(float(ra), float(dec)) for ra, dec in terms[best]]
    return _Sine(2 * math.pi * float(tried[best]), *shifts)


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


class Experience(NamedTuple):
    """What one target teaches for the next: how well each predictor did (sum of squares, weight and count of its
    forecasts; empty where that does not carry over), and the frequency (1/s) of the worm, where it was found.
    """

    records: tuple[tuple[float, float, int], ...] = ()
    frequency: float | None = None


class Ensemble:
    """Several predictors, and how well each has foretold the frames so far.

    `experience` is that of an ensemble with the same gain: which predictors suit this mount and these exposures.
    """

    def __init__(self, gain: float, start: float, experience: Experience | None = None) -> None:
        gains = sorted({gain, *(smaller for smaller in (0.5, 0.3, 0.15, 0.07) if smaller < gain)}, reverse=True)
        self._drifts = [Drift(each, start) for each in gains]
        experience = experience or Experience()
        self._periodic = Periodic(start, experience.frequency)
        self._rated = [_Rated(drift) for drift in self._drifts] + [_Rated(self._periodic)]
        for rated, record in zip(self._rated, experience.records, strict=False):
            rated.recall(*record)

    @property
    def experience(self) -> Experience:
        """How well each has done so far; a worm counts as found where following it did much better than not to."""
        *drifts, periodic = self._rated
        found = periodic.count >= _STEADY and periodic.score < _FAR_BETTER * min(rated.score for rated in drifts)
        frequency = self._periodic.frequency if found else self._periodic.hint
        return Experience(tuple(rated.record for rated in self._rated), frequency)

    @property
    def rate(self) -> Shift:
        """The drift learned, arcsec per second."""
        return self._drifts[len(self._drifts) // 2].rate

    def predict(self, when: float) -> Shift:
        """What the predictor says that did best of late; the first one until others have shown what they can."""
        proven = [rated for rated in self._rated if rated.count >= _STEADY]
        for rated in sorted(proven, key=lambda rated: rated.score):
            foretold = rated.predictor.predict(when)
            if foretold is not None:
                return foretold
        return self._drifts[0].predict(when)

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

    @property
    def record(self) -> tuple[float, float, int]:
        return self._sum, self._weight, self.count

    def recall(self, squares: float, weight: float, count: int) -> None:
        """Begin with a part of what was known before, so that what comes counts more."""
        part = min(1.0, _RECALLED / weight) if weight > 0 else 0.0
        self._sum, self._weight, self.count = squares * part, weight * part, count

    def rate(self, when: float, error: Shift) -> None:
        foretold = self.predictor.predict(when)
        if foretold is None:
            return
        self.count += 1
        self._sum = _FORGETS * self._sum + error.minus(foretold).length ** 2
        self._weight = _FORGETS * self._weight + 1.0
