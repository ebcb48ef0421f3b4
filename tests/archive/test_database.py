from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from pytel.archive.database import Database
from pytel.archive.records import ImageFilter, ImageRecord
from pytel.archive.tables import Base
from pytel.base.errors import Conflict, NotFound, StorageFull
from pytel.services.database import DatabaseError

START = datetime(2026, 11, 22, 20, 30, 15, 250_000, tzinfo=UTC)


def record(number: int, **changes: Any) -> ImageRecord:
    values: dict[str, Any] = {
        "id": f"{number:026d}",
        "sha256": f"{number:064x}",
        "size": 8_392_320,
        "night": date(2026, 11, 22),
        "path": f"2026-11-22/{number}.fits",
        "camera": "camera",
        "frame_type": "object",
        "exposure_time": 60.0,
        "start": START + timedelta(minutes=number),
        "archived_at": START + timedelta(hours=1),
    }
    return ImageRecord(**(values | changes))


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "50% full" / "images.sqlite").open() as database:
        yield database


def test_a_record_comes_back_as_it_was(images: Database) -> None:
    whole = record(
        1,
        end=START + timedelta(minutes=2),
        telescope="T1",
        filter="V",
        object="ζ Oph",
        task="nightly-7",
        exposure_index=3,
        ra=249.29,
        dec=-10.567,
        airmass=1.234,
        header={"EXPTIME": 60.0, "SIMPLE": True, "OBJECT": "zet Oph", "CCD-TEMP": None, "XBINNING": 1},
    )
    assert images.add(whole)
    assert images.get(whole.id) == whole
    assert images.find() == [whole]


def test_times_of_any_zone_are_one_instant(images: Database) -> None:
    local = record(1, start=START.astimezone(timezone(timedelta(hours=-4))))
    images.add(local)
    assert images.get(local.id).start == START
    assert images.get(local.id).start.tzinfo is UTC
    assert images.count(ImageFilter(since=START, before=START + timedelta(seconds=1))) == 1
    assert images.count(ImageFilter(before=START)) == 0


def test_the_same_image_twice_is_one(images: Database) -> None:
    assert images.add(record(1)) is True
    assert images.add(record(1)) is False
    assert images.count() == 1


def test_other_content_under_an_id_or_path_is_a_conflict(images: Database) -> None:
    images.add(record(1))
    with pytest.raises(Conflict, match="another content"):
        images.add(record(1, sha256="f" * 64))
    with pytest.raises(Conflict, match="another image"):
        images.add(record(2, path=record(1).path))
    assert images.find() == [record(1)]


def test_an_exposure_of_a_task_may_be_repeated(images: Database) -> None:
    images.add(record(1, task="a", exposure_index=0))
    images.add(record(2, task="a", exposure_index=0))
    images.add(record(3, task="a_", exposure_index=0))
    images.add(record(4, task="A", exposure_index=1))
    assert [image.id for image in images.find(ImageFilter(task="a"))] == [record(1).id, record(2).id]
    assert images.count(ImageFilter(task="a", exposure_index=1)) == 0
    assert images.count(ImageFilter(task="%")) == 0


def test_images_are_found_oldest_first_in_pages(images: Database) -> None:
    for number in (3, 1, 4, 2, 5):
        images.add(record(number, filter="V" if number % 2 else "R"))
    assert [int(image.id) for image in images.find()] == [1, 2, 3, 4, 5]
    assert [int(image.id) for image in images.find(limit=2, offset=1)] == [2, 3]
    assert [int(image.id) for image in images.find(ImageFilter(filter="V", frame_type="object"), limit=None)] == [
        1,
        3,
        5,
    ]
    assert images.find(ImageFilter(sha256=record(4).sha256)) == [record(4, filter="R")]


def test_nights_are_counted(images: Database) -> None:
    for number, day in ((1, 23), (2, 22), (3, 23)):
        images.add(record(number, night=date(2026, 11, day)))
    assert list(images.nights().items()) == [(date(2026, 11, 22), 1), (date(2026, 11, 23), 2)]


def test_an_unknown_image_is_not_found(images: Database) -> None:
    with pytest.raises(NotFound, match="nothing"):
        images.get("nothing")


def test_all_is_there_after_reopening_and_synced(tmp_path: Path) -> None:
    for number in range(3):
        with Database(tmp_path / "images.sqlite").open() as images:
            images.add(record(number))
            assert images.count() == number + 1
    with sqlite3.connect(tmp_path / "images.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_migrations_make_the_tables(images: Database) -> None:
    engine = create_engine(f"sqlite:///{images.path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_several_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    def work(number: int) -> None:
        with Database(tmp_path / "images.sqlite").open() as images:
            images.add(record(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Database(tmp_path / "images.sqlite").open() as images:
        assert images.count() == 3


def test_a_full_disk_is_named_and_loses_nothing(images: Database) -> None:
    images.add(record(0))
    assert images._database is not None
    with images._database._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(1, 100):
            images.add(record(number, header={"COMMENTS": "x" * 1000}))

    with pytest.raises(StorageFull, match=r"images\.sqlite"):
        fill()
    kept = images.count()
    assert kept >= 1
    assert images.get(record(0).id) == record(0)
    with images._database._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert images.add(record(200))
    assert images.count() == kept + 1


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseError, match=r"images\.sqlite"):
        Database(tmp_path / "images.sqlite").open()


def test_sqlalchemy_is_loaded_only_when_a_database_is_opened() -> None:
    program = (
        "import sys, pytel.archive.database, pytel.archive.files, pytel.archive.tree;"
        "sys.exit(bool({'sqlalchemy', 'alembic', 'numpy', 'astropy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
