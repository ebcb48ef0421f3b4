"""Where to take the next frame of a focus run, and when there are enough: coarse first, then where it tells most.

The search knows nothing of devices: `next_position` says where, `add` takes what was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.focus import FocusError, FocusFit, fit_focus_curve
from pytel.imaging.focus_frame import FocusFrame, hit_by_clouds, transparency

Method = Literal["hfd", "projection", "both"]
Values = NDArray[np.float64]
_COARSE = 3
_FEWEST = 5
_WING = 2.0
"""Halves of the curve's waist from best focus to where the stars are 2.2 times as large: there a point tells most."""
_GRID = np.linspace(-1.2, 1.2, 13)
_ALIKE = 0.25
_FAR_OUT = 4.0
_RISE = 1.2
_PIXEL = 0.08
"""Error in pixels that comes from there being pixels."""
_LONGEST = 4.0
_PARTS = (1.0, 0.6, 1.5, 0.3, 0.8, 0.45, 1.2, 2.0)
"""Of the reach, tried in turn while frames there show no stars."""
_FLOOR = {"hfd": 0.015, "projection": 0.03}
"""Relative error that no size is better than: the seeing changes from frame to frame."""
_PROMISED = 0.1
_DIM = 0.6


@dataclass(frozen=True)
class SearchSettings:
    """How to search: lengths in units of the focuser.

    `step` is that of the first frames, `low` and `high` the travel. At most `most` frames are taken. The search ends
    when `least` good points give the position to `target` of the curve's zone, and fails when they do not do so to
    `worst`. Points nearer than `resolution` count as one place.
    """

    step: float
    low: float
    high: float
    most: int = 20
    least: int = 6
    target: float = 0.06
    worst: float = 0.25
    method: Method = "hfd"
    resolution: float = 1e-4
    blind: float = np.inf


@dataclass(frozen=True)
class Sample:
    """A frame at a focuser position."""

    position: float
    frame: FocusFrame


@dataclass(frozen=True)
class _Points:
    """Sizes of stars (pixels) at positions, sorted by these."""

    x: Values
    size: Values
    error: Values


class FocusSearch:
    """One search for the best focus."""

    def __init__(self, start: float, settings: SearchSettings) -> None:
        self.settings = settings
        self.samples: list[Sample] = []
        step = settings.step
        # Away from the ends of the travel, so that both sides can be seen.
        self.start = float(np.clip(start, settings.low + step, settings.high - step))

    def add(self, position: float, frame: FocusFrame) -> None:
        """Take note of a frame."""
        self.samples.append(Sample(position, frame))

    def clouded(self) -> list[bool]:
        """Which samples were spoiled by clouds, as far as the others tell."""
        return hit_by_clouds([sample.frame for sample in self.samples])

    def next_position(self) -> float | None:
        """Where the next frame is wanted, None when there are enough. Raises `FocusError` when more are of no use."""
        if len(self.samples) < _COARSE:
            return self.start + (len(self.samples) - 1) * self.settings.step
        if len(self.samples) >= self.settings.most:
            return None
        clouded = self.clouded()
        again = self._to_repeat(clouded)
        if again is not None:
            return again
        points = self._points(clouded)
        if len(np.unique(points.x)) < 2:
            return self._wider()
        return self._better(points)

    @property
    def method(self) -> Method:
        """Which sizes lead the search now."""
        return self._method(self.clouded())

    def result(self) -> FocusFit:
        """The best focus by all that was measured. Raises `FocusError` when it cannot be told well enough."""
        method, clouded = self.settings.method, self.clouded()
        fit = self._agreed(clouded) if method == "both" else _fit(self._points(clouded))
        if fit.uncertainty > self.settings.worst * fit.zone:
            raise FocusError(
                f"best focus is known to {fit.uncertainty:.4f} only, {self.settings.worst * fit.zone:.4f} is needed: "
                "expose longer, or choose a field with more stars"
            )
        return fit

    def broken_promise(self, fit: FocusFit, frame: FocusFrame) -> str | None:
        """Why a frame at the best focus is not as sharp as the curve promises; None when it is."""
        size, error = _size(frame, self.method)
        if size is None or not np.isfinite(size):
            return "the frame at the best focus has too few stars"
        tolerance = 3 * float(np.hypot(error, np.hypot(fit.hfd_error, fit.scatter * fit.hfd))) + _PROMISED * fit.hfd
        if abs(size - fit.hfd) > tolerance:
            return f"stars are {size:.2f} pixels wide at the best focus, but {fit.hfd:.2f} by the curve"
        return None

    def is_dimmed(self, frame: FocusFrame) -> bool:
        """Whether a cloud took the light of a frame that is not one of the samples."""
        good = [one.frame for one, hit in zip(self.samples, self.clouded(), strict=True) if not hit and one.frame.stars]
        seen = [light for one in good if (light := transparency(one, frame)) is not None]
        return bool(good) and (not frame.stars or (bool(seen) and float(np.median(seen)) < _DIM))

    # what was measured

    def _method(self, clouded: Sequence[bool]) -> Method:
        """Sizes that lead the search: HFDs, but widths of projections where most frames have no HFD."""
        if self.settings.method != "both":
            return self.settings.method
        frames = [sample.frame for sample, hit in zip(self.samples, clouded, strict=True) if not hit]
        with_hfd = sum(frame.hfd is not None for frame in frames)
        return "hfd" if 2 * with_hfd >= len(frames) else "projection"

    def _points(self, clouded: Sequence[bool], method: Method | None = None) -> _Points:
        chosen = method or self._method(clouded)
        rows = []
        for sample, hit in zip(self.samples, clouded, strict=True):
            size, error = _size(sample.frame, chosen)
            if not hit and size is not None and np.isfinite(sample.position + size + error) and size > 0:
                rows.append((sample.position, size, error))
        table = np.array(sorted(rows), dtype=np.float64).reshape(-1, 3)
        return _Points(*table.T)

    def _agreed(self, clouded: Sequence[bool]) -> FocusFit:
        """The fit of the HFDs, with which that of the projections has to agree where there is one."""
        lead = self._method(clouded)
        fit = _fit(self._points(clouded, lead))
        other: Method = "projection" if lead == "hfd" else "hfd"
        try:
            check = _fit(self._points(clouded, other))
        except FocusError as error:
            if not error.data.get("direction"):
                return fit  # they tell nothing
            raise FocusError("HFDs and projections disagree where the best focus is: look at the frames") from error
        apart = abs(check.position - fit.position)
        if apart > 4 * float(np.hypot(check.uncertainty, fit.uncertainty)) + self.settings.worst * fit.zone:
            raise FocusError(f"HFDs and projections have their best focus {apart:.3f} apart: look at the frames")
        return fit

    # where to go

    def _to_repeat(self, clouded: Sequence[bool]) -> float | None:
        """A position that was measured once, through a cloud."""
        for sample, hit in zip(self.samples, clouded, strict=True):
            if hit and sum(self._same(sample.position, other.position) for other in self.samples) == 1:
                return sample.position
        return None

    def _same(self, one: float, other: float) -> bool:
        return abs(one - other) <= self.settings.resolution

    def _wider(self) -> float:
        """Where to look for stars when there are none: ever farther on both sides."""
        settings, known = self.settings, [sample.position for sample in self.samples]
        reach = 3 * settings.step
        while reach <= min(settings.blind, settings.high - settings.low):
            for target in (self.start - reach, self.start + reach):
                if settings.low <= target <= settings.high and not any(self._same(target, one) for one in known):
                    return target
            reach *= 2
        raise FocusError("no frame has enough stars: check clouds and cover, or expose longer")

    def _better(self, points: _Points) -> float | None:
        """The next position: beyond what is sampled, until best focus is between, then where it tells most."""
        near = _near(points)
        try:
            guess = fit_focus_curve(near.x, near.size, near.error)
        except FocusError:
            guess = None
        if guess is None:
            rough = _rough(points)
            if isinstance(rough, _Direction):
                return self._beyond(points, rough)
            best, waist = rough
        else:
            best, waist = guess.position, guess.hfd / guess.slope
            if len(near.x) >= self.settings.least and guess.uncertainty <= self.settings.target * guess.zone:
                return self._unexplained(near, guess)
        return self._most_telling(near, best, waist)

    def _unexplained(self, points: _Points, fit: FocusFit) -> float | None:
        """A position that was measured once and lies off the curve: one of both is wrong."""
        for place, used in zip(map(float, points.x), fit.used, strict=True):
            if not used and sum(self._same(place, sample.position) for sample in self.samples) == 1:
                return place
        return None

    def _beyond(self, points: _Points, rough: _Direction) -> float:
        """A position outside of what is sampled, towards best focus; the other way where that is not possible."""
        settings = self.settings
        if len(points.x) <= _COARSE and self._is_blurred_beyond(points, rough):
            inside = _widest_gap(points)
            if not self._tried(inside):
                return inside
        for sign in (rough.sign, -rough.sign) if rough.is_flat else (rough.sign,):
            edge = float(points.x[-1] if sign > 0 else points.x[0])
            for part in _PARTS:
                reach = part * max(rough.reach, settings.step)
                target = float(np.clip(edge + sign * reach, settings.low, settings.high))
                if abs(target - edge) > settings.resolution and not self._tried(target):
                    return target
        where = "above" if rough.sign > 0 else "below"
        raise FocusError(
            f"best focus seems to be {where} the travel of the focuser or too far to see stars: look at the optics",
            direction=rough.sign,
        )

    def _is_blurred_beyond(self, points: _Points, rough: _Direction) -> bool:
        """Whether frames beyond the last with stars have none: best focus is between rather than there."""
        signs = (1, -1) if rough.is_flat else (rough.sign,)
        beyond = [sample for sample in self.samples if not points.x[0] <= sample.position <= points.x[-1]]
        return any(sign * (sample.position - points.x[0]) > 0 for sample in beyond for sign in signs)

    def _tried(self, target: float) -> bool:
        return any(self._same(sample.position, target) for sample in self.samples)

    def _most_telling(self, points: _Points, best: float, waist: float) -> float:
        """The place on a grid about the best focus that makes its error least (by the normal equations)."""
        settings = self.settings
        places = best + _WING * waist * _GRID
        places = places[(places >= settings.low) & (places <= settings.high)]
        apart = np.abs(places[:, None] - np.array([sample.position for sample in self.samples]))
        crowded = apart.min(axis=1, initial=np.inf) < _ALIKE * waist
        if crowded.all():
            places, crowded = places[apart.min(axis=1).argmax()][None], crowded[:1] & False
        u = (points.x - best) / waist
        known = _rows(u, np.asarray(points.error / points.size))
        typical = float(np.median(points.error / points.size))
        errors = []
        for place in places[~crowded]:
            row = _rows(np.array([(place - best) / waist]), np.array([typical]))
            matrix = known.T @ known + row.T @ row + 1e-9 * np.eye(3)
            errors.append(float(np.linalg.inv(matrix)[1, 1]))
        return float(places[~crowded][int(np.argmin(errors))])


@dataclass(frozen=True)
class _Direction:
    """Best focus is not between the samples, but on one side (+1 or -1), `reach` beyond the last."""

    sign: int
    reach: float
    is_flat: bool = False


def _size(frame: FocusFrame, method: Method) -> tuple[float | None, float]:
    """Size of the stars and its error, the wandering of the seeing included."""
    size, error = (frame.width, frame.width_error) if method == "projection" else (frame.hfd, frame.hfd_error)
    if size is None:
        return None, 0.0
    floor = _FLOOR["projection" if method == "projection" else "hfd"]
    return size, float(np.hypot(np.hypot(error, floor * size), _PIXEL))


def _near(points: _Points) -> _Points:
    """Without points far out, where the curve may not be a hyperbola any more, if enough others are left."""
    near = points.size <= _FAR_OUT * points.size.min(initial=np.inf)
    if len(np.unique(points.x[near])) < _FEWEST:
        return points
    return _Points(points.x[near], points.size[near], points.error[near])


def _fit(points: _Points) -> FocusFit:
    near = _near(points)
    return fit_focus_curve(near.x, near.size, near.error)


def _rows(u: Values, relative: Values) -> Values:
    """Rows of the weighted design matrix of size² = u² + 1 in u, the distance in halves of the waist."""
    weights = 1 / (2 * (u**2 + 1) * relative)
    return np.asarray(np.vander(u, 3) * weights[:, None])


def _rough(points: _Points) -> tuple[float, float] | _Direction:
    """Best focus and half the waist by a parabola through few points, or where to go on."""
    x, size, error = points.x, points.size, points.error
    lowest = int(np.argmin(size))
    span = float(x[-1] - x[0])
    if size.max() - size.min() < 3 * float(np.median(error)) + 0.1 * size.min():
        return _Direction(-1 if size[0] < size[-1] else 1, span, is_flat=True)
    bracketed = size[0] > _RISE * size[lowest] and size[-1] > _RISE * size[lowest]
    if bracketed and len(np.unique(x)) >= 3:
        middle = x[lowest]
        weights = 1 / (2 * size * error)
        a, b, c = (float(value) for value in np.polyfit((x - middle) / span, size**2, 2, w=weights))
        best = -b / (2 * a) if a > 0 else np.inf
        if x[0] < middle + span * best < x[-1]:
            least = max(c - b * b / (4 * a), float(size[lowest] / 2) ** 2)
            return float(middle + span * best), float(span * np.sqrt(least / a))
        return float(middle), span / 4
    sign = 1 if size[0] > size[-1] else -1
    return _Direction(sign, _reach(points, sign, span))


def _widest_gap(points: _Points) -> float:
    """The middle between the two neighbouring positions that are farthest apart."""
    gap = int(np.argmax(np.diff(points.x)))
    return float(points.x[gap] + points.x[gap + 1]) / 2


def _reach(points: _Points, sign: int, span: float) -> float:
    """How far beyond the last point best focus may be, by the slope there, and some more."""
    order = slice(None) if sign > 0 else slice(None, None, -1)
    x, size = points.x[order], points.size[order]
    lowest = int(np.argmin(size))
    # Frames may be taken again at one place.
    elsewhere = np.flatnonzero(x[:lowest] != x[lowest])
    if not len(elsewhere):
        return span / 2
    before = int(elsewhere[-1])
    rise = float(size[before] - size[lowest])
    if rise <= 0:
        return span / 2
    slope = rise / abs(float(x[before] - x[lowest]))
    past = abs(float(x[-1] - x[lowest]))
    return float(np.clip(1.2 * size[lowest] / slope - past, span / 4, _LONGEST * span))
