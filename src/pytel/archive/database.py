"""The archive's index of images. Blocking: modules call it by `in_thread`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytel.archive.records import ImageFilter, ImageRecord
from pytel.base.errors import Conflict, NotFound
from pytel.interfaces.images import ReductionLevel
from pytel.services import database

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from pytel.archive.tables import Image


class Database:
    """Images in SQLite, each committed to disk before `add` returns.

    Use: `with Database(path).open() as images: images.add(record)`. The file has one process that owns it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: database.Database | None = None

    def open(self) -> Database:
        """Open or create the file and bring its schema up to date. Raises what `open_database` does."""
        self._database = database.open_database(self.path, "pytel.archive.migrations.versions")
        return self

    def close(self) -> None:
        """Let go of the file; everything is on disk already."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, record: ImageRecord) -> bool:
        """Keep a record; tells whether it is new. The same image twice is one.

        Raises `Conflict` when the id is there with another content, or the path belongs to another image;
        `StorageFull`, with nothing lost, when the disk is full.
        """
        from sqlalchemy.exc import IntegrityError

        try:
            with self._session() as session:
                if session.get(_image_table(), record.id) is None:
                    session.add(_to_row(_ranked(session, record)))
                    return True
        except IntegrityError:
            pass  # Somebody else was quicker, or the path is taken: looked at below.
        return self._compare(record)

    def _compare(self, record: ImageRecord) -> bool:
        try:
            known = self.get(record.id)
        except NotFound:
            raise Conflict(f"{record.path} in {self.path} belongs to another image than {record.id}") from None
        if known.sha256 != record.sha256:
            raise Conflict(f"image {record.id} is in {self.path} with another content", id=record.id)
        return False

    def get(self, image: str) -> ImageRecord:
        """Look up one image by its id. Raises `NotFound`."""
        with self._session() as session:
            row = session.get(_image_table(), image)
            if row is None:
                raise NotFound(f"no image {image} in {self.path}", id=image)
            return _from_row(row)

    def find(
        self, wanted: ImageFilter | None = None, *, limit: int | None = 1000, offset: int = 0
    ) -> list[ImageRecord]:
        """Find images, by start of exposure, oldest first."""
        from sqlalchemy import select

        table = _image_table()
        statement = select(table).order_by(table.start, table.id).limit(limit).offset(offset)
        with self._session() as session:
            return [_from_row(row) for row in session.scalars(_restrict(statement, wanted))]

    def count(self, wanted: ImageFilter | None = None) -> int:
        """Count images."""
        from sqlalchemy import func, select

        with self._session() as session:
            return session.scalar(_restrict(select(func.count()).select_from(_image_table()), wanted)) or 0

    def nights(self) -> dict[date, int]:
        """The nights of which there are images, in order, with how many."""
        from sqlalchemy import func, select

        night = _image_table().night
        with self._session() as session:
            rows = session.execute(select(night, func.count()).group_by(night).order_by(night))
            return {row[0]: row[1] for row in rows}

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        """A session in a transaction, which is on disk when the block is left."""
        from sqlalchemy.orm import Session

        if self._database is None:
            raise RuntimeError(f"the database {self.path} is not open")
        with self._database.transaction() as connection, Session(connection) as session:
            yield session
            session.flush()


def _image_table() -> type[Image]:
    from pytel.archive.tables import Image

    return Image


def _to_row(record: ImageRecord) -> Image:
    values = msgspec.structs.asdict(record)
    values["header"] = msgspec.json.encode(record.header).decode()
    for name in ("start", "end", "archived_at"):
        if values[name] is not None:
            values[name] = _as_utc(values[name])
    return _image_table()(**values)


def _from_row(row: Image) -> ImageRecord:
    values: dict[str, Any] = {name: getattr(row, name) for name in ImageRecord.__struct_fields__}
    values["header"] = msgspec.json.decode(row.header)
    for name in ("start", "end", "archived_at"):
        if values[name] is not None:
            values[name] = values[name].replace(tzinfo=UTC)
    return ImageRecord(**values)


def _ranked(session: Session, record: ImageRecord) -> ImageRecord:
    """Of the reduced images of one raw image the latest (by id) counts; the others are superseded."""
    from sqlalchemy import select

    if record.reduction_level != ReductionLevel.REDUCED or record.raw is None:
        return record
    table = _image_table()
    same = select(table).where(table.raw == record.raw, table.reduction_level == ReductionLevel.REDUCED.value)
    for other in session.scalars(same):
        if other.id > record.id:
            return msgspec.structs.replace(record, reduction_level=ReductionLevel.SUPERSEDED.value)
        other.reduction_level = ReductionLevel.SUPERSEDED.value
    session.flush()
    return record


def _as_utc(when: datetime) -> datetime:
    """SQLite keeps no zone: everything inside is UTC."""
    return when.astimezone(UTC).replace(tzinfo=None)


def _restrict(statement: Select[Any], wanted: ImageFilter | None) -> Select[Any]:
    table = _image_table()
    for name, value in ({} if wanted is None else msgspec.structs.asdict(wanted)).items():
        if value is None:
            continue
        if name == "since":
            statement = statement.where(table.start >= _as_utc(value))
        elif name == "before":
            statement = statement.where(table.start < _as_utc(value))
        else:
            statement = statement.where(getattr(table, name) == value)
    return statement
