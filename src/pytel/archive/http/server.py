"""The store's own HTTP server: where it listens, and what it tells modules so that they find it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytel.archive.files import ImageDirectory
from pytel.archive.http.access import Authenticator, TokenAuthenticator
from pytel.base.errors import ConfigError
from pytel.base.threads import in_thread
from pytel.base.units import Bytes, Seconds
from pytel.interfaces.imagestore import StoreAccess

if TYPE_CHECKING:
    from pytel.bus.http.listener import Listener


OF_ONE_ADDRESS = 250
"""Connections that one address may have open: whoever it is must not keep the others' images out."""


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the store serves HTTP. Beyond this host it takes TLS."""

    listen: str = "127.0.0.1:0"
    """`HOST:PORT`; port 0 is any that is free, which modules learn over the bus."""
    url: str | None = None
    """How others reach it, where that is not the address it listens at: `https://store.example.org:8180`."""
    certificate: str | None = None
    """A file in PEM, relative to the state directory."""
    key: str | None = None
    """The certificate's key, likewise."""
    largest: Bytes = 2**30
    """An image with more bytes is refused."""
    patience: Seconds = 60.0
    """Real seconds in which each 256 KiB of an upload must come."""


class ImageServer:
    """Serves a directory of images; `people` makes what knows people, the store's own token comes on top."""

    def __init__(
        self, settings: HttpSettings, directory: Path, people: Callable[[], Sequence[Authenticator]] = lambda: ()
    ) -> None:
        self._settings, self._directory, self._people = settings, directory, people
        self._tokens = TokenAuthenticator()
        self._listener: Listener | None = None
        self.url = ""

    @property
    def token(self) -> str:
        """What lets modules in, for as long as the store runs."""
        return self._tokens.token

    async def start(
        self, files: ImageDirectory, who: str, log: logging.Logger, changed: Callable[[], None] = lambda: None
    ) -> None:
        """Serve. Raises `ConfigError`, also when the extra `http` is not installed, and `Conflict` for a taken port."""
        try:
            await in_thread(_import)
        except ImportError as error:
            raise ConfigError(
                f"{who} needs {error.name} to serve HTTP: install pytel-ocs[http,imaging], or write 'http: null'"
            ) from error
        from pytel.archive.http.app import Rules, StoreApp
        from pytel.archive.http.upload import UploadLimits, remove_leftovers
        from pytel.bus.http.config import Listen, Tls
        from pytel.bus.http.listener import MAX_CONNECTIONS, Listener
        from pytel.bus.http.places import Places

        settings = self._settings
        host, port = _place(settings.listen)
        listen = Listen(host, port)
        tls = None
        if settings.certificate and settings.key:
            tls = Tls(certificate=self._directory / settings.certificate, key=self._directory / settings.key)
        elif listen.needs_tls:
            raise ConfigError(f"{who} listens on {settings.listen}, beyond this host: give it 'certificate' and 'key'")
        await in_thread(remove_leftovers, files)
        rules = Rules((self._tokens, *self._people()), UploadLimits(settings.largest, settings.patience))
        places = Places(MAX_CONNECTIONS, OF_ONE_ADDRESS)
        self._listener = Listener(StoreApp(files, rules, log, changed).asgi, listen, tls, places=places)
        await self._listener.start(who)
        self.url = settings.url or Listen(host, self._listener.port).url(tls=tls is not None)

    def access(self) -> StoreAccess:
        """What a module needs to know; blocking."""
        certificate = self._settings.certificate
        shown = None if certificate is None else (self._directory / certificate).read_text(encoding="ascii")
        return StoreAccess(url=self.url, token=self.token, certificate=shown)

    async def stop(self) -> None:
        """Stop serving."""
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None

    def abort(self) -> None:
        """End at once, as a killed process does."""
        if self._listener is not None:
            self._listener.abort()


def _import() -> None:
    import pytel.archive.http.app
    import pytel.bus.http.listener  # noqa: F401


def _place(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ConfigError(f"{text!r} is no place to listen at; write '127.0.0.1:8180'")
    return host.removeprefix("[").removesuffix("]"), int(port)
