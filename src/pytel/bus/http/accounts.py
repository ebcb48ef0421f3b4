"""The accounts of modules: a secret each, which never travels. They sign with it.

People have accounts elsewhere (`pytel.bus.people`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.bus.contract import Caller, Role


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One who may call; a proxy speaks with the roles of the people behind it."""

    secret: str
    role: Role = Role.MODULE
    proxy: bool = False

    def caller(self, name: str) -> Caller:
        """How calls of this account appear."""
        return Caller(name, self.role, self.proxy)


class Accounts:
    """The accounts of a site's modules, read from a file (`path` None: they live in memory only).

    `members` tells of each module of the site, and of the services, whether it speaks with the roles of the people
    behind it: `prepare` gives those an account that have none.
    """

    def __init__(self, path: Path | None = None, members: Mapping[str, bool] | None = None) -> None:
        self.path = path
        self._members = dict(members or {})
        self._accounts: dict[str, Account] = {}
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
                if known is None or known.proxy != proxy:
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

    def add(self, name: str, account: Account) -> None:
        """Add an account in memory."""
        self._accounts[name] = account

    def get(self, name: str) -> Account | None:
        """The account of a name."""
        return self._accounts.get(name)

    def secret_of(self, name: str) -> str:
        """The secret that a module signs with. Raises `ConfigError`."""
        account = self._accounts.get(name)
        if account is None:
            raise ConfigError(f"{name} has no secret among the accounts{f' in {self.path}' if self.path else ''}")
        return account.secret

    def caller(self, name: str) -> Caller:
        """How calls of an account appear. Raises `ConfigError`."""
        if (account := self._accounts.get(name)) is None:
            raise ConfigError(f"{name} has no account")
        return account.caller(name)


def member_account(*, role: Role = Role.MODULE, proxy: bool = False) -> Account:
    """An account with a secret of its own."""
    return Account(role=role, proxy=proxy, secret=secrets.token_hex(32))


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
