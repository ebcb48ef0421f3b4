"""Files written and hashed at once: the hash runs behind the writer, on another core."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pytel.base.files import write_atomically
from pytel.base.seals import seal

Chunk = bytes | memoryview
_BEHIND = 16
"""Pieces that the hash may lie behind."""


class Written(NamedTuple):
    """Size in bytes and SHA-256 (hex) of a file."""

    size: int
    sha256: str


def write_hashed(path: Path, chunks: Iterable[Chunk]) -> Written:
    """Write a file as `write_atomically` does, hash the bytes as they are written, and seal it; blocking.

    Raises `StorageFull`, and what `chunks` raises.
    """
    waiting: queue.Queue[Chunk | None] = queue.Queue(_BEHIND)
    with ThreadPoolExecutor(1, thread_name_prefix="pytel-sha256") as other:
        hashing = other.submit(_hash, waiting)
        try:
            write_atomically(path, _handed_on(chunks, waiting))
        finally:
            waiting.put(None)
    written = hashing.result()
    seal(path, written.sha256)
    return written


def _handed_on(chunks: Iterable[Chunk], waiting: queue.Queue[Chunk | None]) -> Iterator[Chunk]:
    for chunk in chunks:
        waiting.put(chunk)
        yield chunk


def _hash(waiting: queue.Queue[Chunk | None]) -> Written:
    digest, size = hashlib.sha256(), 0
    while (chunk := waiting.get()) is not None:
        digest.update(chunk)
        size += len(chunk)
    return Written(size, digest.hexdigest())
