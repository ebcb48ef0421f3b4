"""Files written and hashed at once, on two cores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pytel.base.files import write_atomically
from pytel.base.seals import seal

Chunk = bytes | memoryview


class Written(NamedTuple):
    """Size in bytes and SHA-256 (hex) of a file."""

    size: int
    sha256: str


def write_hashed(path: Path, chunks: Sequence[Chunk]) -> Written:
    """Write a file as `write_atomically` does, hash it meanwhile, and seal it; blocking. Raises `StorageFull`."""
    with ThreadPoolExecutor(1, thread_name_prefix="pytel-sha256") as other:
        hashing = other.submit(_sha256, chunks)
        write_atomically(path, chunks)
        sha256 = hashing.result()
    seal(path, sha256)
    return Written(sum(map(len, chunks)), sha256)


def _sha256(chunks: Sequence[Chunk]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
