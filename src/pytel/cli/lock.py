"""One running site per state directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pytel.base.errors import ConfigError, Conflict


class AlreadyRunning(Conflict):
    """Another process runs a site in this state directory."""


@contextlib.contextmanager
def state_lock(directory: Path) -> Iterator[None]:
    """Hold the state directory for the length of a block; the lock dies with its process.

    Raises `AlreadyRunning`, naming the other process, and `ConfigError` when the directory cannot be written.
    """
    path = directory / "lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"the state directory {directory} cannot be used: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "?"
            raise AlreadyRunning(
                f"a site is already running in {directory} as process {holder}: stop it first, or use another directory"
            ) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)
