"""What one frame of a focus run tells: how large its stars are, and whether a cloud was before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.imaging.focus_projection import projected_width
from pytel.imaging.sources import SATURATED, NoStars, SourceList, find_in, flatten, quality_of

_BRIGHTEST = 60
_FARTHEST = 100.0
_NEAR = 2.5
_AGREEING = 0.25
_CORE = 1.5
_CLOUDED = 0.6
_CLEAR = 80
_JUMP = 12.0
_FEWEST_FOR_TREND = 5


@dataclass(frozen=True)
class FocusFrame:
    """Sizes of the stars in pixels, None where there are too few; `sky` and `noise` in adu.

    `x`, `y` (pixels) and `flux` (adu) are those of the brightest stars that are not saturated.
    """

    hfd: float | None = None
    hfd_error: float = 0.0
    width: float | None = None
    width_error: float = 0.0
    stars: int = 0
    sky: float = 0.0
    noise: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    flux: tuple[float, ...] = ()


def measure_frame(
    pixels: NDArray[Any], *, min_stars: int = 3, saturation: float | None = None, project: bool = False
) -> FocusFrame:
    """Measure the stars of a frame; `project` measures the width of the projections as well.

    A small window may hold a single star. Raises `InvalidParams` for what is no frame.
    """
    frame = flatten(pixels)
    sources = find_in(frame, saturation=saturation)
    hfd, hfd_error, stars = None, 0.0, len(sources)
    try:
        quality = quality_of(sources, min_stars=1 if max(pixels.shape) <= 128 else min_stars)
        hfd, hfd_error, stars = quality.hfd, quality.hfd_error, quality.stars
    except NoStars:
        pass
    projected = projected_width(frame) if project else None
    bright = sources.select((sources.flags & SATURATED) == 0).select(slice(0, _BRIGHTEST))
    return FocusFrame(
        hfd=hfd,
        hfd_error=hfd_error,
        width=projected.width if projected else None,
        width_error=projected.error if projected else 0.0,
        stars=stars,
        sky=frame.sky,
        noise=frame.noise,
        x=tuple(bright.x.tolist()),
        y=tuple(bright.y.tolist()),
        flux=tuple(_whole_flux(bright, frame.hot).tolist()),
    )


def _whole_flux(stars: SourceList, hot: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux with what was taken from cores so sharp that they were held for hot pixels."""
    x, y, excess = hot.T
    core = np.hypot(stars.x[:, None] - x, stars.y[:, None] - y) < _CORE
    return np.asarray(stars.flux + core @ excess)


def transparency(reference: FocusFrame, frame: FocusFrame) -> float | None:
    """Light of the stars of `frame` in units of that of the same stars in `reference`, None where none match."""
    if not reference.flux or not frame.flux:
        return None
    first, second = (np.column_stack((one.x, one.y)) for one in (reference, frame))
    apart = (second[None] - first[:, None]).reshape(-1, 2)
    apart_near = apart[(np.abs(apart) <= _FARTHEST).all(axis=1)]
    if not len(apart_near):
        return None
    radius = max(_NEAR, 0.15 * (frame.hfd or 0.0), 0.15 * (reference.hfd or 0.0))
    distances = np.hypot(*(apart_near[:, None] - apart_near[None]).transpose(2, 0, 1))
    votes = (distances <= radius).sum(axis=1)
    shift = apart_near[int(np.argmax(votes))]
    misses = np.hypot(*(second[None] - first[:, None] - shift).transpose(2, 0, 1))
    pairs = [(index, int(np.argmin(row))) for index, row in enumerate(misses) if row.min() <= radius]
    fewest = min(len(first), len(second))
    if len(pairs) < min(max(3, _AGREEING * fewest), fewest):
        return None
    return float(np.median([frame.flux[other] / reference.flux[one] for one, other in pairs]))


def hit_by_clouds(frames: Sequence[FocusFrame]) -> list[bool]:
    """Which of some frames, in the order they were taken, a cloud spoiled.

    Their stars have lost light that they have in the clearer frames, or the sky jumped as against its course. Frames
    without stars are not judged by their light.
    """
    if not frames:
        return []
    reference = max(frames, key=lambda frame: (frame.stars, sum(frame.flux)))
    light = np.array([np.nan if (seen := transparency(reference, frame)) is None else seen for frame in frames])
    known = light[np.isfinite(light)]
    clear = float(np.percentile(known, _CLEAR)) if len(known) else 1.0
    dim = np.nan_to_num(light, nan=clear) < _CLOUDED * clear
    return [bool(hit) for hit in dim | _jumps(frames)]


def _jumps(frames: Sequence[FocusFrame]) -> NDArray[np.bool_]:
    """Frames whose sky is far above a straight course in time (by medians of slopes; Theil 1950, Sen 1968)."""
    if len(frames) < _FEWEST_FOR_TREND:
        return np.zeros(len(frames), dtype=np.bool_)
    sky, when = np.array([frame.sky for frame in frames]), np.arange(len(frames))
    first, second = np.triu_indices(len(frames), 1)
    slope = np.median((sky[second] - sky[first]) / (when[second] - when[first]))
    rest = sky - slope * when
    return np.asarray(rest - np.median(rest) > _JUMP * float(np.median([frame.noise for frame in frames])))
