"""`pytel devices scan`: look for servers, ask each what it has, tell it or write it down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import typer

from pytel.base.errors import ConfigError, PytelError
from pytel.base.threads import shutdown_threads
from pytel.base.units import Seconds
from pytel.cli.devices import alpaca, indi
from pytel.cli.devices.found import Findings, FoundServer
from pytel.cli.devices.names import named
from pytel.cli.devices.show import print_findings
from pytel.cli.devices.site_file import Place, refuse_existing, write_site
from pytel.cli.screen import as_json
from pytel.services import alpaca_discovery

LOCAL_INDI = ("/tmp/indiserver", "localhost:7624")  # noqa: S108 - where indiserver listens by itself
MAX_NAMED = 64
_AT_ONCE = 16
Asking = Callable[[str, Seconds], Awaitable[FoundServer]]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look: the servers that are named, and, unless `only_named`, this host and the network."""

    indi: tuple[str, ...] = ()
    alpaca: tuple[str, ...] = ()
    only_named: bool = False
    wait: Seconds = 3.0
    discovery_port: int = alpaca_discovery.PORT


def scan_devices(wanted: Wanted, write: Path | None, place: Place, overwrite: bool, json_wanted: bool) -> None:
    """Scan, and print or write what was found; ends with status 1 when there is nothing."""
    if write is not None:
        refuse_existing(write, overwrite)
        place.check()
    logging.getLogger("pytel").addHandler(logging.NullHandler())  # what is wrong is told with the findings
    typer.echo(f"looking for INDI and Alpaca servers, {wanted.wait:g} s each step …", err=True)
    try:
        findings = named(asyncio.run(scan(wanted, tell=lambda sentence: typer.echo(sentence, err=True))))
    finally:
        shutdown_threads()
    if json_wanted:
        typer.echo(as_json(msgspec.to_builtins(findings)))
    else:
        print_findings(findings)
    if not findings.devices:
        raise typer.Exit(1)
    if write is not None:
        for sentence in write_site(findings, write, place, overwrite):
            typer.echo(sentence, err=True)


async def scan(wanted: Wanted, tell: Callable[[str], None] = lambda sentence: None) -> Findings:
    """Find all servers and what they have; `tell` is called as it goes. Raises `ConfigError` for wrong options."""
    if len(wanted.indi) + len(wanted.alpaca) > MAX_NAMED:
        raise ConfigError(f"{MAX_NAMED} servers can be named at a time")
    places = asyncio.Semaphore(_AT_ONCE)
    named_indi = tuple(dict.fromkeys(indi.server_address(host) for host in wanted.indi))
    local = () if wanted.only_named else tuple(address for address in LOCAL_INDI if address not in named_indi)
    asked = _Asked(places, wanted.wait, tell)
    found_local, found_indi, found_alpaca = await asyncio.gather(
        asked.all(indi.scan_indi, local, silent=True),
        asked.all(indi.scan_indi, named_indi, silent=False),
        _scan_alpaca(wanted, asked),
    )
    servers = (*_each_once(found_local), *found_indi, *found_alpaca)
    return Findings(servers=servers, troubles=tuple(asked.troubles))


async def _scan_alpaca(wanted: Wanted, asked: _Asked) -> list[FoundServer]:
    named_servers = tuple(dict.fromkeys(alpaca.server_address(host) for host in wanted.alpaca))
    discovered: tuple[str, ...] = ()
    if not wanted.only_named:
        try:
            discovered = await alpaca_discovery.discover(wanted.wait, wanted.discovery_port)
        except OSError as error:
            asked.troubles.append(f"no Alpaca server can be looked for: {error.strerror or error}")
    addresses = (*named_servers, *(address for address in discovered if address not in named_servers))
    return await asked.all(alpaca.scan_alpaca, addresses, silent=False)


class _Asked:
    """Asks servers, some at a time, and collects what went wrong."""

    def __init__(self, places: asyncio.Semaphore, wait: Seconds, tell: Callable[[str], None]) -> None:
        self._places, self._wait, self._tell = places, wait, tell
        self.troubles: list[str] = []

    async def all(self, ask: Asking, addresses: Sequence[str], *, silent: bool) -> list[FoundServer]:
        """What answers; `silent` about what does not, where nobody said that there is something."""
        found = await asyncio.gather(*(self._one(ask, address, silent) for address in addresses))
        return [server for server in found if server is not None]

    async def _one(self, ask: Asking, address: str, silent: bool) -> FoundServer | None:
        try:
            async with self._places:
                server = await ask(address, self._wait)
        except PytelError as error:
            if not silent:
                self.troubles.append(error.message)
            return None
        count = len(server.devices)
        self._tell(f"{server.protocol} {server.address}: {count} device{'' if count == 1 else 's'}")
        return server


def _each_once(local: Sequence[FoundServer]) -> list[FoundServer]:
    """indiserver is there twice; its Unix socket hands images over faster."""
    if len(local) == 2 and {one.name for one in local[0].devices} == {one.name for one in local[1].devices}:
        return [local[0]]
    return list(local)


__all__ = ["Wanted", "scan", "scan_devices"]
