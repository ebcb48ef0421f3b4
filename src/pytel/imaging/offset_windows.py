"""Stars in small windows cut out of a frame: all of them at once, without touching the rest of its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.matching import Mask, Points

Values = NDArray[np.float64]
Windows = NDArray[np.float32]

_ROUNDS = 6
_SETTLED = 1e-4
_SHARP = 5.0
_WIDER = 1.2
"""The weighting Gaussian beside the stars' own width: real profiles have wings."""
_FLOOR = 0.004
"""What a bright star's place is good for at best, pixels: the sensitivity differs from pixel to pixel."""


@dataclass(frozen=True)
class Centroids:
    """Places of stars (x + iy, pixels from 0), and how far to trust each."""

    places: Points
    flux: Values
    """Within the weighting Gaussian, adu."""
    variance: Values
    """Of x and of y, square pixels, if an electron is an adu: good for weights."""
    width: float
    """Standard deviation of the stars' profile, pixels: the median."""
    good: Mask
    """Stars that were found, well inside their window and of the others' width."""


def cut_out(pixels: NDArray[Any], places: Points, half: int) -> tuple[Windows, Points, Mask]:
    """Square windows of 2 * half + 1 pixels around places, their middles, and which are inside the frame."""
    columns, rows = np.rint(places.real).astype(np.intp), np.rint(places.imag).astype(np.intp)
    height, width = pixels.shape
    inside = (columns >= half) & (columns < width - half) & (rows >= half) & (rows < height - half)
    columns, rows = np.clip(columns, half, width - half - 1), np.clip(rows, half, height - half - 1)
    steps = np.arange(-half, half + 1)
    windows = pixels[(rows[:, None] + steps)[:, :, None], (columns[:, None] + steps)[:, None, :]].astype(np.float32)
    return windows, columns + 1j * rows, inside


def cleaned(windows: Windows) -> tuple[Windows, Values]:
    """Windows above the median of their rims, without hot pixels, and the noise in each."""
    edge = np.concatenate([windows[:, 0], windows[:, -1], windows[:, 1:-1, 0], windows[:, 1:-1, -1]], axis=1)
    low, level = np.percentile(edge, (15.87, 50), axis=1)
    noise = np.maximum(level - low, 0.5)
    windows = windows - level[:, None, None].astype(np.float32)
    core = windows[:, 1:-1, 1:-1]
    around = np.maximum(
        np.maximum(windows[:, :-2, 1:-1], windows[:, 2:, 1:-1]), np.maximum(windows[:, 1:-1, :-2], windows[:, 1:-1, 2:])
    )
    spread = noise[:, None, None].astype(np.float32)
    hot = core > _SHARP * np.maximum(around, 2 * spread)
    core[hot] = around[hot]
    return windows, noise


def peaks(pixels: NDArray[Any], places: Points, half: int) -> tuple[Points, Values, Mask]:
    """The highest place of each window (to a pixel), how many times the noise it is, and which are inside."""
    windows, middles, inside = cut_out(pixels, places, half)
    windows, noise = cleaned(windows)
    rows = windows[:, :-2] + windows[:, 1:-1] + windows[:, 2:]
    smooth = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    flat = smooth.reshape(len(smooth), -1)
    highest = flat.argmax(axis=1)
    up, along = np.divmod(highest, smooth.shape[2])
    strength = flat[np.arange(len(flat)), highest] / (3 * noise)
    return middles + (along + 1 - half) + 1j * (up + 1 - half), strength, inside


def centroids(pixels: NDArray[Any], places: Points, width: float) -> Centroids:
    """Places of stars near `places`, as the maxima of their light seen through a Gaussian of `width`.

    That is what SExtractor calls windowed positions: nearly as precise as a fit of the true profile.
    """
    found = _centroids(pixels, places, _WIDER * width)
    if found.good.sum() >= 3 and not 0.8 < found.width / width < 1.25:
        return _centroids(pixels, places, _WIDER * float(np.clip(found.width, 0.7, 8.0)))
    return found


def _centroids(pixels: NDArray[Any], places: Points, width: float) -> Centroids:
    half = max(5, math.ceil(4 * width) + 1)
    windows, middles, inside = cut_out(pixels, places, half)
    windows, noise = cleaned(windows)
    steps = np.arange(-half, half + 1, dtype=np.float64)
    x, y = (places - middles).real, (places - middles).imag
    for _ in range(_ROUNDS):
        total, along, up, _ = _moments(windows, steps, x, y, width)
        # The Gaussian pulls towards its own middle by half: hence twice the step.
        dx, dy = np.clip(2 * along / total, -1.5, 1.5), np.clip(2 * up / total, -1.5, 1.5)
        x, y = np.clip(x + dx, -half, half), np.clip(y + dy, -half, half)
        if max(np.abs(dx).max(initial=0), np.abs(dy).max(initial=0)) < _SETTLED:
            break
    total, _, _, spread = _moments(windows, steps, x, y, width)
    seen = spread / (2 * total)
    own = np.sqrt(1 / np.maximum(1 / np.maximum(seen, 0.05) - 1 / width**2, 1e-3))
    # Through its own width's Gaussian a star shows half its light.
    flux = 2 * total
    strong = total > 5 * noise * width * math.sqrt(math.pi)
    good = inside & strong & (np.abs(x) < half - 3) & (np.abs(y) < half - 3)
    usual = float(np.median(own[good])) if good.any() else width
    good &= (own > 0.5 * usual) & (own < 2 * usual)
    flux = np.maximum(flux, 1e-3)
    variance = (8 * math.pi * (usual**2 * noise / flux) ** 2) + usual**2 / flux + _FLOOR**2
    return Centroids(middles + x + 1j * y, flux, variance, usual, good)


def _moments(
    windows: Windows, steps: Values, x: Values, y: Values, width: float
) -> tuple[Values, Values, Values, Values]:
    """Sums of light under a Gaussian at (x, y): its total, first moments along x and y, and second moment."""
    dx, dy = steps - x[:, None], steps - y[:, None]
    gx, gy = (np.exp(-(d**2) / (2 * width**2)).astype(np.float32) for d in (dx, dy))
    by_rows = np.matmul(windows, np.stack([gx, gx * dx.astype(np.float32), gx * (dx**2).astype(np.float32)], axis=2))
    sums = np.matmul(np.stack([gy, gy * dy.astype(np.float32), gy * (dy**2).astype(np.float32)], axis=1), by_rows)
    total = np.maximum(sums[:, 0, 0], 1e-3)
    return total.astype(np.float64), sums[:, 0, 1], sums[:, 1, 0], sums[:, 0, 2] + sums[:, 2, 0]
