"""Files that are there whole or not at all, also after a power cut or with a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path

from pytel.base.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT}


_no_room: list[Path] = []


@contextlib.contextmanager
def no_room_below(directory: Path) -> Iterator[None]:
    """Behave as if the disk of `directory` were full (to test what happens then)."""
    _no_room.append(directory)
    try:
        yield
    finally:
        _no_room.remove(directory)


@contextlib.contextmanager
def storage_full_named(path: Path) -> Iterator[None]:
    """Turn "no space left on device" inside the block into `StorageFull`, which names `path`."""
    try:
        if any(path.is_relative_to(directory) for directory in _no_room):
            raise OSError(errno.ENOSPC, "no space left on device (a test says so)", str(path))
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(f"no room left to write {path}: free space on its disk", path=str(path)) from error


_unsynced: ContextVar[bool] = ContextVar("unsynced", default=False)


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Inside the block `write_atomically` spares the disk: for files that need not outlive a power cut."""
    before = _unsynced.set(True)
    try:
        yield
    finally:
        _unsynced.reset(before)


def write_atomically(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file that appears complete under its name, synced to disk, or does not appear.

    Raises `StorageFull` when the disk is full; a file of the same name is replaced only by a complete one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    with storage_full_named(path):
        try:
            with temporary.open("wb", buffering=0) as file:
                for chunk in chunks:
                    _write_all(file.fileno(), memoryview(chunk).cast("B"))
                if not _unsynced.get():
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if not _unsynced.get():
            sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names that were added to or removed from a directory outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
