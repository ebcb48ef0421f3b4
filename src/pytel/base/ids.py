"""Identifiers and random numbers: from the operating system, or from the seed of a virtual night."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

from pytel.base import clock

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_source: random.Random = random.SystemRandom()
_last = 0


def new_id() -> str:
    """Make a ULID: 26 characters that sort by site time, and those of one process in the order they were made."""
    global _last
    milliseconds = int(clock.time() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | _source.getrandbits(79)
    if milliseconds == _last >> 80:
        value = _last + 1 + _source.getrandbits(32)
    _last = value
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of a ULID (and so is safe as a file name)."""
    return len(text) == 26 and all(character in _ALPHABET for character in text)


def time_of(text: str) -> float:
    """Site time (Unix seconds) at which a ULID was made. Raises `ValueError` for what is none."""
    if not is_id(text):
        raise ValueError(f"{text[:40]!r} is no ULID")
    milliseconds = 0
    for character in text[:10]:
        milliseconds = milliseconds << 5 | _ALPHABET.index(character)
    return milliseconds / 1000


def uniform(low: float, high: float) -> float:
    """Draw a number for jitter and the like; from the seed in a virtual night."""
    return _source.uniform(low, high)


def derived_seed(*parts: object) -> int:
    """Make a 64-bit seed out of names and numbers, the same in every process."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw ids and random numbers from `seed` for the length of a block."""
    global _source, _last
    before = _source
    _source, _last = random.Random(derived_seed("ids", seed)), 0
    try:
        yield
    finally:
        _source, _last = before, 0
