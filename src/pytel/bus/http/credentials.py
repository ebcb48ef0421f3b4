"""Proving who calls: signed tokens between modules, passwords and tokens of people.

A module's token is `name~audience~expiry~HMAC-SHA256`, good for one callee and a minute: who takes the port of a module
that is down gets nothing of use elsewhere. In return the callee proves that it knows its own secret.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import math
import time

from pytel.base import clock
from pytel.base.errors import ConfigError, NotAllowed
from pytel.base.threads import in_thread
from pytel.bus.attempts import Attempts
from pytel.bus.contract import Caller, Role
from pytel.bus.http.accounts import Accounts
from pytel.bus.passwords import Hashing, Remembered
from pytel.bus.people import LONGEST_PASSWORD, AccountsFile

TOKEN_LIFE = 60.0
"""Real seconds for which a module's token is good."""
TOLERANCE = 5.0
"""Real seconds for which a token is still taken after its expiry: callers know the callee's clock that well."""
_REFRESH = 2.0
"""Real seconds until a change of the accounts is in force."""
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


def proof(secret: str, asker: str, nonce: str) -> str:
    """What shows an asker, who chose the nonce, that the callee knows its own secret; of use to nobody else."""
    return _mac(secret, f"proof~{asker}~{nonce}")


def _signed(secret: str, name: str, audience: str, expires: int) -> str:
    body = f"{name}~{audience}~{expires}"
    return f"{body}~{_mac(secret, body)}"


def _mac(secret: str, text: str) -> str:
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


class Doorkeeper:
    """Tells who sends a request to one module."""

    def __init__(self, accounts: Accounts, people: AccountsFile | None, own: str) -> None:
        self._accounts, self._people = accounts, people
        self._own = own
        self._known: dict[str, tuple[Caller, float]] = {}
        self._hashing = Hashing()
        self._remembered = Remembered()
        self._attempts = Attempts()
        self._refreshed = -math.inf
        self._refreshing = asyncio.Lock()

    async def caller_of(self, authorization: str, address: str) -> Caller:
        """Who sends the header `Authorization`, from an address.

        Raises `Unauthenticated`, `TooManyAttempts`, and `Busy` when too many log in at once.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return await self._member(value) if "~" in value else await self._bearer(value.strip(), address)
        if scheme.lower() == "basic":
            return await self._basic(value, address)
        raise Unauthenticated("log in: HTTP Basic with name and password, or a bearer token")

    async def _member(self, token: str) -> Caller:
        now = clock.real_time()
        caller, good_until = self._known.get(token, (None, 0.0))
        if caller is not None and now < good_until:
            return caller
        try:
            caller, good_until = self._checked(token, now)
        except Unauthenticated:
            await self._refresh()  # perhaps the site has got this module since
            caller, good_until = self._checked(token, now)
        if len(self._known) > _CACHE:
            self._known.clear()
        self._known[token] = (caller, good_until)
        return caller

    def _checked(self, token: str, now: float) -> tuple[Caller, float]:
        name, audience, expires, mac = _parts(token)
        account = self._accounts.get(name)
        secret = account.secret if account is not None else "nobody's"
        right = hmac.compare_digest(_mac(secret, f"{name}~{audience}~{expires}"), mac)
        if not right or account is None:
            raise Unauthenticated("this token is signed by nobody known here; do all hosts have the same accounts?")
        if audience != self._own:
            raise Unauthenticated(f"this token is for {audience}, and this is {self._own}")
        good_until = expires + TOLERANCE
        if not now < good_until <= now + TOKEN_LIFE + 2 * TOLERANCE:
            raise Unauthenticated("this token has expired; are the clocks of both hosts right?")
        return account.caller(name), good_until

    async def _bearer(self, token: str, address: str) -> Caller:
        people = await self._known_people()
        if (holder := people.holder(token)) is None:
            self._attempts.charge(address, None)
            raise Unauthenticated("this token is not known, or no longer good")
        return self._person(holder[0], people.accounts[holder[0]].role)

    async def _basic(self, value: str, address: str) -> Caller:
        name, password = _name_and_password(value)
        people = await self._known_people()
        if (holder := people.holder(password)) is not None and holder[0] == name:
            return await self._bearer(password, address)
        account = people.accounts.get(name) if len(password) <= LONGEST_PASSWORD else None
        stamp = account.password if account is not None else ""
        if account is None or self._remembered.get(name, password, stamp) is None:
            self._attempts.charge(address, name)  # before it is checked: many at once are no way around the limit
            right = await self._hashing.is_right(stamp or None, password[:LONGEST_PASSWORD])
            if not right or account is None:
                raise Unauthenticated("name or password is wrong")
            self._attempts.give_back(address, name)
            self._remembered.put(name, password, stamp, account.role)
        return self._person(name, account.role)

    def _person(self, name: str, role: Role) -> Caller:
        if self._accounts.get(name) is not None:
            raise Unauthenticated(f"{name} is a module of this site; people need names of their own")
        return Caller(name, role)

    async def _known_people(self) -> AccountsFile:
        """The people as they are now, and accounts that were added since."""
        await self._refresh()
        if self._people is None:
            raise Unauthenticated("people do not log in here")
        return self._people

    async def _refresh(self) -> None:
        async with self._refreshing:  # the second of two who come at once waits for what the first finds
            if time.monotonic() - self._refreshed < _REFRESH:
                return
            try:
                await in_thread(self._accounts.refresh)
                if self._people is not None:
                    await in_thread(self._people.refresh)
            except ConfigError as error:
                raise Unauthenticated("nobody can log in: the accounts of this site cannot be read") from error
            self._refreshed = time.monotonic()


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
