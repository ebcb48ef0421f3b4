"""Proving who calls: signed tokens between modules, passwords and tokens of people.

A module's token is `name~audience~expiry~HMAC-SHA256`, good for one callee and a minute: who takes the port of a module
that is down gets nothing of use elsewhere. In return the callee proves that it knows its own secret.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
import time

from pytel.base import clock
from pytel.base.errors import Busy, ConfigError, NotAllowed
from pytel.base.threads import in_thread
from pytel.bus.contract import Caller
from pytel.bus.http.accounts import Accounts, hasher

TOKEN_LIFE = 60.0
"""Real seconds for which a module's token is good."""
TOLERANCE = 5.0
"""Real seconds for which a token is still taken after its expiry: callers know the callee's clock that well."""
MAX_WAITING = 16
"""Log-ins with a password that may wait for their turn."""
REMEMBERED = 300.0
"""Real seconds for which a password that was right needs no hashing again."""
_REFRESH = 2.0
_CACHE = 1000


class Unauthenticated(NotAllowed):
    """The credentials are missing or wrong."""


class Signer:
    """Signs what one module sends."""

    def __init__(self, name: str, secret: str) -> None:
        self.name = name
        self._secret = secret
        self._tokens: dict[str, tuple[str, float]] = {}

    def authorization(self, audience: str, offset: float = 0.0) -> str:
        """The header `Authorization` for one callee, whose clock is `offset` seconds ahead."""
        token, expires = self._tokens.get(audience, ("", 0.0))
        now = clock.real_time() + offset
        if not now + TOKEN_LIFE / 2 < expires <= now + TOKEN_LIFE:
            expires = now + TOKEN_LIFE
            token = f"Bearer {_signed(self._secret, self.name, audience, int(expires))}"
            self._tokens[audience] = (token, expires)
        return token


def proof(secret: str, nonce: str) -> str:
    """What shows a caller, who chose the nonce, that the callee knows its own secret."""
    return _mac(secret, f"proof~{nonce}")


def _signed(secret: str, name: str, audience: str, expires: int) -> str:
    body = f"{name}~{audience}~{expires}"
    return f"{body}~{_mac(secret, body)}"


def _mac(secret: str, text: str) -> str:
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


class Doorkeeper:
    """Tells who sends a request to one module."""

    def __init__(self, accounts: Accounts, own: str) -> None:
        self._accounts = accounts
        self._own = own
        self._known: dict[str, tuple[Caller, float]] = {}
        self._pepper = os.urandom(32)
        self._right: dict[bytes, float] = {}
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0
        self._dummy: str | None = None
        self._refreshed = 0.0

    async def caller_of(self, authorization: str) -> Caller:
        """Who sends the header `Authorization`. Raises `Unauthenticated`, and `Busy` when too many log in at once."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return await self._member(value) if "~" in value else await self._bearer(value.strip())
        if scheme.lower() == "basic":
            return await self._basic(value)
        raise Unauthenticated("log in: HTTP Basic with name and password, or a bearer token")

    async def _member(self, token: str) -> Caller:
        now = clock.real_time()
        caller, good_until = self._known.get(token, (None, 0.0))
        if caller is not None and now < good_until:
            return caller
        if self._accounts.get(token.partition("~")[0]) is None:
            await self._refresh()  # a module that the site has got since
        caller, good_until = self._checked(token, now)
        if len(self._known) > _CACHE:
            self._known.clear()
        self._known[token] = (caller, good_until)
        return caller

    def _checked(self, token: str, now: float) -> tuple[Caller, float]:
        name, audience, expires, mac = _parts(token)
        account = self._accounts.get(name)
        secret = account.secret if account and account.secret else "nobody"
        right = hmac.compare_digest(_mac(secret, f"{name}~{audience}~{expires}"), mac)
        if not right or account is None or account.secret is None:
            raise Unauthenticated("this token is signed by nobody known here; do all hosts have the same accounts?")
        if audience != self._own:
            raise Unauthenticated(f"this token is for {audience}, and this is {self._own}")
        good_until = expires + TOLERANCE
        if not now < good_until <= now + TOKEN_LIFE + 2 * TOLERANCE:
            raise Unauthenticated("this token has expired; are the clocks of both hosts right?")
        return account.caller(name), good_until

    async def _bearer(self, token: str) -> Caller:
        await self._refresh()
        name = self._accounts.name_of_token(token)
        account = self._accounts.get(name) if name else None
        if name is None or account is None:
            raise Unauthenticated("this token is not known")
        return account.caller(name)

    async def _basic(self, value: str) -> Caller:
        name, password = _name_and_password(value)
        await self._refresh()
        if self._accounts.name_of_token(password) == name:
            return await self._bearer(password)
        account = self._accounts.get(name)
        if not await self._is_right(name, password, account.password if account else None) or account is None:
            raise Unauthenticated("name or password is wrong")
        return account.caller(name)

    async def _is_right(self, name: str, password: str, hashed: str | None) -> bool:
        """Check a password; nobody's takes as long as somebody's."""
        key = hmac.digest(self._pepper, "\0".join((name, hashed or "", password)).encode(), "sha256")
        if self._right.get(key, 0.0) > time.monotonic():
            return True
        if self._waiting >= MAX_WAITING:
            raise Busy("too many people log in at once; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                right = await in_thread(_verify, hashed or await self._somebody(), password) and hashed is not None
        finally:
            self._waiting -= 1
        if right:
            if len(self._right) > _CACHE:
                self._right.clear()
            self._right[key] = time.monotonic() + REMEMBERED
        return right

    async def _somebody(self) -> str:
        if self._dummy is None:
            self._dummy = await in_thread(lambda: hasher().hash(os.urandom(16).hex()))
        return self._dummy

    async def _refresh(self) -> None:
        """See people who were added or removed since."""
        now = time.monotonic()
        if now - self._refreshed > _REFRESH:
            self._refreshed = now
            try:
                await in_thread(self._accounts.refresh)
            except ConfigError as error:
                raise Unauthenticated("nobody can log in: the accounts of this site cannot be read") from error


def _verify(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return hasher().verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


def _parts(token: str) -> tuple[str, str, int, str]:
    try:
        name, audience, expires, mac = token.split("~")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 15 and mac.isascii()):
            raise ValueError(expires)
    except ValueError:
        raise Unauthenticated("this is no token of a module") from None
    return name, audience, int(expires), mac


def _name_and_password(value: str) -> tuple[str, str]:
    try:
        name, found, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Unauthenticated("HTTP Basic is base64 of name:password in UTF-8") from None
    if not found or not name:
        raise Unauthenticated("HTTP Basic is base64 of name:password in UTF-8")
    return name, password
