"""`pytel account`: the people whom the gateway lets in. A gateway that runs sees each change within a second."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer

from pytel.base import clock
from pytel.base.errors import InvalidParams, NotFound
from pytel.bus import people as accounts
from pytel.bus.contract import Role
from pytel.bus.people import Token
from pytel.cli.client import PLACES
from pytel.cli.screen import console


def accounts_file(state: Path | None, gateway: str) -> Path:
    """Where the accounts of a site are, running or not. Raises `NotFound`."""
    named = state or (Path(os.environ["PYTEL_STATE"]) if os.environ.get("PYTEL_STATE") else None)
    if named is not None:
        inner = named / "state"
        return (inner if inner.is_dir() else named) / gateway / accounts.FILE
    for place in PLACES:
        if (place / "lock").exists():  # every state directory has one
            return place / gateway / accounts.FILE
    raise NotFound("no site has run in ./state or ./demo-night: name its --state directory")


def add(path: Path, name: str, role: Role) -> None:
    """Add a person; the password is asked for."""
    accounts.add_account(path, name, role, _password())
    typer.echo(f"{name} may log in as {role.value}")


def change_password(path: Path, name: str) -> None:
    """Change a password; sessions end."""
    if name not in accounts.read_accounts(path):
        raise NotFound(f"there is no account {name!r} in {path}")
    accounts.set_password(path, name, _password())
    typer.echo(f"{name} has another password; sessions with the old one have ended")


def remove(path: Path, name: str) -> None:
    """Take a person out."""
    accounts.remove_account(path, name)
    typer.echo(f"{name} may no longer log in")


def make_token(path: Path, name: str, label: str, days: float | None) -> None:
    """Make a token and print it, this once."""
    text = accounts.add_token(path, name, label, days)
    typer.echo(text)
    until = f"for {days:g} days" if days is not None else "until it is revoked"
    typer.echo(f"good {until}; it is shown only now", err=True)


def revoke_token(path: Path, name: str, label: str) -> None:
    """Revoke a token."""
    accounts.remove_token(path, name, label)
    typer.echo(f"the token {label} of {name} is worth nothing now")


def show(path: Path) -> None:
    """List people and their tokens."""
    from rich.table import Table

    known = accounts.read_accounts(path)
    if not known:
        typer.echo("nobody can log in yet: pytel account add NAME --role operator")
        return
    table = Table("name", "role", "tokens", box=None)
    for name, account in sorted(known.items()):
        tokens = ", ".join(_told(label, token) for label, token in sorted(account.tokens.items()))
        table.add_row(name, account.role.value, tokens)
    console().print(table)


def _told(label: str, token: Token) -> str:
    if token.expires is None:
        return label
    verb = "until" if token.expires > datetime.fromtimestamp(clock.real_time(), UTC) else "expired"
    return f"{label} ({verb} {token.expires:%Y-%m-%d})"


def _password() -> str:
    """Ask twice on a terminal, else take the first line of the input. Raises `InvalidParams`."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InvalidParams("no password: type it when asked, or give it as the first line of the input")
    return line
