"""How wide stars are in the sums of a frame along rows and columns: for crowded and strongly defocused frames.

The autocorrelation of such a projection has a peak as wide as the stars, wherever they are and however many overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.sources import FlatFrame

Values = NDArray[np.float64]
_STANDS_OUT = 6.0
_LEAST_ERROR = 0.02
_TREND = 8
"""The trend of a projection is followed by means over an eighth of it."""


class ProjectedWidth(NamedTuple):
    """Full width at half maximum of the mean star along the axes, and its error, in pixels."""

    width: float
    error: float


def projected_width(frame: FlatFrame) -> ProjectedWidth | None:
    """Measure the width of the stars; None where none stand out of the noise.

    It is measured in both axes of both halves of the frame, whose scatter tells the error.
    """
    pixels = frame.pixels
    rows, columns = (size // 2 for size in pixels.shape)
    parts = [
        pixels[:rows].mean(axis=0, dtype=np.float64),
        pixels[rows:].mean(axis=0, dtype=np.float64),
        pixels[:, :columns].mean(axis=1, dtype=np.float64),
        pixels[:, columns:].mean(axis=1, dtype=np.float64),
    ]
    found = [width for width in map(_width, parts) if width is not None]
    if len(found) < 2:
        return None
    width = float(np.median(found))
    scatter = float(np.std(found, ddof=1)) / np.sqrt(len(found))
    return ProjectedWidth(width, float(max(scatter, _LEAST_ERROR * width)))


def _width(projection: Values) -> float | None:
    """Width of the peak of the autocorrelation; that of a Gaussian is the square root of 2 wider than the star."""
    number = len(projection)
    lags = _autocorrelation(_without_trend(projection))[: number // 4]
    # The noise correlates only with itself: what stands at lag 0 beyond the curve of the next lags is not starlight.
    top = min(float(lags[0]), float(4 * lags[1] - lags[2]) / 3)
    far = lags[len(lags) // 2 :]
    if top <= 0 or top < _STANDS_OUT * float(np.std(far)):
        return None
    lags[0] = top
    below = np.flatnonzero(lags < top / 2)
    if not len(below):
        return None
    end = int(below[0])
    high, low = float(lags[end - 1]), float(lags[end])
    return (end - 1 + (high - top / 2) / (high - low)) * 2 / float(np.sqrt(2))


def _without_trend(projection: Values) -> Values:
    """Less what changes slowly: the median level of pieces, with straight lines between."""
    pieces = np.array_split(projection, _TREND)
    size = len(projection) / _TREND
    middles = (np.arange(_TREND) + 0.5) * size
    level = np.interp(np.arange(len(projection)), middles, [float(np.percentile(piece, 30)) for piece in pieces])
    return np.asarray(projection - level)


def _autocorrelation(values: Values) -> Values:
    number = len(values)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * number)
    return np.asarray(np.fft.irfft(spectrum * spectrum.conj())[:number])
