"""The record of who changed what: a line of JSON for each call that is more than a look, in files of bounded size."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pytel.base import clock, ids
from pytel.base.errors import PytelError, wrap
from pytel.base.files import storage_full_named
from pytel.base.threads import in_thread
from pytel.bus.contract import Builtin
from pytel.bus.publications import iso_time

FILE = "audit.jsonl"
LARGEST_FILE = 10 << 20
MOST_FILES = 50
LONGEST_TEXT = 300
MOST_ITEMS = 30
DEEPEST = 6
_MOST_WAITING = 10_000
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private", re.IGNORECASE)


class AuditLog:
    """Writes the record beside the event loop; `trouble` hears what keeps it from that, and None when it can again."""

    def __init__(self, directory: Path, trouble: Callable[[PytelError | None], None]) -> None:
        self._directory, self._trouble = directory, trouble
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._is_news = asyncio.Event()

    def note(self, what: str, **fields: Builtin) -> None:
        """Put something on record: `what` is "call", "log-in", "log-out" or "refused"."""
        entry = {"time": iso_time(clock.real_time()), "what": what, **fields}
        self._waiting.append(_line(entry))
        self._is_news.set()

    async def run(self) -> None:
        """Write what is noted, until it is cancelled."""
        while True:
            await self._is_news.wait()
            self._is_news.clear()
            if not await self.flush():
                await asyncio.sleep(5.0)
                self._is_news.set()

    async def flush(self) -> bool:
        """Write what is waiting; tells whether that was possible, and keeps it for later if not."""
        lines = list(self._waiting)
        self._waiting.clear()
        if not lines:
            return True
        writing = asyncio.ensure_future(in_thread(_append, self._directory / FILE, b"".join(lines)))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # what has begun is written, also when the gateway stops
            raise
        except (OSError, PytelError) as error:
            self._waiting.extendleft(reversed(lines))
            self._trouble(wrap(error))
            return False
        self._trouble(None)
        return True


def without_secrets(value: Builtin, depth: int = 0) -> Builtin:
    """A copy for the record: what is secret by its name is left out, what is long or deep is cut."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}… ({len(value)} characters)"
    if depth > DEEPEST and isinstance(value, (dict, list, tuple)):
        return "(deep)"
    if isinstance(value, dict):
        return {
            str(key)[:LONGEST_TEXT]: "(secret)" if _SECRET.search(str(key)) else without_secrets(item, depth + 1)
            for key, item in list(value.items())[:MOST_ITEMS]
        }
    if isinstance(value, (list, tuple)):
        return [without_secrets(item, depth + 1) for item in value[:MOST_ITEMS]]
    return value


def _line(entry: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(entry) + b"\n"
    except (UnicodeEncodeError, OverflowError, TypeError):
        return msgspec.json.encode({key: ascii(value) for key, value in entry.items()}) + b"\n"


def _append(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with storage_full_named(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(text) > LARGEST_FILE:
                _put_aside(path)
                os.close(descriptor)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            while text:
                text = text[os.write(descriptor, text) :]
        finally:
            os.close(descriptor)


def _put_aside(path: Path) -> None:
    path.rename(path.with_name(f"audit-{ids.new_id()}.jsonl"))
    for old in sorted(path.parent.glob("audit-*.jsonl"))[:-MOST_FILES]:
        old.unlink(missing_ok=True)
