"""What the site wants of its XMPP server."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal

import msgspec

from pytel.base.errors import ConfigError

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")

MAX_STANZA = 1 << 20
"""Bytes of the largest stanza that a module may send."""
MAX_STANZA_OF_PEOPLE = 1 << 17
"""Bytes of the largest stanza that a person may send, where the server can tell persons from modules."""
PEOPLE_BYTES_PER_SECOND = 16_000
PEOPLE_STANZAS_PER_SECOND = 50
"""More than these ends the connection; presence counts tenfold, since it goes to everybody."""
PEOPLE_BURST_SECONDS = 4
GUEST_SITE_BYTES_PER_SECOND = 200_000
EVENTS = "urn:pytel:event:"
STATES = "urn:pytel:state:"
EVENTS_KEPT = 200
"""Items that a node of events keeps, so that a subscriber can close a gap."""


class Federation(msgspec.Struct, frozen=True, kw_only=True):
    """Which other domains the server speaks with; everybody else is refused.

    `peers` are domains. `cas` are PEM files of the certificate authorities of those that have their own (the site's
    own is always trusted, the public ones never). `hosts` gives addresses (domain: IP) to peers that DNS does not know.
    """

    port: int = 5269
    peers: tuple[str, ...] = ()
    cas: tuple[Path, ...] = ()
    hosts: dict[str, str] = {}


class ServerSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a server's configuration follows from.

    All files are below `directory`. `people` are the accounts that may send only a little per second; all others are
    modules, which nothing slows down. `certificate` and `key` (PEM) replace the certificate of the site's own CA; `ca`
    is what clients then trust.
    """

    kind: Literal["prosody", "ejabberd"]
    domain: str
    directory: Path
    host: str = "127.0.0.1"
    port: int = 5222
    people: tuple[str, ...] = ()
    federation: Federation | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        for domain in (self.domain, *(self.federation.peers if self.federation else ())):
            if not _DOMAIN.fullmatch(domain):
                raise ConfigError(f"{domain!r} is no domain: use small letters, digits, '-' and '.'")
        for name in self.people:
            check_account(name)
        for address in (self.host, *(self.federation.hosts.values() if self.federation else ())):
            check_address(address)
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("a certificate needs its key: give both or none")
        if self.certificate and not self.ca:
            raise ConfigError("with a certificate of your own, name the CA that clients trust")


def check_account(name: str) -> None:
    """Refuse what is no name of an account. Raises `ConfigError`."""
    if not _ACCOUNT.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of an account: use small letters, digits, '.', '_' and '-'")


def check_address(address: str) -> None:
    """Refuse what is no IP address. Raises `ConfigError`."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ConfigError(f"{address!r} is no IP address for a server to listen at, such as 127.0.0.1") from None
