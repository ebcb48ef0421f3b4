"""The commands `pytel account …` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pytel.bus.contract import Role

account = typer.Typer(
    name="account",
    help="Say who may log in at the gateway.\n\nExample: pytel account add anna --role operator",
    short_help="Say who may log in at the gateway.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with.")]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Where the site keeps its state (default: PYTEL_STATE, else ./state or ./demo-night).",
    ),
]
Gateway = Annotated[str, typer.Option("--gateway", metavar="MODULE", help="What the gateway is called.")]


@account.command(short_help="Add a person.")
def add(
    name: Name,
    role: Annotated[
        Role, typer.Option("--role", metavar="ROLE", help="viewer, observer, operator or admin.")
    ] = Role.OBSERVER,
    state: State = None,
    gateway: Gateway = "gateway",
) -> None:
    """Add a person; the password is asked for, or the first line of the input.

    Example: pytel account add anna --role operator
    """
    from pytel.cli.account import accounts_file, add

    add(accounts_file(state, gateway), name, role)


@account.command(short_help="Change a person's password.")
def passwd(name: Name, state: State = None, gateway: Gateway = "gateway") -> None:
    """Change a person's password, which ends the person's sessions.

    Example: pytel account passwd anna
    """
    from pytel.cli.account import accounts_file, change_password

    change_password(accounts_file(state, gateway), name)


@account.command(short_help="Take a person out, with sessions and tokens.")
def remove(name: Name, state: State = None, gateway: Gateway = "gateway") -> None:
    """Take a person out, with all sessions and tokens.

    Example: pytel account remove anna
    """
    from pytel.cli.account import accounts_file, remove

    remove(accounts_file(state, gateway), name)


@account.command("list", short_help="Show who may log in.")
def list_accounts(state: State = None, gateway: Gateway = "gateway") -> None:
    """Show who may log in, as what, and with which tokens.

    Example: pytel account list
    """
    from pytel.cli.account import accounts_file, show

    show(accounts_file(state, gateway))


@account.command(short_help="Make or revoke a token for scripts.")
def token(
    name: Name,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What the token is called.")],
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", min=0.01, max=3650, help="How long it is good.")
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke it instead.")] = False,
    state: State = None,
    gateway: Gateway = "gateway",
) -> None:
    """Make a token, which a script shows instead of a password; it is printed once.

    Example: pytel account token anna nightly --days 90
    """
    from pytel.cli.account import accounts_file, make_token, revoke_token

    path = accounts_file(state, gateway)
    if revoke:
        revoke_token(path, name, label)
    else:
        make_token(path, name, label, days)
