"""Where modules find their passwords: a JSON file of the site that only its user may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from pytel.base.errors import ConfigError
from pytel.base.threads import in_thread


def read_accounts(path: Path) -> dict[str, str]:
    """The passwords by account. Raises `ConfigError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}; 'pytel xmpp init SITE.yaml' makes the accounts") from None
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def password_in(path: Path, account: str) -> Callable[[], Awaitable[str]]:
    """Looks an account's password up at each log-in, since it may be changed meanwhile."""

    def look_up() -> str:
        found = read_accounts(path)
        if account not in found:
            raise ConfigError(f"{path} has no account {account!r}; 'pytel xmpp init SITE.yaml' makes it")
        return found[account]

    async def ask() -> str:
        return await in_thread(look_up)

    return ask
