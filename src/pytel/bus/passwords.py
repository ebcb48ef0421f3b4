"""Passwords: how they are kept, and who knows whether one is right."""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING, Protocol

from pytel.base import clock
from pytel.base.errors import Busy
from pytel.base.threads import in_thread
from pytel.bus.contract import Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

REMEMBERED = 300.0
"""Real seconds for which a password that was right needs not be hashed again: scripts send it with every request."""
MOST_WAITING = 32
"""Log-ins that may wait for their turn."""
_MOST = 1000


class PasswordChecker(Protocol):
    """Somebody who knows the passwords of people, such as the XMPP server whose accounts they have."""

    async def check(self, name: str, password: str) -> Role | None:
        """The role of a person whose password is right, None for everybody else.

        Must take as long for a name that nobody has. Raises `ConnectionLost` when it cannot tell.
        """


@cache
def _hasher() -> PasswordHasher:
    """argon2id with the parameters that OWASP advises: 19 MiB, two passes."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _of_nobody() -> str:
    return _hasher().hash(os.urandom(16).hex())


def hash_password(password: str) -> str:
    """Make the form in which a password is kept (blocking, some 30 ms)."""
    return _hasher().hash(password)


def is_right(hashed: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed; None takes as long and is never right (blocking)."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed or _of_nobody(), password) and hashed is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


class Hashing:
    """Compares passwords beside the event loop, one at a time: a flood of log-ins costs one core at most."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def is_right(self, hashed: str | None, password: str) -> bool:
        """Whether a password is the one that was hashed. Raises `Busy` when too many wait for their turn."""
        if self._waiting >= MOST_WAITING:
            raise Busy("too many people log in at once; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await in_thread(is_right, hashed, password)
        finally:
            self._waiting -= 1


class Remembered:
    """Answers that were good a moment ago; keeps a keyed digest of what was asked, never the password."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._good: OrderedDict[bytes, tuple[Role, float]] = OrderedDict()

    def get(self, name: str, password: str, stamp: str) -> Role | None:
        """The role given a moment ago to this name and password; `stamp` is what must not have changed since."""
        role, until = self._good.get(self._digest(name, password, stamp), (None, 0.0))
        return role if clock.real_time() < until else None

    def put(self, name: str, password: str, stamp: str, role: Role) -> None:
        """Remember a good answer."""
        self._good[self._digest(name, password, stamp)] = (role, clock.real_time() + REMEMBERED)
        if len(self._good) > _MOST:
            self._good.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        self._good.clear()

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256")
