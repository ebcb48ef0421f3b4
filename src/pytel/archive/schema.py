"""How a database file is opened, and how its schema comes up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import URL, Connection, Engine

from pytel.services.database import migrating

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0001"
"""The last of the migrations."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 30


def connect(path: Path) -> Engine:
    """Make an engine on a file: write-ahead log, every commit synced to disk."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine


def upgrade(engine: Engine) -> None:
    """Apply the migrations that the database lacks, all or none of them. Alembic is loaded only when there are any."""
    with engine.connect() as connection:
        if _version(connection) == NEWEST:
            return
    from alembic import command

    with migrating, engine.connect() as connection:
        # Python's sqlite3 opens no transaction before DDL: begin one, which also keeps other processes out.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(migration_config(connection), "head")
        connection.commit()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


def migration_config(connection: Connection) -> Config:
    """What alembic needs to know; `migrations/env.py` takes the connection from it."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
