"""How a mount misses: a smooth error over the sky, a scatter from slew to slew, the worm, and drift.

All errors are (east, north) in arcseconds on the sky, to be added to where the mount believes it points.
"""

from __future__ import annotations

import functools
import math
import random

from pytel.base.ids import derived_seed
from pytel.devices.simulated.world.config import TelescopeConfig

Offset = tuple[float, float]
_TERMS = ((1, 0), (1, 1), (2, 0), (0, 1), (1, -1), (2, 1))
"""Waves over hour angle and declination."""


class PointingErrors:
    """The errors of one mount; all follow from the seed."""

    def __init__(self, config: TelescopeConfig, seed: int) -> None:
        self.config = config
        self.seed = derived_seed(seed, "pointing")
        source = random.Random(self.seed)
        self._waves = [self._wave(source) for _ in range(2)]
        self._worm_phase = source.uniform(0, 2 * math.pi)
        self._drift_angle = source.uniform(0, 2 * math.pi)
        self.scatter = functools.lru_cache(maxsize=16)(self._scatter)

    def smooth(self, hour_angle: float, dec: float) -> Offset:
        """The error that is always the same at one place of the sky above the site."""
        h, d = math.radians(hour_angle), math.radians(dec)
        east, north = (
            sum(size * math.sin(m * h + n * d + phase) for size, m, n, phase in wave) for wave in self._waves
        )
        return east, north

    def worm(self, when: float) -> float:
        """The periodic error in right ascension (east) while tracking."""
        return self.config.periodic_error * math.sin(2 * math.pi * when / self.config.worm_period + self._worm_phase)

    def drift(self, seconds: float) -> Offset:
        """The error that grows while tracking."""
        size = self.config.drift * seconds / 3600
        return size * math.cos(self._drift_angle), size * math.sin(self._drift_angle)

    def _scatter(self, slew: int) -> Offset:
        source = random.Random(derived_seed(self.seed, "slew", slew))
        sigma = self.config.pointing_scatter / math.sqrt(2)
        return source.gauss(0, sigma), source.gauss(0, sigma)

    def _wave(self, source: random.Random) -> list[tuple[float, int, int, float]]:
        sizes = [abs(source.gauss(0, 1)) + 0.1 for _ in _TERMS]
        scale = self.config.pointing_error / math.sqrt(sum(size**2 for size in sizes))
        return [
            (size * scale, m, n, source.uniform(0, 2 * math.pi)) for size, (m, n) in zip(sizes, _TERMS, strict=True)
        ]
