"""The section `http` of a site file: where modules listen, and who may call them."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pytel.base.errors import ConfigError
from pytel.bus.people import FILE as PEOPLE

Port = Annotated[int, Meta(ge=1, le=65535)]
FIRST_PORT = 8100
LAST_PORT = 65535
DESK = "site"
"""The supervisor, which has the first port; the modules of the file follow in their order."""
SERVICES = ("cli", "gateway")
"""Who speaks for people in every site. They call and hear, but serve nothing unless they are modules of the file."""


class TlsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files in PEM, relative to the site file; `ca` verifies the other modules (default: the system's authorities)."""

    certificate: str
    key: str
    ca: str | None = None


class HttpSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where modules listen and who may call them.

    The supervisor listens on 127.0.0.1 at `port`, the modules at the ports that follow, in the order of the file;
    `listen` gives some another `HOST:PORT`. `modules` are the addresses (URLs) of modules that run elsewhere, or by
    which a module of this file is reached from outside. `accounts` is the file with the secrets of modules (default:
    `http/accounts.json` in the state directory), `people` that with those who log in (default: the gateway's).
    """

    port: Port = FIRST_PORT
    listen: dict[str, str] = {}
    modules: dict[str, str] = {}
    accounts: str | None = None
    people: str | None = None
    tls: TlsSection | None = None
    insecure: bool = False


class Listen(msgspec.Struct, frozen=True):
    """Where a module listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_anywhere(self) -> bool:
        """Whether it is every address of this host."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def needs_tls(self) -> bool:
        """Whether what is sent could be read on the way."""
        return not self.is_loopback

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Read `HOST:PORT` or `[IPv6]:PORT`. Raises `ConfigError`."""
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or not port or parts.username or parts.path:
            raise ConfigError(f"{text!r} is no place to listen at; write '127.0.0.1:8101'")
        return cls(host, port)

    def url(self, *, tls: bool) -> str:
        """The address by which it is reached."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if tls and self.needs_tls else 'http'}://{host}:{self.port}"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Files in PEM."""

    certificate: Path
    key: Path
    ca: Path | None = None


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The section with its defaults filled in: `listen` has the modules of this file, `urls` all of the site.

    `members` are those who have an account, and whether each speaks for the people behind it.
    """

    listen: Mapping[str, Listen]
    urls: Mapping[str, str]
    accounts: Path
    people: Path
    members: Mapping[str, bool]
    tls: Tls | None = None
    insecure: bool = False


def filled_in(section: HttpSection, *, state_dir: Path, directory: Path, modules: Mapping[str, bool]) -> HttpConfig:
    """Fill the defaults in; `modules` are the addresses of the site file's modules, and whether each is a proxy.

    Raises `ConfigError` for what `faults_of` tells.
    """

    def path(given: str) -> Path:
        return directory / Path(given).expanduser()

    for _, fault in faults_of(section, modules):
        raise ConfigError(fault)
    listen = _listen(section, modules)
    tls = section.tls
    urls = {name: where.url(tls=tls is not None) for name, where in listen.items()}
    urls |= {name: checked_url(url) for name, url in section.modules.items()}
    return HttpConfig(
        listen=listen,
        urls=urls,
        members={**dict.fromkeys(urls, False), **modules, **dict.fromkeys(SERVICES, True)},
        accounts=path(section.accounts) if section.accounts else state_dir / "http" / "accounts.json",
        people=path(section.people) if section.people else state_dir / "gateway" / PEOPLE,
        tls=Tls(certificate=path(tls.certificate), key=path(tls.key), ca=path(tls.ca) if tls.ca else None)
        if tls
        else None,
        insecure=section.insecure,
    )


def faults_of(section: HttpSection, modules: Mapping[str, bool]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with the section: the way to each wrong value, and a sentence."""
    for name, text in section.listen.items():
        yield from _faults_of_listen(section, name, text, modules)
    for name, url in section.modules.items():
        try:
            if not (section.insecure or is_safe(checked_url(url))):
                yield ("modules", name), f"{url} would carry calls in clear: write https, or add 'insecure: true'"
        except ConfigError as error:
            yield ("modules", name), error.message
    if section.port + len(modules) > LAST_PORT:
        yield ("port",), f"{len(modules)} modules do not fit between port {section.port} and {LAST_PORT}"
        return
    ports: dict[Listen, str] = {}
    for name, where in _listen(section, modules).items():
        if (other := ports.setdefault(where, name)) != name:
            path = ("listen", name if name in section.listen else other)
            yield path, f"{name} and {other} cannot both listen on {where.host}:{where.port}"


def borrowed_ports(config: HttpConfig) -> str | None:
    """A sentence about ports that the system may have given away when a module wants its own; None if there are none.

    The range is that of Linux (ip(7), `ip_local_port_range`), elsewhere that of IANA (RFC 6335, section 6).
    """
    first, last = _outgoing_ports()
    taken = sorted(where.port for where in config.listen.values() if first <= where.port <= last)
    if not taken:
        return None
    return (
        f"port {taken[0]} is one of those ({first} to {last}) that this system lends to outgoing connections: a module "
        "whose port is lent when it starts has to wait for it; choose others under 'http: port' or 'listen'"
    )


def _outgoing_ports() -> tuple[int, int]:
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return 49152, LAST_PORT
    return first, last


def _faults_of_listen(
    section: HttpSection, name: str, text: str, modules: Mapping[str, bool]
) -> Iterator[tuple[tuple[str, ...], str]]:
    path = ("listen", name)
    try:
        where = Listen.parse(text)
    except ConfigError as error:
        yield path, error.message
        return
    if name not in modules and name != DESK:
        yield path, f"no module of this file is called {name!r}"
    if where.needs_tls and section.tls is None and not section.insecure:
        yield (
            path,
            f"on {where.host} passwords could be read on the way: give a certificate ('tls'), or 'insecure: true'",
        )
    if where.is_anywhere and name not in section.modules:
        yield (
            path,
            f"say under 'modules' by which address others reach {name}, such as https://dome.example:{where.port}",
        )


def _listen(section: HttpSection, modules: Mapping[str, bool]) -> dict[str, Listen]:
    given = {}
    for name, text in section.listen.items():
        with contextlib.suppress(ConfigError):  # told elsewhere
            given[name] = Listen.parse(text)
    by_order = {name: Listen("127.0.0.1", section.port + index) for index, name in enumerate((DESK, *modules))}
    return by_order | given


def checked_url(url: str) -> str:
    """Check the address of a module, such as `https://dome:8101`. Raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is no address of a module; write 'http://127.0.0.1:8101' or 'https://host:8101'")
    return url.rstrip("/")


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read what is sent to an address."""
    parts = urlsplit(url)
    return parts.scheme == "https" or Listen(parts.hostname or "", 0).is_loopback
