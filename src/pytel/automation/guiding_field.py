"""Reference frames, and how far the field has moved from them on the sky."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.automation.guiding_sky import HeaderValue, Orientation, Shift, header_orientation
from pytel.base.errors import PytelError
from pytel.base.units import Arcsec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.imaging.offset import Reference
    from pytel.sky.catalogue import StarSource

_OVERLAP = 0.3
"""Frames that should lie farther apart than this part of their smaller side get a reference of their own."""
_SAME_ORIENTATION = 20.0


class OrientationUnknown(PytelError):
    """Nothing tells how the frames of a camera lie on the sky, so nobody knows which way to correct."""


class Setup(NamedTuple):
    """How the detector was read: frames that differ in it cannot be compared."""

    shape: tuple[int, ...]
    binning: HeaderValue
    column: HeaderValue
    row: HeaderValue
    camera: HeaderValue


class Frame(NamedTuple):
    """What a guider needs of an image. The shutter's times are Unix seconds; `offset` was asked of the telescope."""

    image: str
    pixels: NDArray[Any]
    header: Mapping[str, HeaderValue]
    start: float
    end: float
    offset: Shift

    @property
    def setup(self) -> Setup:
        """How it was read."""
        say = self.header.get
        return Setup(self.pixels.shape, say("XBINNING"), say("XORGSUBF"), say("YORGSUBF"), say("INSTRUME"))

    @property
    def saturation(self) -> float | None:
        """Pixels at and above are saturated (adu)."""
        value = self.header.get("SATURATE")
        return float(value) if isinstance(value, int | float) and value > 0 else None


class Measured(NamedTuple):
    """How far the telescope was from where it should have been, and how well that is known."""

    offset: Shift
    uncertainty: Arcsec
    matched: int


class GuideField:
    """A reference frame: where the stars should stay, but for the offsets that the telescope is told to make.

    `error` is how far off the telescope was thought to be when it was taken.
    """

    def __init__(self, frame: Frame, orientation: Orientation, error: Shift, reference: Reference) -> None:
        self.image, self.setup, self.orientation = frame.image, frame.setup, orientation
        self._offset, self._error, self._reference = frame.offset, error, reference
        self._reach = _OVERLAP * min(frame.pixels.shape) * orientation.scale

    def fits(self, frame: Frame) -> bool:
        """Whether a frame can be compared with it: read in the same way, and not far away on purpose."""
        return frame.setup == self.setup and self._expected(frame).length <= self._reach

    def _expected(self, frame: Frame) -> Shift:
        return frame.offset.minus(self._offset)

    def measure(self, frame: Frame, max_offset: Arcsec) -> Measured:
        """Compare; blocking. Raises `OffsetError` when the field is not found within `max_offset` of its place."""
        expected = self._expected(frame)
        orientation = header_orientation(frame.header)
        if orientation is None or orientation.turned_from(self.orientation) > _SAME_ORIENTATION:
            orientation = self.orientation
        scale = orientation.scale
        found = self._reference.offset_of(frame.pixels, max_offset=(max_offset + expected.length) / scale)
        # The stars go one way when the telescope goes the other.
        moved = orientation.sky(found.dx, found.dy).times(-1.0)
        return Measured(moved.minus(expected).plus(self._error), found.uncertainty * scale, found.matched)


def make_field(frame: Frame, fallback: Orientation | None, error: Shift, *, stars: StarSource | None) -> GuideField:
    """Make a reference of a frame; blocking.

    Its stars tell how it lies on the sky, where they can be found among `stars` (None: not looked for); else its header
    does, and else `fallback`. Raises `OrientationUnknown`, `OffsetError`.
    """
    from pytel.imaging.offset import Reference

    told = header_orientation(frame.header) or fallback
    orientation = (_solved(frame, told, stars) if stars else None) or told
    if orientation is None:
        raise OrientationUnknown(
            "nothing tells how frames of this camera lie on the sky: its header has no WCS and its stars are not found;"
            " give pixel_scale, position_angle and flipped in the guider's configuration"
        )
    return GuideField(frame, orientation, error, Reference(frame.pixels, saturation=frame.saturation))


def _solved(frame: Frame, told: Orientation | None, stars: StarSource) -> Orientation | None:
    """The orientation by the stars, None where they are not recognised: a mount that has flipped turns the camera."""
    from pytel.imaging.solving import FieldHint, NotSolved, solve_field
    from pytel.imaging.sources import find_sources

    ra, dec = frame.header.get("RA"), frame.header.get("DEC")
    if told is None or not isinstance(ra, int | float) or not isinstance(dec, int | float):
        return None
    sources = find_sources(frame.pixels, saturation=frame.saturation)
    hint = FieldHint(ra=float(ra) % 360.0, dec=float(dec), radius=0.5, scale=told.scale)
    shape = (int(frame.pixels.shape[0]), int(frame.pixels.shape[1]))
    try:
        solution = solve_field(sources, shape, hint, stars)
    except NotSolved:
        return None
    return Orientation(*(3600 * term for term in solution.matrix))
