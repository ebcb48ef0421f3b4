"""The archive's tables. A change here needs a migration in `migrations/versions`; a test compares the two."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Float, Index, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What the tables have in common."""


class Image(Base):
    """An image; columns as in `pytel.archive.records.ImageRecord`, times in UTC without zone, header as JSON."""

    __tablename__ = "images"
    __table_args__ = (
        # Of a raw image there is one reduced image that counts.
        Index(
            "ix_images_reduced",
            "raw",
            unique=True,
            sqlite_where=text("reduction_level = 'reduced'"),
            postgresql_where=text("reduction_level = 'reduced'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
    night: Mapped[dt.date] = mapped_column(index=True)
    path: Mapped[str] = mapped_column(Text, unique=True)
    camera: Mapped[str]
    telescope: Mapped[str | None]
    frame_type: Mapped[str]
    filter: Mapped[str | None]
    exposure_time: Mapped[float] = mapped_column(Float)
    start: Mapped[dt.datetime] = mapped_column(index=True)
    end: Mapped[dt.datetime | None]
    object: Mapped[str | None]
    task: Mapped[str | None] = mapped_column(index=True)
    exposure_index: Mapped[int | None]
    ra: Mapped[float | None] = mapped_column(Float)
    dec: Mapped[float | None] = mapped_column(Float)
    airmass: Mapped[float | None] = mapped_column(Float)
    reduction_level: Mapped[str] = mapped_column(String, server_default="raw")
    raw: Mapped[str | None] = mapped_column(String(26), index=True)
    header: Mapped[str] = mapped_column(Text)
    archived_at: Mapped[dt.datetime]
