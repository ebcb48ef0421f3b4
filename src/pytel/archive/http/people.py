"""People at the store: those of the site's accounts, and those whose passwords the bus can have checked."""

from __future__ import annotations

import asyncio
import math
import secrets
from time import monotonic
from typing import TYPE_CHECKING

from pytel.archive.http.access import Identity, basic_of, bearer_of
from pytel.base import clock
from pytel.base.errors import Busy, ConfigError, NotReady, PytelError
from pytel.base.threads import in_thread
from pytel.bus.attempts import Attempts
from pytel.bus.contract import Role
from pytel.bus.passwords import MOST_WAITING, Hashing, PasswordChecker, Remembered
from pytel.bus.people import LONGEST_PASSWORD, AccountsFile

if TYPE_CHECKING:
    from starlette.requests import Request

_REFRESH = 2.0
"""Real seconds until a change of the accounts is in force."""
_GOOD_FOR = 30.0
"""Real seconds at most for which the word of somebody else about a password is believed."""
_ASKED_AT_ONCE = 4


class PeopleAuthenticator:
    """Knows people by HTTP Basic, with password or token, or by a token as bearer.

    `outside` knows people who are not in the file of accounts, such as those of an XMPP server.
    """

    def __init__(self, accounts: AccountsFile, outside: PasswordChecker | None = None) -> None:
        self._accounts, self._outside = accounts, outside
        self._hashing = Hashing()
        self._remembered = Remembered()
        self._attempts = Attempts()
        self._turn = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._waiting = 0
        self._refreshed = -math.inf

    async def authenticate(self, request: Request) -> Identity | None:
        """Tell who sends a request.

        Raises `TooManyAttempts`, `Busy` when too many log in at once, `ConnectionLost`, and `NotReady` where the
        accounts cannot be read.
        """
        fields = request.headers.getlist("authorization")
        token, pair = (bearer_of(fields[0]), basic_of(fields[0])) if len(fields) == 1 else (None, None)
        if token is None and pair is None:
            return None
        await self._refresh()
        address = request.client.host if request.client is not None else "unknown"
        if pair is None:
            found = self._by_token(token or "")
            if found is None:
                self._attempts.charge(address, None)
            return found
        if (found := self._by_token(pair[1])) is not None:
            return found if found.name == pair[0] else None
        role = await self._role(*pair, address)
        return None if role is None else Identity(pair[0], role)

    def _by_token(self, token: str) -> Identity | None:
        holder = self._accounts.holder(token)
        return None if holder is None else Identity(holder[0], self._accounts.accounts[holder[0]].role)

    async def _role(self, name: str, password: str, address: str) -> Role | None:
        """The role of somebody whose password is right."""
        if len(password) > LONGEST_PASSWORD:
            return None
        account = self._accounts.accounts.get(name)
        # An answer of the file counts until the account changes, one from outside until the next half minute.
        stamp = account.password if account is not None else f"outside {clock.real_time() // _GOOD_FOR}"
        role = self._remembered.get(name, password, stamp)
        if role is None:
            self._attempts.charge(address, name)  # before it is checked: many at once are no way around the limit
            # Both are asked whatever the name is: how long it takes must not tell who has an account where.
            right, elsewhere = await asyncio.gather(
                self._hashing.is_right(account.password if account is not None else None, password),
                self._ask_outside(name, password if account is None else secrets.token_hex(16)),
            )
            if isinstance(elsewhere, PytelError) and not right:
                raise elsewhere  # whatever the name is, as above
            found = None if isinstance(elsewhere, PytelError) else elsewhere
            role = found if account is None else account.role if right else None
            if role is not None:
                self._attempts.give_back(address, name)
                self._remembered.put(name, password, stamp, role)
        return role if account is None or role is None else account.role

    async def _ask_outside(self, name: str, password: str) -> Role | PytelError | None:
        try:
            return await self._asked_outside(name, password)
        except PytelError as error:
            return error

    async def _asked_outside(self, name: str, password: str) -> Role | None:
        if self._outside is None:
            return None
        if self._waiting >= MOST_WAITING:
            raise Busy("too many people log in at once; try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._outside.check(name, password)
        finally:
            self._waiting -= 1

    async def _refresh(self) -> None:
        """See what the command line has changed."""
        if monotonic() - self._refreshed >= _REFRESH:
            try:
                await in_thread(self._accounts.refresh)
            except ConfigError as error:
                raise NotReady("nobody can log in: the accounts of this site cannot be read") from error
            self._refreshed = monotonic()
