"""How far a frame is off a reference: by its stars, or by cross-correlation where there are none.

    reference = Reference(first_pixels)
    offset = reference.offset_of(pixels)

Computes for some milliseconds: from a coroutine, call it by `pytel.base.threads.in_thread`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import PytelError
from pytel.imaging.matching import find_similarity
from pytel.imaging.sources import SourceList, find_sources

Method = Literal["stars", "correlation"]

_STARS = 60
_TOLERANCE = 2.0
_FEWEST = 5


class OffsetError(PytelError):
    """No offset was found: the fields differ, or there is nothing to go by."""


@dataclass(frozen=True)
class FrameOffset:
    """A star at (x, y) of the reference is at (x + dx, y + dy) of the frame, after the rotation about its middle."""

    dx: float
    """Pixels."""
    dy: float
    rotation: float
    """Degrees, counter-clockwise in pixel coordinates (x right, y up)."""
    uncertainty: float
    """Of dx and of dy: one standard deviation, pixels."""
    matched: int
    """Stars that agree; 0 for a correlation."""
    method: Method


class Reference:
    """A frame to measure others against; what can be computed once for all of them is."""

    def __init__(self, pixels: NDArray[Any], *, saturation: float | None = None) -> None:
        self.shape = pixels.shape
        self.saturation = saturation
        self.stars = find_sources(pixels, saturation=saturation).select(slice(0, _STARS))

    def offset_of(self, pixels: NDArray[Any], *, max_offset: float | None = None) -> FrameOffset:
        """The offset of a frame. Raises `OffsetError` if its field does not fit or is more than `max_offset` px off."""
        if pixels.shape != self.shape:
            raise OffsetError(f"a frame of {pixels.shape} pixels cannot be measured against one of {self.shape}")
        found = find_sources(pixels, saturation=self.saturation).select(slice(0, 2 * _STARS))
        offset = _by_stars(self.stars, found, self.shape)
        if max_offset is not None and math.hypot(offset.dx, offset.dy) > max_offset:
            raise OffsetError(f"the field is {math.hypot(offset.dx, offset.dy):.1f} px off, more than {max_offset:g}")
        return offset


def measure_offset(reference: NDArray[Any], frame: NDArray[Any], *, max_offset: float | None = None) -> FrameOffset:
    """The offset of a single frame from another; for many frames, keep a `Reference`. Raises `OffsetError`."""
    return Reference(reference).offset_of(frame, max_offset=max_offset)


def _by_stars(reference: SourceList, found: SourceList, shape: tuple[int, ...]) -> FrameOffset:
    if min(len(reference), len(found)) < _FEWEST:
        raise OffsetError(f"{len(reference)} stars in the reference and {len(found)} in the frame are too few")
    middle = complex((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    points, targets = reference.x + 1j * reference.y - middle, found.x + 1j * found.y - middle
    match = find_similarity(points, targets, tolerance=_TOLERANCE, scale_tolerance=0.005)
    if match is None:
        raise OffsetError("the stars of this frame are not those of the reference")
    turn = match.similarity.factor / abs(match.similarity.factor)
    off = targets[match.targets] - turn * points[match.points]
    shift = complex(np.median(off.real), np.median(off.imag))
    spread = 1.4826 * float(np.median(np.abs(np.concatenate([(off - shift).real, (off - shift).imag]))))
    return FrameOffset(
        dx=shift.real,
        dy=shift.imag,
        rotation=math.degrees(math.atan2(turn.imag, turn.real)),
        uncertainty=1.25 * spread / math.sqrt(len(off)),
        matched=len(off),
        method="stars",
    )
