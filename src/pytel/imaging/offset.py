"""How far a frame is off a reference: by its stars, or by cross-correlation where there are none.

    reference = Reference(first_pixels)
    offset = reference.offset_of(pixels)

Computes for some milliseconds: from a coroutine, call it by `pytel.base.threads.in_thread`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError
from pytel.imaging.offset_correlation import Transformed, correlate, prepared
from pytel.imaging.offset_stars import FEWEST_STARS, measure, stars_of
from pytel.imaging.sources import find_sources

Method = Literal["stars", "correlation"]


class OffsetError(PytelError):
    """No offset was found: the fields differ, are too far apart, or have nothing to go by."""


@dataclass(frozen=True)
class FrameOffset:
    """A star at (x, y) of the reference is at (x + dx, y + dy) of the frame, after the rotation about its middle."""

    dx: float
    """Pixels."""
    dy: float
    rotation: float
    """Degrees, counter-clockwise in pixel coordinates (x right, y up); 0 if it is not above its error."""
    uncertainty: float
    """Of dx and of dy: one standard deviation, pixels."""
    matched: int
    """Stars that agree; 0 for a correlation."""
    method: Method


class Reference:
    """A frame to measure others against; what can be computed once for all of them is.

    Frames may be off by any shift that leaves enough common stars, turned by any angle (as behind the meridian), be
    less deep or less sharp, or be seen through clouds. Without stars in the reference, frames are correlated: these
    must not be turned.
    """

    def __init__(self, pixels: NDArray[Any], *, saturation: float | None = None) -> None:
        self.shape = pixels.shape
        self._pixels = pixels
        self.stars = stars_of(pixels, find_sources(pixels, saturation=saturation))

    @property
    def method(self) -> Method:
        """By what frames are measured unless it is asked for otherwise."""
        return "stars" if len(self.stars.places) >= FEWEST_STARS else "correlation"

    def offset_of(
        self, pixels: NDArray[Any], *, max_offset: float | None = None, method: Method | None = None
    ) -> FrameOffset:
        """The offset of a frame; `method` is the reference's own unless given.

        Raises `OffsetError` if the field does not fit or is more than `max_offset` pixels off.
        """
        if pixels.shape != self.shape:
            raise InvalidParams(f"a frame of {pixels.shape} pixels cannot be measured against one of {self.shape}")
        offset = self._by_stars(pixels) if (method or self.method) == "stars" else self._by_likeness(pixels, max_offset)
        distance = math.hypot(offset.dx, offset.dy)
        if max_offset is not None and distance > max_offset:
            raise OffsetError(f"this field is {distance:.1f} px off, more than {max_offset:g}", offset=distance)
        return offset

    def _by_stars(self, pixels: NDArray[Any]) -> FrameOffset:
        found = measure(self.stars, pixels)
        if found is None:
            raise OffsetError("the stars of this frame are not those of the reference: check field, clouds and focus")
        return FrameOffset(
            dx=found.shift.real,
            dy=found.shift.imag,
            rotation=math.degrees(math.atan2(found.turn.imag, found.turn.real)),
            uncertainty=found.uncertainty,
            matched=found.matched,
            method="stars",
        )

    def _by_likeness(self, pixels: NDArray[Any], max_offset: float | None) -> FrameOffset:
        found = correlate(self._transformed, Transformed(prepared(pixels)), max_offset)
        if found is None:
            raise OffsetError("this frame is not like the reference at any shift: check field and clouds")
        return FrameOffset(found.dx, found.dy, 0.0, found.uncertainty, 0, "correlation")

    @functools.cached_property
    def _transformed(self) -> Transformed:
        return Transformed(prepared(self._pixels))


def measure_offset(reference: NDArray[Any], frame: NDArray[Any], *, max_offset: float | None = None) -> FrameOffset:
    """The offset of a single frame from another; for many frames, keep a `Reference`. Raises `OffsetError`."""
    return Reference(reference).offset_of(frame, max_offset=max_offset)
