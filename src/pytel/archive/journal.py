"""A small file of JSON lines, each on disk before the next step; a line that a crash cut short never was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from pytel.base.files import storage_full_named, write_atomically

Line = dict[str, Any]
Lines = list[Line]


def read_journal(path: Path) -> Lines:
    """All whole lines of a journal; none when there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    lines: Lines = []
    for text in content.split(b"\n"):
        with contextlib.suppress(msgspec.DecodeError):
            line = msgspec.json.decode(text)
            if isinstance(line, dict):
                lines.append(line)
    return lines


def rewrite_journal(path: Path, lines: Iterable[Line]) -> None:
    """Replace a journal by these lines, at once or not at all. Raises `StorageFull`."""
    write_atomically(path, [b"".join(msgspec.json.encode(line) + b"\n" for line in lines)])


def append_to_journal(path: Path, line: Line) -> None:
    """Add a line and sync it to disk; on failure the journal is as it was. Raises `StorageFull`."""
    with storage_full_named(path), path.open("ab", buffering=0) as file:
        length = file.tell()
        # A leading line break keeps clear of what a crash may have left.
        data = b"\n" + msgspec.json.encode(line) + b"\n"
        try:
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(length)
            raise
