"""The offset of a frame by its stars: found first, then measured in windows around where they must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.matching import Points, Similarity, find_similarity
from pytel.imaging.offset_windows import Centroids, Values, centroids, cut_out, peaks
from pytel.imaging.sources import SATURATED, SourceList, find_sources

_STARS = 80
_PATTERN = 60
_TOLERANCE = 2.5
_SCALE_TOLERANCE = 0.005
_NEARBY = 12
_AGREE = 2.0
_CHANCE = math.pi * _AGREE**2 / (2 * _NEARBY + 1) ** 2
_BELIEVED = 1e-9
_COARSE = 4
_CLIP = 4.0
_FEWEST = 4
FEWEST_STARS = 5
"""A reference with fewer is no reference for matching."""


@dataclass(frozen=True)
class Stars:
    """The stars of a reference: windowed places (pixels from 0, bright ones first)."""

    places: Points
    variance: Values
    width: float
    middle: complex


@dataclass(frozen=True)
class Measured:
    """An offset: the frame's stars are at `turn * (z - middle) + middle + shift`."""

    turn: complex
    shift: complex
    uncertainty: float
    matched: int


def stars_of(pixels: NDArray[Any], sources: SourceList) -> Stars:
    """Measure the better stars among the sources of a reference."""
    rows, columns = pixels.shape
    middle = complex((columns - 1) / 2, (rows - 1) / 2)
    chosen = sources.select((sources.flags & (SATURATED | 8 | 16)) == 0)
    chosen = _alone(chosen, sources).select(slice(0, _STARS))
    width = float(np.clip(np.median(chosen.fwhm[:30]) / 2.3548, 0.7, 8.0)) if len(chosen) else 1.5
    seen = centroids(pixels, chosen.x + 1j * chosen.y, width)
    near = np.abs(seen.places - (chosen.x + 1j * chosen.y)) < max(1.0, width)
    good = seen.good & near
    return Stars(seen.places[good], seen.variance[good], seen.width, middle)


def _alone(chosen: SourceList, sources: SourceList) -> SourceList:
    """Those without a neighbour of a fifth of their light nearby, if these are enough."""
    reach = 5 * float(np.median(sources.fwhm)) if len(sources) else 0.0
    bright = sources.select(slice(0, 400))
    chosen = chosen.select(slice(0, 3 * _STARS))
    apart = np.abs((chosen.x + 1j * chosen.y)[:, None] - (bright.x + 1j * bright.y)[None, :])
    beside = (apart < reach) & (apart > 0) & (bright.flux[None, :] > 0.2 * chosen.flux[:, None])
    alone = ~beside.any(axis=1)
    return chosen.select(alone) if alone.sum() >= 12 else chosen


def measure(reference: Stars, pixels: NDArray[Any]) -> Measured | None:
    """The offset of a frame, or None when its stars are not those of the reference.

    Looks close by first, then anywhere among what stands out of the frame in 4 x 4 bins, last among all its sources.
    """
    for find in (_close_by, _anywhere, _thoroughly):
        guess = find(reference, pixels)
        if guess is not None and (measured := _measured(reference, pixels, guess)) is not None:
            return measured
    return None


def _close_by(reference: Stars, pixels: NDArray[Any]) -> Similarity | None:
    """The shift on which the highest places around most stars agree, if all that was chance is out of the question."""
    places = reference.places
    found, strength, inside = peaks(pixels, places, _NEARBY + 2)
    usable = inside & (strength > 4) & (np.abs(found.real - places.real) <= _NEARBY)
    usable &= np.abs(found.imag - places.imag) <= _NEARBY
    steps = (found - places)[usable]
    if len(steps) < FEWEST_STARS:
        return None
    agreeing = np.abs(steps[:, None] - steps[None, :]) <= _AGREE
    best = int(agreeing.sum(axis=1).argmax())
    together = agreeing[best]
    if len(steps) ** 2 * _tail(int(together.sum()) - 1, int(inside.sum()) - 1, _CHANCE) > _BELIEVED:
        return None
    return Similarity(1.0, complex(steps[together].mean()))


def _tail(hits: int, trials: int, probability: float) -> float:
    """At most how likely that many hits are by chance (the binomial tail's first term, and half again)."""
    return 1.5 * math.comb(trials, hits) * probability**hits if hits > trials * probability else 1.0


def _anywhere(reference: Stars, pixels: NDArray[Any]) -> Similarity | None:
    return _matched(reference, _standing_out(pixels))


def _thoroughly(reference: Stars, pixels: NDArray[Any]) -> Similarity | None:
    found = find_sources(pixels).select(slice(0, 2 * _PATTERN))
    return _matched(reference, found.x + 1j * found.y)


def _matched(reference: Stars, places: Points) -> Similarity | None:
    match = find_similarity(
        reference.places[:_PATTERN] - reference.middle,
        places[: 2 * _PATTERN] - reference.middle,
        tolerance=_TOLERANCE,
        scale_tolerance=_SCALE_TOLERANCE,
    )
    if match is None or len(match.points) < FEWEST_STARS:
        return None
    turn, shift = match.similarity.factor, match.similarity.shift
    return Similarity(turn, reference.middle + shift - turn * reference.middle)


def _standing_out(pixels: NDArray[Any]) -> Points:
    """Places of what stands out of a frame in 4 x 4 bins and is no single pixel, bright ones first."""
    import sep

    coarse = _binned(pixels)
    if min(coarse.shape) < 32:
        return np.empty(0, dtype=np.complex128)
    sky = sep.Background(coarse, bw=32, bh=32, fw=3, fh=3)
    sky.subfrom(coarse)
    places = _maxima(coarse, 6 * max(float(sky.globalrms), 1e-3))[: 4 * _PATTERN]
    places = places * _COARSE + (_COARSE - 1) / 2 * (1 + 1j)
    return places[_no_single_pixels(pixels, places)]


def _maxima(image: NDArray[np.float32], least: float) -> Points:
    """Centroids of 3 x 3 pixels around local maxima above a level, bright ones first."""
    rows, columns = np.nonzero(image[1:-1, 1:-1] > least)
    steps = np.arange(-1, 2)
    around = image[(rows[:, None] + 1 + steps)[:, :, None], (columns[:, None] + 1 + steps)[:, None, :]]
    highest = around[:, 1, 1] >= around.max(axis=(1, 2))
    around = np.maximum(around[highest], 0)
    total = around.sum(axis=(1, 2))
    x = columns[highest] + 1 + (around.sum(axis=1) @ steps) / total
    y = rows[highest] + 1 + (around.sum(axis=2) @ steps) / total
    return np.asarray((x + 1j * y)[np.argsort(-total, kind="stable")])


def _binned(pixels: NDArray[Any]) -> NDArray[np.float32]:
    rows, columns = (size // _COARSE * _COARSE for size in pixels.shape)
    whole = pixels[:rows, :columns]
    kind = np.uint32 if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2 else np.float32
    lines = np.add(whole[0::_COARSE], whole[1::_COARSE], dtype=kind)
    for step in range(2, _COARSE):
        lines += whole[step::_COARSE]
    # Columns follow each other in memory: a sum over the last axis of a reshaped view is quick for few of them.
    binned = lines[:, 0::_COARSE] + lines[:, 1::_COARSE]
    for step in range(2, _COARSE):
        binned += lines[:, step::_COARSE]
    return np.asarray(binned, dtype=np.float32)


def _no_single_pixels(pixels: NDArray[Any], places: Points) -> NDArray[np.bool_]:
    """Which places are not mostly one pixel, as hot ones and cosmic rays are."""
    if not len(places):
        return np.zeros(0, dtype=np.bool_)
    windows, _, inside = cut_out(pixels, places, 5)
    windows -= np.median(windows.reshape(len(windows), -1), axis=1)[:, None, None]
    core = windows[:, 1:-1, 1:-1]
    total = np.maximum(np.maximum(core, 0).sum(axis=(1, 2)), 1e-3)
    return np.asarray(inside & (core.max(axis=(1, 2)) < 0.45 * total))


def _measured(reference: Stars, pixels: NDArray[Any], guess: Similarity) -> Measured | None:
    """Measure all stars where the guess has them, and fit; None if too few are there."""
    seen = centroids(pixels, guess(reference.places), reference.width)
    good = np.flatnonzero(seen.good & (np.abs(seen.places - guess(reference.places)) < 2 * _TOLERANCE))
    if len(good) < _FEWEST:
        return None
    return _fit(reference, seen, good)


def _fit(reference: Stars, seen: Centroids, good: NDArray[np.intp]) -> Measured | None:
    """Turn and shift with the least squares, weighted, without what lies off by more than the others do."""
    z, w = reference.places - reference.middle, seen.places - reference.middle
    weight = 1 / (reference.variance + seen.variance)
    kept = good
    for _ in range(5):
        turn, shift = _turn_and_shift(z[kept], w[kept], weight[kept])
        off = (w - turn * z - shift)[good] * np.sqrt(weight[good])
        spread = max(1.4826 * float(np.median(np.abs(np.concatenate([off.real, off.imag])))), 1e-6)
        inside = good[np.abs(off) < _CLIP * spread * math.sqrt(1.5)]
        if len(inside) < _FEWEST:
            return None
        if len(inside) == len(kept):
            break
        kept = inside
    if len(kept) < max(_FEWEST, 0.4 * len(good)):
        return None
    off = (w - turn * z - shift)[kept] * np.sqrt(weight[kept])
    freedom = max(2 * len(kept) - 3, 1)
    scatter = math.sqrt(float((np.abs(off) ** 2).sum()) / freedom)
    return Measured(turn, shift, scatter / math.sqrt(float(weight[kept].sum())), len(kept))


def _turn_and_shift(z: Points, w: Points, weight: Values) -> tuple[complex, complex]:
    """The best turn and shift; a turn that is not above its error is none."""
    total = weight.sum()
    middle, aim = (weight * z).sum() / total, (weight * w).sum() / total
    arm = float((weight * np.abs(z - middle) ** 2).sum())
    product = complex((weight * (w - aim) * (z - middle).conj()).sum())
    turn = product / abs(product) if product else 1.0 + 0j
    error = float((weight * np.abs(w - aim - turn * (z - middle)) ** 2).sum()) / max(2 * len(z) - 3, 1)
    if math.atan2(turn.imag, turn.real) ** 2 * arm < 9 * error:
        turn = 1.0 + 0j
    return turn, complex(aim - turn * middle)
