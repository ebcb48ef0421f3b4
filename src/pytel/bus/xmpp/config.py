"""The section `xmpp` of a site file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pytel.bus.address import NAME
from pytel.bus.contract import Role

Domain = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")]
BareJid = Annotated[str, Meta(pattern=r"^[^@/\s]+@[^@/\s]+$")]
Person = Annotated[str, Meta(pattern=f"^{NAME.pattern}$")]
PersonRole = Literal["viewer", "observer", "operator", "admin"]
Wire = Literal["json", "xep-0009"]

SERVICE_ACCOUNTS = ("site", "cli", "gateway")
"""Accounts that every site has besides its modules: the supervisor's desk, and the proxies that speak for people."""
PROXIES = frozenset({"cli", "gateway"})


class XmppSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the XMPP server is, and who may do what there.

    `domain` defaults to `NAME.localhost`, `ca` and `accounts` to `xmpp/ca.crt` and `xmpp/accounts.json` in the state
    directory; paths are relative to the site file. `certificate` and `key` are the server's, if they are not to be made
    by an authority of the site's own; `ca` is then the authority they come from (a file that does not exist: the
    system's). `people` are accounts of this domain, `trusted` full bare JIDs of others: whoever is not named is
    refused. `modules` are addresses that other site files of the domain run.
    """

    domain: Domain | None = None
    host: str | None = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 5222
    server: Literal["prosody", "ejabberd", "external"] = "prosody"
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    accounts: str | None = None
    wire: Wire = "json"
    people: dict[Person, PersonRole] = {}
    trusted: dict[BareJid, PersonRole] = {}
    modules: list[str] = []


class XmppConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The section with its defaults filled in: what connections and servers are made from.

    `members` are the accounts of modules (this site file's, those it names, and the services).
    """

    domain: str
    host: str | None
    port: int
    server: str
    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    accounts: Path
    wire: Wire
    people: Mapping[str, Role]
    trusted: Mapping[str, Role]
    members: tuple[str, ...]


def filled_in(
    section: XmppSection, *, site: str, state_dir: Path, directory: Path, modules: tuple[str, ...]
) -> XmppConfig:
    """Fill the defaults in; `modules` are the addresses of the site file's modules."""

    def path(given: str | None, default: str) -> Path:
        return directory / Path(given).expanduser() if given else state_dir / "xmpp" / default

    return XmppConfig(
        domain=section.domain or f"{site.replace('_', '-')}.localhost",
        host=section.host,
        port=section.port,
        server=section.server,
        ca=path(section.ca, "ca.crt"),
        certificate=directory / Path(section.certificate).expanduser() if section.certificate else None,
        key=directory / Path(section.key).expanduser() if section.key else None,
        accounts=path(section.accounts, "accounts.json"),
        wire=section.wire,
        people={name: Role(role) for name, role in section.people.items()},
        trusted={jid: Role(role) for jid, role in section.trusted.items()},
        members=tuple(dict.fromkeys((*modules, *section.modules, *SERVICE_ACCOUNTS))),
    )
