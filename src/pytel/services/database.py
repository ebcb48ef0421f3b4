"""SQLite the way pytel keeps its records: one owner, written to disk before a call returns, with migrations.

    database = open_database(path, "pytel.observing.migrations")
    with database.transaction() as connection:
        connection.execute(...)

Blocking: call it through `in_thread`. SQLAlchemy and alembic are imported when a database is opened.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.base.errors import Conflict, NotReady, PytelError, StorageFull
from pytel.base.files import storage_full_named

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_BUSY_SECONDS = 5
_LEAST_FREE = 2**20
_migrating = threading.Lock()
"""Held while alembic works, which keeps the running migration in global variables: one database at a time."""


class DatabaseError(PytelError):
    """The file is no database, or is damaged."""


class Database:
    """An open database of this process; closing it gives it free for another one."""

    def __init__(self, path: Path, engine: Engine, lock: int) -> None:
        self.path = path
        self._engine = engine
        self._lock = lock

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing, on disk when the block is left.

        Raises `StorageFull` when the disk is full, `NotReady` when somebody else keeps the file locked, and
        `DatabaseError` when it is damaged.
        """
        with _storage_errors(self.path), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        os.close(self._lock)


def open_database(path: Path, migrations: str) -> Database:
    """Open (and make, if need be) an SQLite database and bring it to the newest form.

    `migrations` is the package with the alembic revisions. The file runs with a write-ahead log and full
    synchronisation, so that what was committed survives a crash and a power cut. Raises `Conflict` when another process
    owns it, `StorageFull`, `NotReady`, `DatabaseError`.
    """
    with storage_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _own(path)
    try:
        engine = _engine(path)
        with _storage_errors(path), _migrating, engine.begin() as connection:
            _migrate(connection, Path(str(importlib.import_module(migrations).__file__)).parent)
    except BaseException:
        os.close(lock)
        raise
    return Database(path, engine, lock)


def _own(path: Path) -> int:
    """Lock a file beside the database; the lock ends with the process, however that ends."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise Conflict(f"another process owns {path}: only one may write it", path=str(path)) from error
    return lock


def _engine(path: Path) -> Engine:
    from sqlalchemy import URL, create_engine, event

    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # sqlite3 shall not begin transactions by itself, `_begin` does
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: Connection) -> None:
    # IMMEDIATE: a reader that wants to write later could not wait for the lock.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection, versions: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Give the errors of SQLite their names in pytel; a broken constraint is the caller's matter."""
    from sqlalchemy.exc import DBAPIError, IntegrityError

    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        name = getattr(error.orig, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL") or (name.startswith("SQLITE_IOERR") and _is_full(path)):
            raise StorageFull(f"no room left to write {path}: free space on its disk", path=str(path)) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise NotReady(f"the database {path} cannot be used now: {error.orig}", path=str(path)) from error
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise DatabaseError(f"the database {path} cannot be used: {error.orig}", path=str(path)) from error
        raise


def _is_full(path: Path) -> bool:
    """SQLite calls it an I/O error when its shared index does not fit."""
    return shutil.disk_usage(path.parent).free < _LEAST_FREE
