"""Where an image lies in the archive: one directory for each night, names that sort by time and say what is inside."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

from pytel.base import ids
from pytel.base.errors import InvalidParams
from pytel.imaging.headers import ascii_text

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 40


def image_path(
    root: Path, night: date, camera: str, frame_type: str, start: datetime, image: str, *, compressed: bool = False
) -> Path:
    """Path of an image: `2026-11-22/camera-20261122T203015-object-01ABC….fits` below `root`.

    `night` is the local date of the evening, `start` (aware) the start of the exposure, `image` its id. Names from
    outside lose what is not a letter, digit, `-` or `_`, so no path leaves `root`. Raises `InvalidParams` when the id
    is none or the time has no zone.
    """
    if not ids.is_id(image):
        raise InvalidParams(f"{image[:40]!r} is no image id")
    if start.tzinfo is None:
        raise InvalidParams(f"the start of {image} has no time zone")
    stamp = start.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    suffix = "fits.fz" if compressed else "fits"
    name = f"{safe_name(camera)}-{stamp}-{safe_name(frame_type)}-{image}.{suffix}"
    return root / f"{night:%Y-%m-%d}" / name


def safe_name(text: str) -> str:
    """Make a part of a file name out of any text; at most 40 characters, never empty."""
    return _UNSAFE.sub("_", ascii_text(text)).strip("_-")[:_LONGEST_NAME] or "unnamed"
