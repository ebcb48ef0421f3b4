"""One process per directory: a lock that dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pytel.base.errors import ConfigError, Conflict


class AlreadyRunning(Conflict):
    """Another process works in this directory; `data["process"]` is its id, where known."""


@contextlib.contextmanager
def directory_lock(directory: Path, what: str = "a site") -> Iterator[None]:
    """Hold a directory for the length of a block; `what` runs in it.

    Raises `AlreadyRunning`, naming the other process, and `ConfigError` when the directory cannot be written.
    """
    path = directory / "lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"the directory {directory} cannot be used: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "?"
            raise AlreadyRunning(
                f"{what} is already running in {directory} as process {holder}: "
                "stop it first, or use another directory",
                process=int(holder) if holder.isdecimal() else None,
            ) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)
