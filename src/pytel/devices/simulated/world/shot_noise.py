"""Normal deviates for millions of pixels: a table of the normal distribution's quantiles, entered at random.

Five times as fast as drawing each deviate for itself. Beyond 4.3 standard deviations it has nothing, where a frame of
four million pixels should have seventy.
"""

from __future__ import annotations

import functools
import statistics

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
_LEVELS = 65_536
_PER_DRAW = 4  # a draw of 64 bits gives four entries of 16


class ShotNoise:
    """A stream of normal deviates (mean 0, variance 1) that follows from a seed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.SFC64(seed)

    def fill(self, out: Image) -> None:
        """Fill a contiguous array with the next deviates."""
        flat = out.reshape(-1)
        raw = self._bits.random_raw(-(-flat.size // _PER_DRAW))
        _quantiles().take(raw.astype("<u8", copy=False).view("<u2")[: flat.size], out=flat, mode="wrap")


@functools.cache
def _quantiles() -> Image:
    normal = statistics.NormalDist()
    return np.array([normal.inv_cdf((level + 0.5) / _LEVELS) for level in range(_LEVELS)], dtype=np.float32)
