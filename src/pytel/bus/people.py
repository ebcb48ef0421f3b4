"""The people of a site who have no account elsewhere: names, roles, passwords and tokens, in one file.

Passwords are kept as argon2id hashes. A token is 256 random bits, of which the file has the SHA-256.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict, InvalidParams, NotFound
from pytel.base.files import write_atomically
from pytel.bus.contract import Role
from pytel.bus.passwords import hash_password

FILE = "accounts.json"
ROLES = tuple(role for role in Role if role is not Role.MODULE)
"""What a person may be."""
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1000
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PREFIX = "pytel_"


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a script shows instead of a password; `expires` None: never."""

    sha256: str
    created: datetime
    expires: datetime | None = None

    def is_good(self) -> bool:
        """Whether it may still be used."""
        return self.expires is None or clock.real_time() < self.expires.timestamp()


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person; `tokens` by their names."""

    role: Role
    password: str
    tokens: dict[str, Token] = {}


class AccountsFile:
    """The accounts as a file has them; `refresh()` sees what the command line has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accounts: dict[str, Account] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._stamp: tuple[int, int] | None = None

    def refresh(self) -> bool:
        """Read the file if it has changed, and tell whether it has (blocking). Raises `ConfigError`.

        What was read before stays in force when the file is damaged.
        """
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return False
        accounts = _read(self.path)
        self.accounts, self._stamp = accounts, stamp
        self._tokens = {
            token.sha256: (name, label) for name, account in accounts.items() for label, token in account.tokens.items()
        }
        return True

    def holder(self, token: str) -> tuple[str, str] | None:
        """Whose token this is and what it is called; None for nobody's and for one that is no longer good."""
        # Found by its hash: the time that takes tells nothing of the token.
        found = self._tokens.get(_token_hash(token))
        return found if found is not None and self.has_token(*found) else None

    def has_token(self, name: str, label: str) -> bool:
        """Whether a token is there and good."""
        account = self.accounts.get(name)
        token = account.tokens.get(label) if account is not None else None
        return token is not None and token.is_good()


def add_account(path: Path, name: str, role: Role, password: str) -> None:
    """Add a person (blocking). Raises `Conflict` for a name that is taken, `InvalidParams`, `ConfigError`."""
    if _NAME.fullmatch(name) is None:
        raise InvalidParams(f"{name!r} cannot be a name: write a-z, 0-9, '_', '.' and '-', beginning with a letter")
    if role not in ROLES:
        raise InvalidParams(f"a person is {', '.join(ROLES[:-1])} or {ROLES[-1]}, not {role}")
    hashed = hash_password(_checked(password))
    with _changing(path) as accounts:
        if name in accounts:
            raise Conflict(f"there is an account {name!r} already; 'pytel account passwd {name}' changes its password")
        accounts[name] = Account(role=role, password=hashed)


def set_password(path: Path, name: str, password: str) -> None:
    """Change a password, which ends the person's sessions (blocking). Raises `NotFound`, `InvalidParams`."""
    hashed = hash_password(_checked(password))
    with _changing(path) as accounts:
        accounts[name] = msgspec.structs.replace(_known(accounts, name, path), password=hashed)


def remove_account(path: Path, name: str) -> None:
    """Take a person out, with sessions and tokens (blocking). Raises `NotFound`."""
    with _changing(path) as accounts:
        _known(accounts, name, path)
        del accounts[name]


def add_token(path: Path, name: str, label: str, days: float | None) -> str:
    """Make a token called `label`; the text returned is nowhere kept (blocking).

    Raises `NotFound`, `Conflict` for a label that is in use, `InvalidParams`.
    """
    if _TOKEN_NAME.fullmatch(label) is None:
        raise InvalidParams(f"{label!r} cannot be a token's name: write letters, digits, '_', '.' and '-'")
    text, now = _PREFIX + secrets.token_urlsafe(32), datetime.fromtimestamp(clock.real_time(), UTC)
    expires = None if days is None else now + timedelta(days=days)
    with _changing(path) as accounts:
        account = _known(accounts, name, path)
        if label in account.tokens:
            raise Conflict(f"{name} has a token {label!r} already; revoke it first, or choose another name")
        token = Token(sha256=_token_hash(text), created=now, expires=expires)
        accounts[name] = msgspec.structs.replace(account, tokens={**account.tokens, label: token})
    return text


def remove_token(path: Path, name: str, label: str) -> None:
    """Revoke a token (blocking). Raises `NotFound`."""
    with _changing(path) as accounts:
        account = _known(accounts, name, path)
        if label not in account.tokens:
            raise NotFound(f"{name} has no token {label!r}; there are: {', '.join(account.tokens) or 'none'}")
        tokens = {known: token for known, token in account.tokens.items() if known != label}
        accounts[name] = msgspec.structs.replace(account, tokens=tokens)


def read_accounts(path: Path) -> dict[str, Account]:
    """The accounts in a file, none when there is no file (blocking). Raises `ConfigError`."""
    return _read(path)


def _known(accounts: dict[str, Account], name: str, path: Path) -> Account:
    if name not in accounts:
        raise NotFound(f"there is no account {name!r} in {path}; there are: {', '.join(sorted(accounts)) or 'none'}")
    return accounts[name]


def _checked(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidParams(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return password


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[dict[str, Account]]:
    """Read, let change and write, alone among all processes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        accounts = _read(path)
        yield accounts
        before = os.umask(0o077)
        try:
            write_atomically(path, [msgspec.json.format(msgspec.json.encode(accounts), indent=1) + b"\n"])
        finally:
            os.umask(before)
    finally:
        os.close(lock)


def _read(path: Path) -> dict[str, Account]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Account])
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the accounts in {path} are damaged: {error}") from error


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    except OSError as error:
        raise ConfigError(f"the accounts in {path} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_ino
