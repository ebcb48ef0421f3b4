"""What modules share that serve HTTP to people: where they listen, who is let in, what is put on record."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Duration
from pytel.bus.door import Door
from pytel.bus.http.config import Listen, Tls
from pytel.bus.http.places import Places
from pytel.bus.passwords import PasswordChecker
from pytel.bus.people import FILE, AccountsFile
from pytel.gateway.audit import AuditLog
from pytel.gateway.doorkeeper import Doorkeeper
from pytel.gateway.sessions import Sessions
from pytel.module.config import ModuleConfig
from pytel.services import Module

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pytel.bus.http.listener import Listener
    from pytel.module.runtime import ModuleRuntime

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
MAX_MESSAGE = 1 << 20
PORTS_TRIED = 20
_ACCOUNTS_SEEN = 1.0
"""Real seconds until a change of the accounts is in force."""


class HttpFront(Module, ABC):
    """Serves HTTP in the names of those who come; a subclass says what, by `make_app`."""

    is_proxy: ClassVar[bool] = True

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """It listens on this host only, unless it has a certificate with its key (PEM), or stands behind a proxy."""

        listen: str = "127.0.0.1:8080"
        next_free: bool = False
        """Whether it takes one of the ports that follow when its own is taken."""
        certificate: str | None = None
        key: str | None = None
        behind_proxy: bool = False
        """A reverse proxy does TLS, and tells who calls in `X-Forwarded-For` and `X-Forwarded-Proto`."""
        proxies: tuple[str, ...] = ("127.0.0.1", "::1")
        """Addresses of proxies that are believed."""
        hosts: tuple[str, ...] = ()
        """Names by which it may be called; default: any, but on loopback only those of this host."""
        origins: tuple[str, ...] = ()
        """Sites whose pages may use it, such as `https://console.example.org`, besides its own."""
        connections: Annotated[int, Meta(ge=10, le=10_000)] = 500
        """How many there may be, requests and WebSockets; further ones get 503."""
        connections_per_address: Annotated[int, Meta(ge=1, le=10_000)] = 250
        """How many one address may have, further ones get 429; behind a proxy that is for the proxy to say."""
        session_idle: Duration = 12 * 3600.0
        """Real seconds after which somebody who does nothing is logged out."""
        session_lifetime: Duration = 7 * 86400.0

    config: Config
    _listener: Listener | None = None

    def __init__(self, runtime: ModuleRuntime) -> None:
        super().__init__(runtime)
        self.door = Door(runtime.bus, runtime.site.name)
        self.url: str | None = None

    def outside_accounts(self) -> PasswordChecker | None:
        """Who knows people that are not in the file of accounts, such as an XMPP server; None: nobody."""
        return self.door.bus.passwords

    async def on_start(self) -> None:
        """Listen. Raises `ConfigError`, and `Conflict` while the port is taken."""
        # On the virtual clock there is no world outside that could call.
        if clock.current().may_be_set:
            await self._open()

    @abstractmethod
    def make_app(self, doorkeeper: Doorkeeper, audit: AuditLog, *, secure: bool) -> ASGIApp:
        """Make what answers (blocking); `secure` where it is reached by TLS. Raises `ImportError`."""

    def accounts_file(self) -> Path:
        """Where the accounts are that open this door (blocking)."""
        return self.directory / FILE

    def begin(self) -> None:
        """It listens."""

    def close_streams(self) -> None:
        """End answers that have no end."""

    async def end(self) -> None:
        """It listens no more."""

    async def _open(self) -> None:
        listen, tls = self._place()
        directory = await in_thread(lambda: self.directory)
        accounts = AccountsFile(await in_thread(self.accounts_file))
        await in_thread(accounts.refresh)
        audit = AuditLog(directory, self._audit_trouble)
        outside = self.outside_accounts()
        doorkeeper = self._make_doorkeeper(accounts, outside, audit)
        app = await in_thread(self._make_app, doorkeeper, audit)
        await self._listen(app, listen, tls)
        self.door.open()
        self.begin()
        self.spawn(self._close_at_end(audit, doorkeeper), "http")
        self.spawn(audit.run(), "audit")
        self.spawn(self._watch(accounts), "accounts")
        if not accounts.accounts and outside is None:
            self.log.warning("nobody can log in yet: pytel account add NAME --role operator")
        self.log.info("serving HTTP on %s", self.url)

    def _place(self) -> tuple[Listen, Tls | None]:
        config = self.config
        listen = place_of(config.listen)
        if bool(config.certificate) != bool(config.key):
            raise ConfigError(f"{self.address} needs 'certificate' and 'key' together")
        if listen.needs_tls and not (config.certificate or config.behind_proxy):
            raise ConfigError(
                f"{self.address} listens on {config.listen}, beyond this host: give it 'certificate' and 'key', or "
                "'behind_proxy: true' where a reverse proxy does TLS"
            )
        if not (config.certificate and config.key):
            return listen, None
        base = self.site.path.parent if self.site.path else Path()
        certificate, key = (base / Path(name).expanduser() for name in (config.certificate, config.key))
        return listen, Tls(certificate=certificate, key=key)

    def _make_doorkeeper(self, accounts: AccountsFile, outside: PasswordChecker | None, audit: AuditLog) -> Doorkeeper:
        sessions = Sessions(idle=self.config.session_idle, lifetime=self.config.session_lifetime)
        doorkeeper = Doorkeeper(accounts, sessions, outside)
        doorkeeper.failed = lambda name, address: audit.note("refused", name=name[:100], address=address)
        return doorkeeper

    def _make_app(self, doorkeeper: Doorkeeper, audit: AuditLog) -> Any:
        """Blocking: the libraries are large."""
        try:
            import argon2  # noqa: F401 - needed at the first log-in
            from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

            import pytel.bus.http.listener  # noqa: F401
            from pytel.gateway.guard import Guard

            app = self.make_app(doorkeeper, audit, secure=bool(self.config.certificate) or self.config.behind_proxy)
        except ImportError as error:
            raise ConfigError(f"{self.address} needs {error.name}: install pytel-ocs[http]") from error
        config = self.config
        hosts = config.hosts
        if not hosts and not config.behind_proxy and place_of(config.listen).is_loopback:
            hosts = LOOPBACK_NAMES
        guard: Any = Guard(app, hosts, config.origins)
        return ProxyHeadersMiddleware(guard, list(config.proxies)) if config.behind_proxy else guard

    async def _listen(self, app: Any, first: Listen, tls: Tls | None) -> None:
        for port in range(first.port, min(first.port + (PORTS_TRIED if self.config.next_free else 1), 65536)):
            with contextlib.suppress(Conflict):
                self._listener = await self._try_to_listen(app, Listen(first.host, port), tls)
                break
        else:
            raise Conflict(
                f"{self.address} cannot listen on {self.config.listen}, which is taken: stop what has it, or choose "
                "another place under 'listen' (port 0: any)"
            )
        host = f"[{first.host}]" if ":" in first.host else first.host
        self.url = f"{'https' if tls else 'http'}://{host}:{self._listener.port}"

    async def _try_to_listen(self, app: Any, listen: Listen, tls: Tls | None) -> Listener:
        from pytel.bus.http.listener import Listener

        listener = Listener(
            app,
            listen,
            tls,
            places=Places(
                self.config.connections, None if self.config.behind_proxy else self.config.connections_per_address
            ),
            largest_message=MAX_MESSAGE,
            tls_on_loopback=True,
        )
        await listener.start(str(self.address))
        return listener

    async def _close_at_end(self, audit: AuditLog, doorkeeper: Doorkeeper) -> None:
        """Close when the module ends, however it ends."""
        try:
            await asyncio.Event().wait()
        finally:
            self.close_streams()
            self.door.close()
            if self._listener is not None:
                await self._listener.stop()
            await self.end()
            await doorkeeper.close()
            await audit.flush()

    async def _watch(self, accounts: AccountsFile) -> None:
        """See what the command line changes."""
        while True:
            await asyncio.sleep(_ACCOUNTS_SEEN)
            try:
                if await in_thread(accounts.refresh):
                    self.log.info("the accounts have changed; there are %d", len(accounts.accounts))
                self.clear_alarm("accounts")
            except PytelError as error:
                self.raise_alarm("accounts", error)

    def _audit_trouble(self, error: PytelError | None) -> None:
        if error is not None:
            self.raise_alarm("audit", error)
        else:
            self.clear_alarm("audit")


def place_of(text: str) -> Listen:
    """Read HOST:PORT, an IPv6 address in brackets. Raises `ConfigError`."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ConfigError(f"{text!r} is no place to listen at; write '127.0.0.1:8080'")
    return Listen(host.removeprefix("[").removesuffix("]"), int(port))
