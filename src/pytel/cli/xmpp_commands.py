"""The commands `pytel xmpp …` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pytel.base.errors import ConfigError

if TYPE_CHECKING:
    from pytel.cli.site_server import Kind

xmpp = typer.Typer(
    name="xmpp",
    help="Set up and run the site's own XMPP server.\n\nExample: pytel xmpp init site.yaml",
    short_help="Set up and run the site's own XMPP server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Site = Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")]
Server = Annotated[
    str, typer.Option("--server", metavar="KIND", help="prosody or ejabberd (default: what the site file says).")
]


@xmpp.command(short_help="Write the server's configuration, CA, certificate and passwords.")
def init(site: Site, server: Server = "") -> None:
    """Write the server's configuration, CA and certificate, and passwords for all accounts; keep what is there.

    Example: pytel xmpp init site.yaml
    """
    from pytel.cli.xmpp import init_server

    init_server(site, _kind(server))


@xmpp.command(short_help="Run the server until Ctrl-C.")
def up(site: Site, server: Server = "") -> None:
    """Run the server in the foreground until Ctrl-C; it gets the accounts of the site file.

    Example: pytel xmpp up site.yaml
    """
    from pytel.cli.xmpp import run_server

    run_server(site, _kind(server))


@xmpp.command(short_help="Change a person's password.")
def passwd(
    site: Site,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A person of the site file.")],
    generate: Annotated[bool, typer.Option("--generate", help="Make a random one and print it.")] = False,
) -> None:
    """Change a person's password, which ends the person's sessions.

    Example: pytel xmpp passwd site.yaml alice --generate
    """
    from pytel.cli.xmpp import set_persons_password

    set_persons_password(site, account, generate)


@xmpp.command(short_help="Give modules new passwords.")
def rotate(
    site: Site,
    accounts: Annotated[
        list[str] | None, typer.Argument(metavar="ACCOUNT", help="Only these modules (default: all).")
    ] = None,
) -> None:
    """Give modules new random passwords; those that run log in again with them.

    Example: pytel xmpp rotate site.yaml camera
    """
    from pytel.cli.xmpp import rotate_passwords

    rotate_passwords(site, accounts or [])


@xmpp.command(short_help="List the accounts of the site.")
def accounts(site: Site) -> None:
    """List the accounts of the site file, and whether the server has them.

    Example: pytel xmpp accounts site.yaml
    """
    from pytel.cli.xmpp import list_accounts

    list_accounts(site)


def _kind(text: str) -> Kind | None:
    if text == "prosody":
        return "prosody"
    if text == "ejabberd":
        return "ejabberd"
    if text:
        raise ConfigError(f"--server {text}: there are prosody and ejabberd")
    return None
