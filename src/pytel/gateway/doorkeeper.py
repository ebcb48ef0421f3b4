"""Who sends a request: by HTTP Basic, a bearer token, or the cookie of a log-in session."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import secrets
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pytel.base.errors import Busy, PytelError
from pytel.base.threads import in_thread
from pytel.bus.attempts import Attempts, TooManyAttempts
from pytel.bus.contract import Role
from pytel.bus.passwords import Hashing, PasswordChecker, Remembered
from pytel.bus.people import LONGEST_PASSWORD, AccountsFile
from pytel.gateway.outsiders import Outsiders
from pytel.gateway.refusal import Refusal
from pytel.gateway.sessions import Account, Session, Sessions

LONGEST_NAME = 100


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who has come in, and how; `is_welcome` tells whether that still holds, `note_use` that something was asked."""

    name: str
    role: Role
    way: str
    is_welcome: Callable[[], bool]
    note_use: Callable[[], None] = lambda: None


class Credentials(NamedTuple):
    """What a request shows: the header `Authorization`, and the id of a session."""

    authorization: str | None
    session: str | None


class Doorkeeper:
    """Knows accounts, sessions and how often somebody was wrong; `outside` knows people who are not in the file."""

    def __init__(self, accounts: AccountsFile, sessions: Sessions, outside: PasswordChecker | None) -> None:
        self._accounts = accounts
        self._outside = Outsiders(outside) if outside is not None else None
        self.sessions = sessions
        self._hashing = Hashing()
        self._remembered = Remembered()
        self._attempts = Attempts()
        self.failed: Callable[[str, str], None] = lambda name, address: None
        """Called with the name given and the address of each failed attempt."""

    async def admit(self, shown: Credentials, address: str) -> Person:
        """Tell who somebody is. Raises `Refusal`: 401 for nobody, 429 for too many failures."""
        if shown.authorization is not None:
            scheme, _, value = shown.authorization.partition(" ")
            if scheme.lower() == "basic":
                return await self._basic(value, address)
            if scheme.lower() == "bearer":
                return await self._bearer(value.strip(), address)
        elif shown.session is not None and (session := self.sessions.find(shown.session)) is not None:
            if await self._goes_on(session):
                return self._by_session(session)
            self.sessions.end(shown.session)
        raise _unknown("log in first: HTTP Basic, a bearer token, or POST /session")

    async def log_in(self, name: str, password: str, address: str) -> tuple[str, Person]:
        """Begin a session; returns its id. Raises `Refusal`: 401 for a wrong name or password, 429, 503."""
        identity, session = self.sessions.begin(await self._checked(name, password, address))
        return identity, self._by_session(session)

    def _by_session(self, session: Session) -> Person:
        return Person(
            name=session.account.name,
            role=session.account.role,
            way="session",
            is_welcome=lambda: self.sessions.is_good(session),
            note_use=lambda: self.sessions.note_use(session),
        )

    async def _goes_on(self, session: Session) -> bool:
        try:
            return await session.account.goes_on()
        except PytelError as error:
            raise _nobody_knows(error) from error

    def _of_file(self, name: str, role: Role, stamp: str) -> Account:
        """An account of the file: other roles and passwords ask for another log-in."""

        def is_still() -> bool:
            account = self._accounts.accounts.get(name)
            return account is not None and (account.role, account.password) == (role, stamp)

        async def goes_on() -> bool:
            return is_still()

        return Account(name=name, role=role, is_still=is_still, goes_on=goes_on)

    def _of_outsider(self, outside: Outsiders, name: str, role: Role, password: str) -> Account:
        """An account elsewhere, which is asked about with the password that was given, as long as somebody is here."""

        def is_still() -> bool:
            return name not in self._accounts.accounts and outside.is_still(name, password, role)

        async def goes_on() -> bool:
            return name not in self._accounts.accounts and await outside.goes_on(name, password, role)

        return Account(name=name, role=role, is_still=is_still, goes_on=goes_on)

    async def _bearer(self, token: str, address: str) -> Person:
        holder = self._accounts.holder(token)
        if holder is None:
            await self._look_again()
            holder = self._accounts.holder(token)
        if holder is None:
            self._charge(address, None)
            self.failed("", address)
            raise _unknown("this token is not known, or no longer good")
        name, label = holder
        role = self._accounts.accounts[name].role

        def is_welcome() -> bool:
            account = self._accounts.accounts.get(name)
            return account is not None and account.role is role and self._accounts.has_token(name, label)

        return Person(name=name, role=role, way=f"token {label}", is_welcome=is_welcome)

    async def _basic(self, value: str, address: str) -> Person:
        account = await self._checked(*_name_and_password(value), address)
        return Person(name=account.name, role=account.role, way="basic", is_welcome=account.is_still)

    async def _checked(self, name: str, password: str, address: str) -> Account:
        """The account of somebody whose password is right."""
        if len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD:
            raise _unknown("name or password is wrong")
        if (account := self._known(name, password)) is not None:
            return account
        self._charge(address, name)  # before it is checked: many at once are no way around the limit
        await self._look_again()
        account = await self._ask(name, password)
        if account is None:
            self.failed(name, address)
            raise _unknown("name or password is wrong")
        self._attempts.give_back(address, name)
        return account

    def _known(self, name: str, password: str) -> Account | None:
        """The account of somebody whose password was right a moment ago."""
        account = self._accounts.accounts.get(name)
        if account is not None:
            if self._remembered.get(name, password, account.password) is None:
                return None
            return self._of_file(name, account.role, account.password)
        if self._outside is None or (role := self._outside.remembered(name, password)) is None:
            return None
        return self._of_outsider(self._outside, name, role, password)

    async def _look_again(self) -> None:
        """See what the command line has changed just now; a damaged file is not the caller's trouble."""
        with contextlib.suppress(PytelError):
            await in_thread(self._accounts.refresh)

    async def _ask(self, name: str, password: str) -> Account | None:
        """Hash and ask outside whatever the name is: how long it takes must not tell who has an account where."""
        account = self._accounts.accounts.get(name)
        # The password of an account of the file is nothing that anybody else may see.
        asked = password if account is None else secrets.token_hex(16)
        try:
            right, role = await asyncio.gather(
                self._hashing.is_right(account.password if account is not None else None, password),
                self._ask_outside(name, asked),
            )
        except Busy as error:
            raise Refusal(503, error.message, {"Retry-After": "2"}) from error
        if account is not None and right:
            self._remembered.put(name, password, account.password, account.role)
            return self._of_file(name, account.role, account.password)
        if isinstance(role, PytelError):
            raise _nobody_knows(role)
        if account is not None or role is None or self._outside is None:
            return None
        return self._of_outsider(self._outside, name, role, password)

    async def _ask_outside(self, name: str, password: str) -> Role | PytelError | None:
        if self._outside is None:
            return None
        try:
            return await self._outside.check(name, password)
        except PytelError as error:
            return error

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._outside is not None:
            await self._outside.close()

    def _charge(self, address: str, name: str | None) -> None:
        try:
            self._attempts.charge(address, name)
        except TooManyAttempts as error:
            raise Refusal(429, error.message, {"Retry-After": str(error.data["seconds"])}) from error


def _unknown(message: str) -> Refusal:
    return Refusal(401, message)


def _nobody_knows(error: PytelError) -> Refusal:
    return Refusal(503, f"nobody can tell whether the password is right: {error.message}", {"Retry-After": "5"})


def _name_and_password(value: str) -> tuple[str, str]:
    """Decode RFC 7617."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _unknown("the header Authorization is no HTTP Basic: base64 of name:password in UTF-8") from None
    name, colon, password = text.partition(":")
    if not colon:
        raise _unknown("the header Authorization has no colon between name and password")
    return name, password
