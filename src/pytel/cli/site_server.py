"""The XMPP server of a site: what the site file asks of it, its accounts, and running it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Literal

from pytel.base.errors import ConfigError, PytelError
from pytel.base.threads import in_thread
from pytel.bus.xmpp.config import XmppConfig
from pytel.module.specs import SiteFile
from pytel.servers import Federation, ServerNotRunning, ServerSetup, XmppServer, server_for
from pytel.servers.accounts_file import ensure_passwords, forget_passwords, read_passwords

log = logging.getLogger("pytel.server")
LOOK = 0.5
"""Real seconds between two looks whether the server lives."""
Kind = Literal["prosody", "ejabberd"]
PEERS = "peers"
"""Folder beside the server's for the CAs (`*.crt`) of other sites that the server speaks with."""


def xmpp_of(site: SiteFile) -> XmppConfig:
    """The section of the site file. Raises `ConfigError` when there is none."""
    if site.xmpp is None:
        raise ConfigError("the site has no XMPP: add the line 'bus: xmpp' to its file")
    return site.xmpp


def account_names(config: XmppConfig) -> list[str]:
    """All accounts that the site file asks for: modules, services and people."""
    return list(dict.fromkeys((*config.members, *config.people)))


def site_server(site: SiteFile, kind: Kind | None = None) -> XmppServer:
    """The server that the site file asks for, or one of `kind`; not started.

    Raises `ConfigError` when the server is somebody else's affair.
    """
    config = xmpp_of(site)
    chosen = kind or config.server
    if chosen not in ("prosody", "ejabberd"):
        raise ConfigError("the site's XMPP server is 'external': somebody else runs it, see docs/xmpp-server.md")
    return server_for(
        ServerSetup(
            kind="ejabberd" if chosen == "ejabberd" else "prosody",
            domain=config.domain,
            directory=site.info.state_dir / "xmpp",
            host=_address(config.host),
            port=config.port,
            people=tuple(config.people),
            federation=_federation(site, config),
            ca=config.ca,
            certificate=config.certificate,
            key=config.key,
        )
    )


def prepare(site: SiteFile, kind: Kind | None = None) -> tuple[XmppServer, list[str]]:
    """Write configuration, certificates and passwords where they are missing; tells which accounts are fresh."""
    server = site_server(site, kind)
    server.write()
    return server, ensure_passwords(xmpp_of(site).accounts, account_names(xmpp_of(site)))


def settle_accounts(site: SiteFile, server: XmppServer) -> list[str]:
    """Make the running server's accounts those of the site file; returns which were removed."""
    config = xmpp_of(site)
    wanted = account_names(config)
    passwords = read_passwords(config.accounts)
    gone = sorted({*server.accounts(), *passwords} - set(wanted))
    for name in gone:
        server.remove_account(name)
    forget_passwords(config.accounts, gone)
    for name in wanted:
        server.set_password(name, passwords[name])
    return gone


@contextlib.contextmanager
def run_server_for(site: SiteFile, kind: Kind | None = None) -> Iterator[XmppServer]:
    """Run the site's own server as a child process for the length of a block, with all accounts.

    Blocks while the server starts (a fraction of a second for Prosody, two seconds for ejabberd) and stops. Raises
    `ConfigError` for an external server, and what `XmppServer.start` raises: `AlreadyRunning` when another process
    (`pytel xmpp up`) runs it.
    """
    server, _ = prepare(site, kind)
    server.start()
    try:
        settle_accounts(site, server)
        yield server
    finally:
        server.stop()


@contextlib.asynccontextmanager
async def serving(site: SiteFile) -> AsyncIterator[None]:
    """Have the site's own server running for the length of a block, if it has one; when it dies, it is started again.

    One that another process runs (`pytel xmpp up`) is left to it. Raises what `XmppServer.start` raises.
    """
    if site.bus != "xmpp" or xmpp_of(site).server == "external" or await in_thread(server_is_up, site):
        yield
        return
    server, _ = await in_thread(prepare, site)
    await in_thread(server.start)
    keeper: asyncio.Task[None] | None = None
    try:
        await in_thread(settle_accounts, site, server)
        keeper = asyncio.create_task(_keep_running(server), name="keep the XMPP server running")
        yield
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        await in_thread(server.stop)


async def _keep_running(server: XmppServer) -> None:
    pause = LOOK
    while True:
        await asyncio.sleep(pause)
        if server.running:
            pause = LOOK
            continue
        log.error("the XMPP server has died and is started again")
        try:
            await in_thread(server.kill)  # it is dead; this gives free what it held
            await in_thread(server.start)
        except PytelError as error:
            pause = min(15.0, 2 * pause)
            log.error("the XMPP server does not start: %s", error.message)


def server_is_up(site: SiteFile) -> bool:
    """Whether the site's own server answers, whichever process runs it."""
    try:
        site_server(site).accounts()
    except ServerNotRunning:
        return False
    return True


def _address(host: str | None) -> str:
    if host is None:
        raise ConfigError("the server needs to know where to listen: give xmpp.host in the site file an address")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"xmpp.host is {host!r}, which is no address of this machine ({error})") from error
    return str(found[0][4][0])


def _federation(site: SiteFile, config: XmppConfig) -> Federation | None:
    """Other domains are spoken with when the site trusts accounts of theirs and has their CA."""
    cas = tuple(sorted((site.info.state_dir / "xmpp" / PEERS).glob("*.crt")))
    domains = {jid.partition("@")[2] for jid in config.trusted} - {config.domain}
    if not cas or not domains:
        return None
    return Federation(peers=tuple(sorted(domains)), cas=cas)
