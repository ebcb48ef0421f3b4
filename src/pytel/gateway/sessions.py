"""Log-in sessions of browsers: an id that means nothing by itself, and what it stands for, kept here."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from pytel.base import clock
from pytel.base.units import Seconds
from pytel.bus.contract import Role

MOST_OF_ONE = 20
"""Sessions of one person; a further one ends the oldest."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has logged in as, and whether that still holds: at once, and by asking who knows."""

    name: str
    role: Role
    is_still: Callable[[], bool]
    goes_on: Callable[[], Awaitable[bool]]


class Session(msgspec.Struct, kw_only=True):
    """Who has logged in; times are real UTC in Unix seconds."""

    account: Account
    begun: float
    used: float
    is_over: bool = False


class Sessions:
    """The sessions of one gateway; they end with it."""

    def __init__(self, *, idle: Seconds, lifetime: Seconds) -> None:
        self._idle, self._lifetime = idle, lifetime
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, account: Account) -> tuple[str, Session]:
        """Begin a session; returns its id, which is not kept, and what it stands for."""
        now = clock.real_time()
        self._tidy()
        own = [key for key, session in self._sessions.items() if session.account.name == account.name]
        for key in own[: max(0, len(own) + 1 - MOST_OF_ONE)]:
            self._end(key)
        identity = secrets.token_urlsafe(32)
        session = Session(account=account, begun=now, used=now)
        self._sessions[_key(identity)] = session
        return identity, session

    def find(self, identity: str) -> Session | None:
        """The session of an id, None when there is none or it has ended."""
        session = self._sessions.get(_key(identity))
        if session is None or not self.is_good(session):
            return None
        self.note_use(session)
        return session

    def note_use(self, session: Session) -> None:
        """Somebody does something in a session: it is not idle."""
        session.used = clock.real_time()

    def is_good(self, session: Session) -> bool:
        """Whether a session goes on."""
        now = clock.real_time()
        if session.is_over or now - session.used >= self._idle or now - session.begun >= self._lifetime:
            return False
        return session.account.is_still()

    def end(self, identity: str) -> Session | None:
        """Log out: the id is worth nothing from here on. Returns the session that it was."""
        return self._end(_key(identity))

    def _end(self, key: bytes) -> Session | None:
        session = self._sessions.pop(key, None)
        if session is not None:
            session.is_over = True
        return session

    def _tidy(self) -> None:
        for key, session in list(self._sessions.items()):
            if not self.is_good(session):
                self._end(key)


def _key(identity: str) -> bytes:
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
