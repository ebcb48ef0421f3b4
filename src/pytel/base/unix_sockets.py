"""Unix sockets by the path of their file: however long it is, and for their own user alone."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pytel.base.errors import ConfigError

MAX_PATH = 107


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for a socket that fits into the 108 bytes of a socket address, however long its path is.

    Raises `ConfigError` where the system has no such name.
    """
    if len(os.fsencode(path)) <= MAX_PATH:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = Path(f"/proc/self/fd/{descriptor}")
        if not short.exists():
            raise ConfigError(f"the path of {path} is too long for a socket; choose a shorter state directory")
        yield str(short / path.name)
    finally:
        os.close(descriptor)


def listen_at(path: Path) -> socket.socket:
    """A socket that is bound to a path, which only its own user may connect to from the first moment on.

    What was there before is taken for the socket of a dead process: its owner holds a lock that says so.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with reachable(path) as name:
            listener.bind(name)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener
