"""What the archive knows about an image."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from pytel.base.units import Declination, Duration, RightAscension


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An archived image. `path` is relative to the archive's root; times are aware, in UTC.

    `night` is the local date of the evening; `header` has the values of the FITS header by keyword.
    """

    id: str
    sha256: str
    size: int
    night: date
    path: str
    camera: str
    frame_type: str
    exposure_time: Duration
    start: datetime
    end: datetime | None = None
    telescope: str | None = None
    filter: str | None = None
    object: str | None = None
    task: str | None = None
    exposure_index: int | None = None
    ra: RightAscension | None = None
    dec: Declination | None = None
    airmass: float | None = None
    reduction_level: str = "raw"
    raw: str | None = None
    """Id of the raw image that a reduced one was made of."""
    header: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)
    archived_at: datetime


class ImageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which images to find; what is `None` does not matter, all the rest must be equal. Times bound the start."""

    night: date | None = None
    camera: str | None = None
    telescope: str | None = None
    frame_type: str | None = None
    filter: str | None = None
    object: str | None = None
    task: str | None = None
    exposure_index: int | None = None
    sha256: str | None = None
    reduction_level: str | None = None
    raw: str | None = None
    since: datetime | None = None
    before: datetime | None = None
