"""One exposure, from its start to the cards and bytes of its file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytel.base import clock
from pytel.base.units import Celsius, Seconds
from pytel.interfaces.camera import Window
from pytel.interfaces.fitsheaders import Card
from pytel.interfaces.images import FrameType
from pytel.services.headers import CollectedHeaders

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytel.imaging.headers import HeaderCard
    from pytel.imaging.stored import StoredFrame

_SEES_NO_SKY = frozenset({FrameType.BIAS, FrameType.DARK, FrameType.FLAT})
_ARCSEC_PER_RADIAN = 206264.806


class DetectorConfig(Protocol):
    """What the header needs of a camera's configuration."""

    @property
    def width(self) -> int:
        """Columns, unbinned."""

    @property
    def height(self) -> int:
        """Rows, unbinned."""

    @property
    def pixel_size(self) -> float:
        """Micrometres, unbinned."""

    @property
    def gain(self) -> float:
        """Electrons per ADU."""

    @property
    def read_noise(self) -> float:
        """Electrons."""

    @property
    def saturation(self) -> float:
        """ADU."""

    @property
    def rotation(self) -> float:
        """Position angle of the upward direction, degrees."""

    @property
    def flipped(self) -> bool:
        """An odd number of mirrors."""

    @property
    def focal_length(self) -> float | None:
        """Millimetres."""

    @property
    def compress(self) -> bool:
        """Write Rice-compressed."""

    @property
    def camera_name(self) -> str | None:
        """For the header."""


class Exposure:
    """An exposure under way or done."""

    def __init__(
        self, *, frame_type: FrameType, exposure_time: Seconds, binning: int, window: Window, started: datetime
    ) -> None:
        self.frame_type = frame_type
        self.exposure_time = exposure_time
        """As asked for, seconds."""
        self.binning = binning
        self.window = window
        self.started = started
        self.ended: datetime | None = None
        self.temperature: Celsius | None = None
        self.setpoint: Celsius | None = None
        self.pixels: NDArray[np.uint16] | StoredFrame | None = None
        self.end_headers: asyncio.Task[CollectedHeaders] | None = None
        self.cards_at_end = CollectedHeaders({})

    def elapsed(self) -> Seconds:
        """Seconds since the start."""
        # Times are kept to a microsecond, which may round the start into the future.
        return max(0.0, clock.time() - self.started.timestamp())

    @property
    def true_time(self) -> Seconds:
        """How long the shutter was open: less than asked for when it was stopped."""
        if self.ended is None:
            return self.exposure_time
        return min(self.exposure_time, round((self.ended - self.started).total_seconds(), 6))


def write_exposure(
    path: Path,
    exposure: Exposure,
    given: Mapping[str, Card],
    detector: DetectorConfig,
    camera: str,
    log: logging.Logger,
    created: datetime,
) -> tuple[int, str]:
    """Write the file; blocking. Returns size and SHA-256."""
    from pytel.imaging.fits import write_fits

    if exposure.pixels is None:
        raise ValueError("this exposure has no pixels")
    cards = header_of(exposure, given, detector, camera, log)
    written = write_fits(path, exposure.pixels, cards, compress=detector.compress, created=created)
    return written.size, written.sha256


def header_of(
    exposure: Exposure, given: Mapping[str, Card], detector: DetectorConfig, camera: str, log: logging.Logger
) -> dict[str, HeaderCard]:
    """All cards of the file: the camera's own win over those that others give."""
    from pytel.imaging.headers import HeaderCard, clean_cards, detector_cards, exposure_cards

    others, dropped = clean_cards({keyword: HeaderCard(card.value, card.comment) for keyword, card in given.items()})
    for sentence in dropped:
        log.warning("a header card was dropped: %s", sentence)
    window = exposure.window
    own = exposure_cards(
        frame_type=exposure.frame_type.value,
        start=exposure.started,
        end=exposure.ended or exposure.started,
        exposure_time=exposure.true_time,
    )
    own |= detector_cards(
        camera=detector.camera_name or camera,
        gain=detector.gain,
        read_noise=detector.read_noise,
        saturation=round(detector.saturation),
        temperature=exposure.temperature,
        set_temperature=exposure.setpoint,
        binning=(exposure.binning, exposure.binning),
        window_origin=(window.x, window.y),
        pixel_size=detector.pixel_size,
    )
    return (
        own
        | {keyword: card for keyword, card in others.items() if keyword not in own}
        | _wcs(exposure, others, detector)
    )


def _wcs(exposure: Exposure, others: Mapping[str, HeaderCard], detector: DetectorConfig) -> dict[str, HeaderCard]:
    """Where the pixels are on the sky, as the telescope believes; nothing for frames that do not see it."""
    from pytel.imaging.wcs import wcs_cards

    ra, dec = _number(others, "RA"), _number(others, "DEC")
    focal_length = detector.focal_length or _number(others, "FOCALLEN")
    if exposure.frame_type in _SEES_NO_SKY or ra is None or dec is None or not focal_length:
        return {}
    return wcs_cards(
        ra,
        dec,
        pixel_scale=_ARCSEC_PER_RADIAN * detector.pixel_size / 1000 / focal_length,
        rotation=detector.rotation,
        reference_pixel=((detector.width + 1) / 2, (detector.height + 1) / 2),
        flipped=detector.flipped,
        binning=(exposure.binning, exposure.binning),
        window_origin=(exposure.window.x, exposure.window.y),
    )


def _number(cards: Mapping[str, Any], keyword: str) -> float | None:
    given = cards.get(keyword)
    if given is None or isinstance(given.value, bool | str) or given.value is None:
        return None
    return float(given.value)
