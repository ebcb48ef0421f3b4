"""What a module process writes to stderr becomes part of the log of its supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import stat
from pathlib import Path

from pytel.base.threads import in_thread
from pytel.module.log_lines import Budget, LineReader

_ROOM = 1 << 20
"""Bytes that may wait in the pipe while the supervisor is busy."""
_QUIET = 0.1
"""Real seconds after which a message is taken to be complete."""


class ProcessLog:
    """Reads a named pipe, which outlives the processes that write to it, and passes on what comes."""

    def __init__(self, path: Path, process: str) -> None:
        self.path = path
        self._process = process
        self._reader = LineReader(process, self._pass_on)
        self._budget = Budget()
        self._descriptor: int | None = None
        self._flush: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Begin to read; harmless when it is read already. Raises `OSError`."""
        if self._descriptor is None:
            self._descriptor = await in_thread(_opened, self.path)
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(BlockingIOError):
            self._reader.feed(os.read(self._descriptor, 1 << 16))
        if self._flush is not None:
            self._flush.cancel()
        self._flush = asyncio.get_running_loop().call_later(_QUIET, self._reader.flush)

    def drain(self) -> str:
        """Pass on all that an ended process has left; returns the last error it told."""
        if self._descriptor is not None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._reader.feed(os.read(self._descriptor, 1 << 16))
        self._reader.close()
        self._tell_left_out()
        last, self._reader.last_error = self._reader.last_error, ""
        return last

    def close(self) -> None:
        """Read no more."""
        if self._descriptor is None:
            return
        self.drain()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._flush is not None:
            self._flush.cancel()
        os.close(self._descriptor)
        self._descriptor = None

    def _pass_on(self, record: logging.LogRecord) -> None:
        self._tell_left_out()
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno) and self._budget.take():
            logger.handle(record)

    def _tell_left_out(self) -> None:
        if left_out := self._budget.settle():
            logging.getLogger(f"pytel.{self._process}").warning(
                "%d messages of the process %s were left out: there were too many at once", left_out, self._process
            )


def _opened(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (path.exists() and stat.S_ISFIFO(path.stat().st_mode)):
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
    # Opened for writing as well: it then has no end, whoever comes and goes at the other side.
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a user who has many pipes gets a small one
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _ROOM)
    return descriptor
