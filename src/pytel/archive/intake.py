"""Taking one image into the archive: a file in the tree, then a record. May be cut short at any point and repeated."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytel.archive.database import Database
from pytel.archive.records import ImageRecord
from pytel.archive.tree import image_path
from pytel.base import ids
from pytel.base.errors import ChecksumError
from pytel.base.files import storage_full_named, sync_directory
from pytel.base.location import Location
from pytel.imaging.fits import read_header
from pytel.interfaces.images import ImageRef, ReductionLevel

_CHUNK = 2**20
_MADE = {ReductionLevel.REDUCED.value, ReductionLevel.MASTER.value}
Header = Mapping[str, Any]


def take_in(
    source: Path, ref: ImageRef, root: Path, database: Database, location: Location, now: datetime
) -> ImageRecord:
    """Put an image, whose bytes the caller has verified, into the tree and record it. Blocking.

    Raises `ChecksumError` when the copy is not what the store announced, `StorageFull`, `ImageError`.
    """
    header = read_header(source)
    record = describe_image(ref, header, location, now)
    target = root / record.path
    if not (target.is_file() and target.stat().st_size == ref.size and _digest(target) == ref.sha256):
        _copy(source, target, ref)
    database.add(record)
    return record


def describe_image(ref: ImageRef, header: Header, location: Location, now: datetime) -> ImageRecord:
    """Make the record of an image out of its header."""
    start = _time(header.get("DATE-OBS")) or now
    night = location.evening_of(start.timestamp())
    camera = str(header.get("INSTRUME") or "camera")
    frame_type = str(header.get("IMAGETYP") or "object")
    compressed = header.get("ZIMAGE") is True
    level = _level(header)
    kind = frame_type if level is ReductionLevel.RAW else f"{frame_type}-{level.value}"
    path = image_path(Path(), night, camera, kind, start, ref.id, compressed=compressed)
    return ImageRecord(
        id=ref.id,
        sha256=ref.sha256,
        size=ref.size,
        night=night,
        path=str(path),
        camera=camera,
        frame_type=frame_type,
        exposure_time=_number(header.get("EXPTIME")) or 0.0,
        start=start,
        end=_time(header.get("DATE-END")),
        telescope=_text(header.get("TELESCOP")),
        filter=_text(header.get("FILTER")),
        object=_text(header.get("OBJECT")),
        task=_text(header.get("TASKID")),
        exposure_index=_whole(header.get("TASKEXP")),
        ra=_number(header.get("RA")),
        dec=_number(header.get("DEC")),
        airmass=_number(header.get("AIRMASS")),
        reduction_level=level.value,
        raw=_image_id(header.get("RAWID")),
        header={key: value for key, value in header.items() if isinstance(value, str | int | float | bool)},
        archived_at=now,
    )


def _level(header: Header) -> ReductionLevel:
    """What PROCTYPE says; a file with another word there, or none, is raw."""
    value = str(header.get("PROCTYPE") or "").lower()
    return ReductionLevel(value) if value in _MADE else ReductionLevel.RAW


def _image_id(value: Any) -> str | None:
    return value if isinstance(value, str) and ids.is_id(value) else None


def _copy(source: Path, target: Path, ref: ImageRef) -> None:
    """Give the store's file a second name in the tree, or copy it where that is on another disk."""
    with storage_full_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            _copy_bytes(source, target, ref)
        sync_directory(target.parent)


def _copy_bytes(source: Path, target: Path, ref: ImageRef) -> None:
    """Copy under another name, prove that it is whole, then give it its own."""
    part = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    with storage_full_named(target):
        try:
            with source.open("rb") as reader, part.open("wb") as writer:
                while chunk := reader.read(_CHUNK):
                    digest.update(chunk)
                    writer.write(chunk)
                writer.flush()
                os.fsync(writer.fileno())
            if digest.hexdigest() != ref.sha256:
                raise ChecksumError(f"{source} has other bytes than image {ref.id} was announced with", id=ref.id)
            part.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    with contextlib.suppress(ValueError):
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
    return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
