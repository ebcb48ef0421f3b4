"""Seals: files that show that nobody has written to them since their SHA-256 was taken.

Who has hashed a file sets its modification time to now, with nanoseconds that follow from the hash. Whoever writes to
it afterwards breaks the seal without knowing of it. A seal is no signature: programs that trust each other use it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pytel.base import clock
from pytel.base.digests import sha256_of_file
from pytel.base.units import Seconds

_NANO = 10**9
FRESH: Seconds = 600.0
"""How long a seal counts: until then the bytes are still in memory, later a disk may give other ones than it took."""


def seal(path: Path, sha256: str) -> None:
    """Seal a file whose bytes have this SHA-256 (hex); blocking. A file system that cannot leaves it as it is."""
    with contextlib.suppress(OSError):
        time = int(clock.real_time()) * _NANO + _fraction(sha256)
        os.utime(path, ns=(time, time))


def is_sealed(path: Path, sha256: str) -> bool:
    """Whether a file was sealed for this SHA-256 lately, and not written to since; blocking. Raises `OSError`."""
    seconds, fraction = divmod(path.stat().st_mtime_ns, _NANO)
    return fraction == _fraction(sha256) and -1.0 <= clock.real_time() - seconds <= FRESH


def prove(path: Path, sha256: str) -> bool:
    """Whether a file is sealed for this SHA-256, or has it, and is sealed now; blocking. Raises `OSError`."""
    if is_sealed(path, sha256):
        return True
    before = path.stat().st_mtime_ns
    if sha256_of_file(path) != sha256 or path.stat().st_mtime_ns != before:
        return False
    seal(path, sha256)
    return True


def _fraction(sha256: str) -> int:
    return int(sha256[:15], 16) % _NANO
