"""Smooth random courses that can be asked for any time, without going there step by step."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence

from pytel.base.ids import derived_seed

_BLOCK = 64


@functools.lru_cache(maxsize=512)
def _knots(seed: int, name: str, block: int) -> tuple[float, ...]:
    source = random.Random(derived_seed(seed, name, block))
    return tuple(source.gauss(0.0, 1.0) for _ in range(_BLOCK))


def _knot(seed: int, name: str, index: int) -> float:
    return _knots(seed, name, index // _BLOCK)[index % _BLOCK]


def smooth(seed: int, name: str, when: float, period: float) -> float:
    """A continuous course of mean 0 and variance 1 that forgets itself after about `period` seconds."""
    place = when / period
    index = math.floor(place)
    rest = place - index
    weight = rest * rest * (3.0 - 2.0 * rest)
    mixed = _knot(seed, name, index) * (1.0 - weight) + _knot(seed, name, index + 1) * weight
    return mixed / math.hypot(weight, 1.0 - weight)


class Chain:
    """A Markov chain over the steps of each UTC day, drawn day by day.

    The state at the border of two days follows from the border alone; within a day the chain is drawn on condition of
    both its ends. So every day can be had by itself, and days fit together.
    """

    def __init__(self, seed: int, dwell: Sequence[float], following: Sequence[Sequence[float]], step: float) -> None:
        """`dwell`: mean seconds in each state; `following`: where each goes next; `step`: seconds, a part of a day."""
        self.seed = seed
        self.step = step
        self.steps = round(86400.0 / step)
        self.matrix = [
            [1.0 - step / stay if i == j else row[j] * step / stay for j in range(len(dwell))]
            for i, (stay, row) in enumerate(zip(dwell, following, strict=True))
        ]
        self.powers = self._powers()
        self.stationary = self.powers[-1][0]
        self._day = functools.lru_cache(maxsize=8)(self._drawn)

    def state(self, index: int) -> int:
        """The state at a step counted from 1970."""
        return self._day(index // self.steps)[index % self.steps]

    def _powers(self) -> list[list[list[float]]]:
        size = range(len(self.matrix))
        powers = [[[float(i == j) for j in size] for i in size]]
        for _ in range(self.steps):
            last = powers[-1]
            powers.append([[sum(last[i][k] * self.matrix[k][j] for k in size) for j in size] for i in size])
        return powers

    def _border(self, day: int) -> int:
        source = random.Random(derived_seed(self.seed, "border", day))
        return source.choices(range(len(self.matrix)), self.stationary)[0]

    def _drawn(self, day: int) -> tuple[int, ...]:
        source = random.Random(derived_seed(self.seed, "day", day))
        states, end = [self._border(day)], self._border(day + 1)
        for left in range(self.steps - 1, 0, -1):
            ways = [p * self.powers[left][state][end] for state, p in enumerate(self.matrix[states[-1]])]
            states.append(source.choices(range(len(ways)), ways)[0])
        return tuple(states)
