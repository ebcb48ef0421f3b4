"""How the commands reach a site over XMPP, as the account of who gives them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import typer

from pytel.base.errors import ConfigError, InvalidParams, PytelError, wrap
from pytel.bus.contract import Origin, Role
from pytel.bus.control_socket import Mute, serve_connection
from pytel.bus.door import NOBODY, Door

SERVICE = "pytel"
"""Under which name the keyring of the system keeps the passwords."""
PASSWORD = "PYTEL_PASSWORD"  # noqa: S105 - the name of the variable
QUIET = 0.25
"""Real seconds without news after which all modules that are there have shown themselves."""
LONGEST_QUIET = 3.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who gives a command, and where: `jid` is bare, `host` None means the SRV records of its domain."""

    jid: str
    host: str | None = None
    port: int = 5222
    ca: Path | None = None

    @property
    def name(self) -> str:
        """The local part."""
        return self.jid.partition("@")[0]

    @property
    def domain(self) -> str:
        """The domain."""
        return self.jid.partition("@")[2]

    @classmethod
    def parse(cls, jid: str, server: str, ca: Path | None) -> Account:
        """Read `alice@monet.example` and `host:port`. Raises `InvalidParams`."""
        name, _, domain = jid.partition("@")
        if not name or not domain or "/" in jid:
            raise InvalidParams(f"{jid!r} is no account; write 'alice@monet.example'")
        host, _, port = server.partition(":")
        if port and not port.isdigit():
            raise InvalidParams(f"{server!r} is no server; write 'host' or 'host:port'")
        if ca is not None and not ca.exists():
            raise ConfigError(f"there is no CA certificate {ca}")
        return cls(jid=jid, host=host or None, port=int(port or 5222), ca=ca)


def password_of(account: Account) -> str:
    """The password from the environment, the system's keyring, or the terminal. Raises `ConfigError`."""
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    with contextlib.suppress(ImportError):
        import keyring
        from keyring.errors import KeyringError

        with contextlib.suppress(KeyringError):
            if found := keyring.get_password(SERVICE, account.jid):
                return str(found)
    try:
        asked: str = typer.prompt(f"Password of {account.jid}", hide_input=True, err=True)
    except typer.Abort:
        raise ConfigError(f"no password for {account.jid}: set {PASSWORD}, or keep it in the keyring") from None
    return asked


@contextlib.contextmanager
def connected(account: Account) -> Iterator[socket.socket]:
    """A socket that answers as the control socket of a site does; who asks is the account.

    Raises `NotAllowed` for a wrong password, `ConnectionLost` when there is no server.
    """
    password = password_of(account)
    ours, theirs = socket.socketpair()
    is_ready: list[PytelError | None] = []
    told = threading.Event()

    def tell(error: PytelError | None) -> None:
        is_ready.append(error)
        told.set()

    def run() -> None:
        try:
            asyncio.run(_serve(account, password, theirs, tell))
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the connection
            tell(wrap(error))
        finally:
            theirs.close()

    thread = threading.Thread(target=run, name="pytel-remote", daemon=True)
    thread.start()
    try:
        told.wait()
        if (error := is_ready[0]) is not None:
            raise error
        yield ours
    finally:
        ours.close()
        thread.join(timeout=5.0)


async def _serve(
    account: Account, password: str, connection: socket.socket, tell: Callable[[PytelError | None], None]
) -> None:
    try:
        from pytel.bus.xmpp.link import Server
        from pytel.bus.xmpp.people import person_bus
    except ModuleNotFoundError as error:
        raise ConfigError(f"commands over XMPP need {error.name}: pip install 'pytel-ocs[xmpp]'") from error
    server = Server(domain=account.domain, host=account.host, port=account.port, ca=account.ca)
    bus = person_bus(server, account.name, password)
    door = Door(bus, account.domain)
    door.open()
    try:
        await bus.open(Mute(), NOBODY)
        await _settled(door)
        tell(None)
        await serve_connection(door, connection, Origin(account.name, Role.VIEWER))
    finally:
        door.close()
        await bus.close()


async def _settled(door: Door) -> None:
    """Wait until the modules that are there have shown themselves and told their states."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_QUIET):
            seen = -1
            while not door.modules() or len(door.modules()) + len(door.states()) != seen:
                seen = len(door.modules()) + len(door.states())
                await asyncio.sleep(QUIET)
