"""The log of a module process: to stderr, which never makes it wait and may change its end.

While a supervisor runs, stderr is its pipe; when that breaks, the process goes on with the log file of the site itself,
so that nothing is lost which is told afterwards.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from pytel.module.log_lines import Budget, line_formatter, marked


class StderrLog(logging.Handler):
    """Writes marked lines to stderr, and plain ones to a file once nobody reads stderr any more.

    A line that would have to wait is left out and counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._file: Path | None = None
        self._budget = Budget()
        self._marks = True
        self._redirecting = threading.RLock()
        self.setFormatter(line_formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            if left_out := self._budget.settle():
                note = f"{left_out} lines were left out: there were too many at once"
                self._put(self.format(logging.LogRecord("pytel.log", 30, "", 0, note, None, None)), logging.WARNING)
            if self._budget.take():
                self._put(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001 - as the standard library's handlers do
            self.handleError(record)

    def _put(self, text: str, level: int) -> None:
        try:
            self._write(marked(text, level) if self._marks else f"{text}\n")
        except BrokenPipeError:
            self.to_file()
            if not self._marks:
                self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        data = text.encode(errors="backslashreplace")
        while data:
            try:
                data = data[os.write(2, data) :]
            except BlockingIOError:  # the reader is behind: better a line lost than a roof that waits for it
                self._budget.left_out += 1
                return

    def fall_back_to(self, file: Path) -> None:
        """Where to go on once nobody reads stderr any more."""
        self._file = file

    def to_file(self) -> None:
        """Go on with the log file; harmless when there is none."""
        if self._file is None:
            return
        with self._redirecting:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._redirect(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
            self._marks = False

    def to_pipe(self, path: Path) -> None:
        """Go on with a supervisor's pipe. Raises `OSError` when nobody reads it."""
        with self._redirecting:
            self._redirect(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            self._marks = True

    def _redirect(self, descriptor: int) -> None:
        sys.stdout.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def log_to_stderr() -> StderrLog:
    """Send the log of this process to stderr."""
    handler = StderrLog()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return handler
