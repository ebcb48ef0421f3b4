"""`pytel xmpp …`: the site's own XMPP server and its accounts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import typer

from pytel.base.errors import ConfigError
from pytel.bus.xmpp.config import SERVICE_ACCOUNTS, XmppConfig
from pytel.cli.site_server import (
    Kind,
    account_names,
    prepare,
    run_server_for,
    server_is_up,
    site_server,
    xmpp_of,
)
from pytel.module.sitefile import load_site
from pytel.module.specs import SiteFile
from pytel.servers import ServerFailed, ServerNotRunning, XmppServer
from pytel.servers.accounts_file import change_passwords, new_password, read_passwords

_NAMES = {"prosody": "Prosody", "ejabberd": "ejabberd"}


def init_server(path: Path, kind: Kind | None) -> None:
    """Write what is missing. Raises `ConfigError`."""
    site = load_site(path)
    server, fresh = prepare(site, kind)
    config = xmpp_of(site)
    typer.echo(f"{_NAMES[server.setup.kind]} is configured for {server.domain} in {server.home}")
    typer.echo(f"clients trust {server.ca_file}")
    made = f"made passwords for {', '.join(fresh)}" if fresh else "all accounts have passwords"
    typer.echo(f"{made}; they are in {config.accounts}")
    if kind and kind != config.server:
        typer.echo(f"the site file says 'server: {config.server}': change it to 'server: {kind}' to use this one")


def run_server(path: Path, kind: Kind | None) -> None:
    """Run the server until a signal. Raises what `run_server_for` raises, and `ServerFailed` when it dies."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    site = load_site(path)
    before = set(read_passwords(xmpp_of(site).accounts))
    with run_server_for(site, kind) as server:
        gone = sorted(before - set(account_names(xmpp_of(site))))
        if gone:
            typer.echo(f"removed accounts that the site file no longer names: {', '.join(gone)}", err=True)
        where = f"{server.domain} at {server.host}, port {server.port}"
        typer.echo(f"{_NAMES[server.setup.kind]} serves {where}; Ctrl-C stops it", err=True)
        while not stop.wait(0.5):
            if not server.running:
                raise ServerFailed(f"{server.setup.kind} ended; its log is in {server.home}")
    typer.echo("the server has stopped", err=True)


def set_persons_password(path: Path, account: str, generate: bool) -> None:
    """Ask for a password or make one, and tell it to the file and the running server. Raises `ConfigError`."""
    site = load_site(path)
    people = xmpp_of(site).people
    if account not in people:
        known = ", ".join(people) or "nobody yet"
        raise ConfigError(
            f"{account} is no person of this site (it has {known}): name people in the site file under xmpp.people; "
            "'pytel xmpp rotate' changes passwords of modules"
        )
    if generate:
        password = new_password()
    else:
        password = typer.prompt(f"password of {account}", hide_input=True, confirmation_prompt=True)
        if not 8 <= len(password) <= 256 or not (password.isascii() and password.isprintable()):
            raise ConfigError("a password has 8 to 256 printable ASCII characters")
    told = _change(site, {account: password})
    if generate:
        typer.echo(password)
    typer.echo(f"{account} has a new password; {told}", err=True)


def rotate_passwords(path: Path, accounts: Sequence[str]) -> None:
    """Give modules and services passwords of their own making. Raises `ConfigError`."""
    site = load_site(path)
    members = xmpp_of(site).members
    for name in accounts:
        if name not in members:
            raise ConfigError(f"{name} is no module of this site; it has {', '.join(members)}")
    chosen = list(accounts) or list(members)
    told = _change(site, {name: new_password() for name in chosen})
    typer.echo(f"changed passwords of {', '.join(chosen)}; {told}")


def list_accounts(path: Path) -> None:
    """Print the accounts of the site file, and whether file and server know them."""
    site = load_site(path)
    config = xmpp_of(site)
    passwords = read_passwords(config.accounts)
    on_server: set[str] | None = None
    if config.server != "external" and server_is_up(site):
        on_server = set(site_server(site).accounts())
    names = account_names(config)
    width = max(len(name) for name in names)
    for name in [*names, *sorted((on_server or set()) - set(names))]:
        has = "has a password" if name in passwords else "no password yet: run 'pytel xmpp init'"
        at = "" if on_server is None else ", on the server" if name in on_server else ", not on the server"
        typer.echo(f"{name:{width}}  {_kind(config, name):20}  {has}{at}")
    if on_server is None:
        typer.echo("the server does not run, or is not ours to ask", err=True)


def _kind(config: XmppConfig, name: str) -> str:
    if name in config.people:
        return f"person ({config.people[name].name.lower()})"
    if name in SERVICE_ACCOUNTS:
        return "service"
    return "module" if name in config.members else "not in the site file"


def _change(site: SiteFile, passwords: dict[str, str]) -> str:
    """The file comes first: whoever is thrown out finds the new password there when coming back."""
    config = xmpp_of(site)
    change_passwords(config.accounts, passwords)
    if config.server == "external":
        return "tell it to the administrator of your server"
    try:
        _tell(site_server(site), passwords)
    except ServerNotRunning:
        return "the server learns it when it starts"
    return "the server knows it"


def _tell(server: XmppServer, passwords: dict[str, str]) -> None:
    for name, password in passwords.items():
        server.set_password(name, password)
