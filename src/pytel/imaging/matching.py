"""Match two lists of places that differ by a shift, a turn, a small change of scale and perhaps a mirror.

Places are complex numbers, x + iy. Pairs of bright points are laid onto pairs of targets as far apart; each such guess
is tested by whether the other bright points fall upon targets too. The best are fitted to all points, and believed only
when as many matches by chance are out of the question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex128]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
Guesses = tuple[Points, Points]
Fits = Callable[[Points, Points, bool], Mask]

_SEEDS = 18
_CHECKED = 26
_FIRST = 9
_REFINED = 3
_BUDGET = 500_000
_LEAST_BASELINE = 0.12
_MOST_CELLS = 3000
_BELIEVED = -9.0
_DISPLACED = 24


@dataclass(frozen=True)
class Similarity:
    """w = factor * z + shift; z is conjugated first if `mirrored`."""

    factor: complex
    shift: complex
    mirrored: bool = False

    def __call__(self, z: Points) -> Points:
        """Where places go."""
        return np.asarray(self.factor * (z.conj() if self.mirrored else z) + self.shift)


@dataclass(frozen=True)
class Match:
    """A similarity, and which points fall upon which targets by it."""

    similarity: Similarity
    points: Indices
    targets: Indices
    chance: float
    """Decimal logarithm of how many such matches to expect from points that have nothing to do with the targets."""


def find_similarity(
    points: Points,
    targets: Points,
    *,
    tolerance: float,
    scale_tolerance: float,
    mirrors: tuple[bool, ...] = (False,),
    fits: Fits | None = None,
) -> Match | None:
    """The similarity that lays `points` onto `targets` (both bright ones first), or None if there is none to believe.

    A point matches a target within `tolerance` of it. Only similarities whose scale is 1 to within `scale_tolerance`
    are looked for, and those for which `fits(factors, shifts, mirrored)` is true.
    """
    if min(len(points), len(targets)) < 3:
        return None
    search = _Search(points, targets, tolerance, scale_tolerance, mirrors, fits)
    return search.run()


class _Search:
    def __init__(
        self,
        points: Points,
        targets: Points,
        tolerance: float,
        scale_tolerance: float,
        mirrors: tuple[bool, ...],
        fits: Fits | None,
    ) -> None:
        self.points, self.targets, self.tolerance = points, targets, tolerance
        self.mirrors, self.fits, self.scale_tolerance = mirrors, fits, scale_tolerance
        x, y = targets.real.astype(np.float32), targets.imag.astype(np.float32)
        self.squared = (x[:, None] - x) ** 2
        self.squared += (y[:, None] - y) ** 2  # of the distances between targets
        self.grid = _Grid(targets, tolerance)
        self.tried = 0

    def run(self) -> Match | None:
        for first, second in self._pairs():
            best = None
            for mirrored in self.mirrors:
                guesses = self._guesses(first, second, mirrored)
                self.tried += len(guesses[0])
                for similarity in self._promising(guesses, mirrored, first, second):
                    match = refined(self.points, self.targets, similarity, self.tolerance, self.tried)
                    if match and (best is None or match.chance < best.chance):
                        best = match
            if best is not None and best.chance < _BELIEVED:
                return best
            if self.tried > _BUDGET:
                return None
        return None

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs of bright points that are not close together; each further point with all brighter ones."""
        seeds = self.points[:_SEEDS]
        least = _LEAST_BASELINE * float(np.abs(self.points - self.points.mean()).max()) * 2
        for second in range(1, len(seeds)):
            for first in range(second):
                if abs(seeds[first] - seeds[second]) > least:
                    yield first, second

    def _guesses(self, first: int, second: int, mirrored: bool) -> Guesses:
        a, b = self.points[first], self.points[second]
        if mirrored:
            a, b = a.conjugate(), b.conjugate()
        length, slack = abs(b - a), self.tolerance
        low, high = length * (1 - self.scale_tolerance) - slack, length * (1 + self.scale_tolerance) + slack
        i, j = np.divmod(
            np.flatnonzero((self.squared > max(low, 0.0) ** 2) & (self.squared < high**2)), len(self.targets)
        )
        factor = (self.targets[j] - self.targets[i]) / (b - a)
        shift = self.targets[i] - factor * a
        if self.fits is None:
            return factor, shift
        fit = self.fits(factor, shift, mirrored)
        return factor[fit], shift[fit]

    def _promising(self, guesses: Guesses, mirrored: bool, first: int, second: int) -> Iterator[Similarity]:
        """Guesses by which more of the other bright points fall upon targets than any should by chance."""
        factor, shift = guesses
        if not len(factor):
            return
        checked = np.delete(self.points[:_CHECKED], [first, second])
        if mirrored:
            checked = checked.conj()
        hits = self._hits(factor, shift, checked)
        for place in np.argsort(-hits, kind="stable")[:_REFINED]:
            if hits[place] and _log_chance(int(hits[place]), len(checked), self.grid.filled, self.tried) < -1:
                yield Similarity(complex(factor[place]), complex(shift[place]), mirrored)

    def _hits(self, factor: Points, shift: Points, checked: Points) -> NDArray[np.int64]:
        """How many points fall upon targets by each guess; of guesses that begin badly only by the first few."""
        first = self.grid.near(factor[:, None] * checked[None, :_FIRST] + shift[:, None]).sum(axis=1)
        going = np.flatnonzero(first >= 2)
        more = self.grid.near(factor[going, None] * checked[None, _FIRST:] + shift[going, None]).sum(axis=1)
        first[going] += more
        return np.asarray(first)


class _Grid:
    """Which cells of the plane have a target in or beside them."""

    def __init__(self, targets: Points, tolerance: float) -> None:
        extent = max(float(np.ptp(targets.real)), float(np.ptp(targets.imag)), 1.0)
        self.cell = max(tolerance, extent / _MOST_CELLS)
        self.low = complex(targets.real.min(), targets.imag.min()) - 3 * self.cell * (1 + 1j)
        shape = (
            int((targets.imag.max() - self.low.imag) / self.cell) + 4,
            int((targets.real.max() - self.low.real) / self.cell) + 4,
        )
        self.cells = np.zeros(shape, dtype=np.bool_)
        rows, columns = self._places(targets)
        for up in (-1, 0, 1):
            for along in (-1, 0, 1):
                self.cells[rows + up, columns + along] = True
        self.filled = min(0.5, 9 * len(targets) / (shape[0] * shape[1]))

    def _places(self, z: Points) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        rows = ((z.imag - self.low.imag) / self.cell).astype(np.int32)
        columns = ((z.real - self.low.real) / self.cell).astype(np.int32)
        rows, columns = np.clip(rows, 0, self.cells.shape[0] - 1), np.clip(columns, 0, self.cells.shape[1] - 1)
        return rows, columns  # the rim is empty: what lies outside hits nothing

    def near(self, z: Points) -> Mask:
        rows, columns = self._places(z)
        return np.asarray(self.cells[rows, columns])


def refined(points: Points, targets: Points, guess: Similarity, tolerance: float, tried: int = 1) -> Match | None:
    """Fit a guessed similarity to all points that fall upon targets by it; None when fewer than three do."""
    similarity = guess
    for reach in (3.0, 2.0, 1.0, 1.0, 1.0):
        mine, theirs = nearest_pairs(similarity(points), targets, reach * tolerance)
        if len(mine) < 3:
            return None
        similarity = fitted(points[mine], targets[theirs], guess.mirrored)
    mine, theirs = nearest_pairs(similarity(points), targets, tolerance)
    if len(mine) < 3:
        return None
    laid = similarity(points)
    trials, chance = _chance(laid, targets, tolerance)
    # Two of the matches were put there by the guess.
    return Match(similarity, mine, theirs, _log_chance(len(mine) - 2, max(trials - 2, 1), chance, tried))


def fitted(points: Points, targets: Points, mirrored: bool = False) -> Similarity:
    """The similarity that lays points upon their targets with the least squares."""
    z = points.conj() if mirrored else points
    middle, aim = z.mean(), targets.mean()
    factor = np.vdot(z - middle, targets - aim) / np.vdot(z - middle, z - middle).real
    return Similarity(complex(factor), complex(aim - factor * middle), mirrored)


def nearest_pairs(laid: Points, targets: Points, tolerance: float) -> tuple[Indices, Indices]:
    """Points and targets that are each other's nearest, and at most `tolerance` apart."""
    near = _beside(laid, targets, tolerance)
    if not len(near) or not len(laid):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    apart = np.abs(laid[:, None] - targets[near][None, :])
    choice = apart.argmin(axis=1)
    mutual = apart.argmin(axis=0)[choice] == np.arange(len(laid))
    good = np.flatnonzero(mutual & (apart[np.arange(len(laid)), choice] <= tolerance))
    return good, near[choice[good]]


def _beside(laid: Points, targets: Points, tolerance: float) -> Indices:
    """Targets in the box that holds all points."""
    if not len(laid):
        return np.empty(0, dtype=np.intp)
    inside = (targets.real >= laid.real.min() - tolerance) & (targets.real <= laid.real.max() + tolerance)
    inside &= (targets.imag >= laid.imag.min() - tolerance) & (targets.imag <= laid.imag.max() + tolerance)
    return np.flatnonzero(inside)


def _chance(laid: Points, targets: Points, tolerance: float) -> tuple[int, float]:
    """How many points could have matched, and how likely a single one does by chance.

    The latter is tried out by points moved to the side, so that it holds for clustered stars too.
    """
    low = complex(targets.real.min(), targets.imag.min())
    high = complex(targets.real.max(), targets.imag.max())
    inside = (laid.real > low.real) & (laid.real < high.real) & (laid.imag > low.imag) & (laid.imag < high.imag)
    trials = max(int(inside.sum()), 1)
    near = targets[_beside(laid, targets, 16 * tolerance)]
    angle = 2.4 * np.arange(_DISPLACED)  # turns by the golden angle: spread evenly
    aside = tolerance * (4 + 10 * np.sqrt(np.arange(_DISPLACED) / _DISPLACED)) * np.exp(1j * angle)
    hits = 0
    for step in aside:
        apart = np.abs((laid + step)[:, None] - near[None, :])
        hits += int((apart.min(axis=1) <= tolerance).sum()) if len(near) else 0
    width = max(float(np.ptp(laid.real)), tolerance)
    height = max(float(np.ptp(laid.imag)), tolerance)
    spread = len(near) * math.pi * tolerance**2 / (width * height)
    return trials, min(0.5, max(spread, hits / (_DISPLACED * trials), 1e-7))


def _log_chance(hits: int, trials: int, probability: float, tried: int) -> float:
    """Decimal logarithm of the expected number of guesses with so many hits (Chernoff's bound of the binomial tail)."""
    share = hits / trials
    if share <= probability:
        return math.log10(max(tried, 1))
    bound = share * math.log(share / probability)
    if share < 1:
        bound += (1 - share) * math.log((1 - share) / (1 - probability))
    return float(math.log10(max(tried, 1)) - trials * bound / math.log(10))
