"""The passwords of a site's accounts: one JSON object, `{"camera": "…"}`, that only its owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytel.base.errors import ConfigError
from pytel.servers.certificates import write_private
from pytel.servers.setup import check_account


def new_password() -> str:
    """128 random bits."""
    return secrets.token_urlsafe(16)


def read_passwords(path: Path) -> dict[str, str]:
    """All passwords by account; none when there is no file. Raises `ConfigError` for what is no such file."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as accounts ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(password, str) for password in found.values()):
        raise ConfigError(f"{path} holds no accounts: it should be like {{'camera': 'password', …}} in JSON")
    for name in found:
        check_account(name)
    return found


def ensure_passwords(path: Path, names: Iterable[str]) -> list[str]:
    """Give a password to every account that has none; returns which got one."""
    with _changing(path) as passwords:
        fresh = [name for name in names if name not in passwords]
        for name in fresh:
            check_account(name)
            passwords[name] = new_password()
    return fresh


def change_passwords(path: Path, changes: Mapping[str, str]) -> None:
    """Set passwords of accounts."""
    with _changing(path) as passwords:
        passwords.update(changes)


def forget_passwords(path: Path, names: Iterable[str]) -> None:
    """Take accounts out of the file."""
    with _changing(path) as passwords:
        for name in names:
            passwords.pop(name, None)


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[dict[str, str]]:
    """The passwords for the length of a block, written after it; one process at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = read_passwords(path)
        after = dict(before)
        yield after
        if after != before or not path.exists():
            write_private(path, json.dumps(after, indent=2, sort_keys=True).encode() + b"\n")
        path.chmod(0o600)
