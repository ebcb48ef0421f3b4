"""Log lines between processes: how a module process writes them to stderr, and how they are read again.

A line begins with its priority in angle brackets, as sd-daemon(3) has it, so that the journal of systemd reads it too;
further lines of one message have a tab after that.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from pytel.base import clock

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_HEAD = re.compile(r"<\d>(?P<time>\S+) (?P<level>[A-Z]+) (?P<name>[\w.@-]+): (?P<text>.*)")
_MORE = re.compile(r"<\d>\t(?P<text>.*)")
_NAMELESS = frozenset({"pytel.watchdog", "pytel.process", "pytel.site", "pytel.log"})
"""Loggers that every process has: what they tell needs the name of the process."""
_LONGEST = 16_384
_MOST_LINES = 500


class SiteTimeFormatter(logging.Formatter):
    """Stamps lines with site time, UTC."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - its name there
        """Tell the site time: that of the process in which it happened."""
        now: datetime = clock.now()
        return str(getattr(record, "site_time", f"{now:%Y-%m-%dT%H:%M:%S}Z"))


def line_formatter() -> logging.Formatter:
    """The form of every line in a log file of pytel."""
    return SiteTimeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def marked(text: str, level: int) -> str:
    """Put a message's priority before each of its lines."""
    priority = next(number for least, number in _PRIORITIES if level >= least)
    first, *more = text.splitlines() or [""]
    return "".join([f"<{priority}>{first}\n", *(f"<{priority}>\t{line}\n" for line in more)])


class Budget:
    """How many lines a process may write: bursts are let through, floods are not."""

    def __init__(self, per_second: float = 100.0, burst: float = 2000.0) -> None:
        self._per_second, self._burst = per_second, burst
        self._left, self._counted = burst, time.monotonic()
        self.left_out = 0

    def take(self) -> bool:
        """Whether one more line may pass; counts those that may not."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._counted) * self._per_second)
        self._counted = now
        if self._left < 1.0:
            self.left_out += 1
            return False
        self._left -= 1.0
        return True

    def settle(self) -> int:
        """How many lines were left out since the last time, once others may pass again; else 0."""
        if not self.left_out or not self.take():
            return 0
        left_out, self.left_out = self.left_out, 0
        return left_out


class LineReader:
    """Makes log records out of the bytes that a process writes to stderr, whoever writes them there."""

    def __init__(self, process: str, emit: Callable[[logging.LogRecord], None]) -> None:
        self._process = process
        self._emit = emit
        self._rest = b""
        self._head: dict[str, str] | None = None
        self._lines: list[str] = []
        self.last_error = ""
        """The last line that told an error: why it died, if it did."""

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line[:_LONGEST].decode(errors="replace"))
        if len(self._rest) > _LONGEST:
            self._rest = self._rest[:_LONGEST]

    def _take(self, line: str) -> None:
        if head := _HEAD.fullmatch(line):
            self.flush()
            self._head, self._lines = head.groupdict(), [head["text"]]
        elif (more := _MORE.fullmatch(line)) and self._head is not None:
            self._add(more["text"])
        else:
            if self._head is not None:
                self.flush()
            self._add(line)

    def _add(self, line: str) -> None:
        if len(self._lines) < _MOST_LINES:
            self._lines.append(line)

    def close(self) -> None:
        """Take what has no end of line, too."""
        if self._rest:
            self._take(self._rest.decode(errors="replace"))
            self._rest = b""
        self.flush()

    def flush(self) -> None:
        """Emit what is complete when nothing more comes for the time being."""
        if not self._lines:
            return
        for record in self._records():
            if record.levelno >= logging.ERROR:
                self.last_error = record.getMessage().strip().splitlines()[-1] if record.getMessage().strip() else ""
            self._emit(record)
        self._head, self._lines = None, []

    def _records(self) -> Iterator[logging.LogRecord]:
        text = "\n".join(self._lines)
        if self._head is not None:
            level = logging.getLevelNamesMapping().get(self._head["level"], logging.WARNING)
            name = self._head["name"]
            if name in _NAMELESS or not name.startswith("pytel."):
                text = f"{self._process}: {text}"
            record = logging.LogRecord(name, level, "", 0, text, None, None)
            record.site_time = self._head["time"]
            yield record
        elif text.strip():
            level = logging.ERROR if "Traceback (most" in text or "Fatal Python error" in text else logging.WARNING
            yield logging.LogRecord(f"pytel.{self._process}", level, "", 0, text, None, None)
