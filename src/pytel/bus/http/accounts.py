"""Who may speak to a module over HTTP: the accounts of a site, in one file.

Modules have a secret each, which never travels: they sign with it. People have a password (kept as argon2id hash) and
tokens for scripts (kept as SHA-256, which is enough for 256 random bits).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytel.base.errors import ConfigError, NotFound
from pytel.base.files import write_atomically
from pytel.bus.contract import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argon2 import PasswordHasher


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One who may call: `secret` belongs to modules, `password` and `tokens` (hashes) to people."""

    role: Role = Role.VIEWER
    proxy: bool = False
    secret: str | None = None
    password: str | None = None
    tokens: tuple[str, ...] = ()

    def caller(self, name: str) -> Caller:
        """How calls of this account appear."""
        return Caller(name, self.role, self.proxy)


class Accounts:
    """The accounts of a site, read from a file (`path` None: they live in memory only).

    `members` tells of each module of the site, and of the services, whether it speaks with the roles of the people
    behind it: `prepare` gives those an account that have none.
    """

    def __init__(self, path: Path | None = None, members: Mapping[str, bool] | None = None) -> None:
        self.path = path
        self._members = dict(members or {})
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, str] = {}
        self._stamp: tuple[int, int] | None = None

    def prepare(self) -> None:
        """Read the file and give every member that has none an account, in a new file if need be (blocking).

        Several processes of one site may do so at once. Raises `ConfigError`.
        """
        if self.path is None:
            return
        with _changing(self.path) as accounts:
            for name, proxy in self._members.items():
                known = accounts.get(name)
                if known is None or known.secret is None or known.proxy != proxy:
                    accounts[name] = member_account(proxy=proxy)
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it has changed (blocking). Raises `ConfigError`."""
        if self.path is None:
            return
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            self._accounts = _read(self.path)
            self._stamp = stamp
            self._index()

    def _index(self) -> None:
        self._tokens = {token: name for name, account in self._accounts.items() for token in account.tokens}

    def add(self, name: str, account: Account) -> None:
        """Add an account in memory."""
        self._accounts[name] = account
        self._index()

    def get(self, name: str) -> Account | None:
        """The account of a name."""
        return self._accounts.get(name)

    def secret_of(self, name: str) -> str:
        """The secret that a module signs with. Raises `ConfigError`."""
        account = self._accounts.get(name)
        if account is None or account.secret is None:
            raise ConfigError(f"{name} has no secret among the accounts{f' in {self.path}' if self.path else ''}")
        return account.secret

    def caller(self, name: str) -> Caller:
        """How calls of an account appear. Raises `ConfigError`."""
        if (account := self._accounts.get(name)) is None:
            raise ConfigError(f"{name} has no account")
        return account.caller(name)

    def name_of_token(self, token: str) -> str | None:
        """Whose token this is, None for nobody's."""
        return self._tokens.get(token_hash(token))  # found by its hash: its time tells nothing of the token


def member_account(*, role: Role = Role.MODULE, proxy: bool = False) -> Account:
    """An account with a secret of its own."""
    return Account(role=role, proxy=proxy, secret=secrets.token_hex(32))


def set_person(path: Path, name: str, role: Role, password: str | None) -> None:
    """Add a person or change role and password (blocking); None keeps the password. Raises `ConfigError`."""
    with _changing(path) as accounts:
        before = accounts.get(name, Account())
        if before.secret is not None:
            raise ConfigError(f"{name} is a module; choose another name for a person")
        hashed = before.password if password is None else hasher().hash(password)
        accounts[name] = Account(role=role, password=hashed, tokens=before.tokens)


def new_token(path: Path, name: str) -> str:
    """Make a token for a person's scripts; it is shown once (blocking). Raises `NotFound`, `ConfigError`."""
    token = secrets.token_urlsafe(32)
    with _changing(path) as accounts:
        if name not in accounts or accounts[name].secret is not None:
            raise NotFound(f"there is no person called {name!r} in {path}")
        before = accounts[name]
        accounts[name] = msgspec.structs.replace(before, tokens=(*before.tokens, token_hash(token)))
    return token


def remove_person(path: Path, name: str) -> None:
    """Take a person out, with all tokens (blocking). Raises `NotFound`, `ConfigError`."""
    with _changing(path) as accounts:
        if name not in accounts or accounts[name].secret is not None:
            raise NotFound(f"there is no person called {name!r} in {path}")
        del accounts[name]


def token_hash(token: str) -> str:
    """The form in which a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def hasher() -> PasswordHasher:
    """argon2id with the parameters of OWASP (19 MiB, two passes): some 20 ms a guess."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Account]]:
    """Read, let change, and write if changed, alone among all processes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        accounts = _read(path) if path.exists() else {}
        before = dict(accounts)
        yield accounts
        if accounts != before:
            _write(path, accounts)
    finally:
        os.close(lock)


def _write(path: Path, accounts: dict[str, Account]) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(path, [msgspec.json.format(msgspec.json.encode(accounts), indent=1) + b"\n"])
    finally:
        os.umask(before)


def _read(path: Path) -> dict[str, Account]:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"others may read the secrets in {path}: chmod 600 {path}")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Account])
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"the accounts in {path} are not what they should be: {error}") from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_ino
