"""Two sites that speak with each other, and a third that may not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from slixmpp import JID
from slixmpp.exceptions import IqError, IqTimeout

from pytel.base.threads import in_thread
from pytel.servers import Federation, ServerSetup, XmppServer, server_for
from xmpp_client import PATIENCE, Client, client
from xmpp_kit import Kind, server_account

EAST, WEST = "east.test", "west.test"


def _setups(folder: Path, kinds: tuple[Kind, Kind], **federation: Any) -> list[ServerSetup]:
    hosts = {domain: _address() for domain in (EAST, WEST)}
    setups = []
    for domain, kind in zip(hosts, kinds, strict=True):
        other = WEST if domain == EAST else EAST
        wanted = {"peers": (other,), "cas": (folder / other / "ca.crt",), "hosts": hosts, **federation}
        setups.append(
            ServerSetup(
                kind=kind,
                domain=domain,
                directory=folder / domain,
                host=hosts[domain],
                federation=Federation(**wanted),
            )
        )
    return setups


def _address() -> str:
    """An address of the loopback of its own, since the port between servers is always 5269."""
    return f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"


@contextlib.contextmanager
def _running(setups: list[ServerSetup]) -> Iterator[list[XmppServer]]:
    servers = [server_for(setup) for setup in setups]
    with contextlib.ExitStack() as stack:
        for server in servers:
            with contextlib.suppress(FileNotFoundError):  # the other's CA is made in the second round
                server.write()
        for server in servers:
            server.write()
            server.start()
            stack.callback(server.stop)
        yield servers


@pytest.fixture(params=["prosody prosody", "ejabberd ejabberd", "prosody ejabberd"])
def kinds(request: pytest.FixtureRequest) -> tuple[Kind, Kind]:
    first, second = request.param.split()
    return first, second


@pytest.mark.slow
async def test_listed_sites_reach_each_other(kinds: tuple[Kind, Kind], tmp_path: Path) -> None:
    async with _sites(_setups(tmp_path, kinds)) as (one, other):
        await _ping(one, other.boundjid)
        await _ping(other, one.boundjid)


@pytest.mark.slow
async def test_a_site_that_is_not_listed_is_refused(kinds: tuple[Kind, Kind], tmp_path: Path) -> None:
    east, west = _setups(tmp_path, kinds)
    assert west.federation
    closed = Federation(peers=("else.test",), cas=west.federation.cas, hosts=west.federation.hosts)
    async with _sites([east, _with(west, closed)]) as (one, other):
        for sender, receiver in ((one, other), (other, one)):
            await _refuse(sender, receiver)


@pytest.mark.slow
async def test_a_site_whose_ca_is_not_trusted_is_refused(kinds: tuple[Kind, Kind], tmp_path: Path) -> None:
    east, west = _setups(tmp_path, kinds)
    assert west.federation
    alone = Federation(peers=west.federation.peers, hosts=west.federation.hosts)
    async with _sites([east, _with(west, alone)]) as (one, other):
        await _refuse(one, other)


def _with(setup: ServerSetup, federation: Federation) -> ServerSetup:
    return msgspec.structs.replace(setup, federation=federation)


@contextlib.asynccontextmanager
async def _sites(setups: list[ServerSetup]) -> Any:
    running = _running(setups)
    servers = await in_thread(running.__enter__)
    try:
        passwords = [await in_thread(server_account, server, "desk") for server in servers]
        async with (
            client(servers[0], "desk", passwords[0]) as one,
            client(servers[1], "desk", passwords[1]) as other,
        ):
            yield one, other
    finally:
        await in_thread(running.__exit__, None, None, None)


async def _refuse(sender: Client, receiver: Client) -> None:
    """Nothing arrives. ejabberd drops what comes from strangers, so that they wait in vain for an answer."""
    arrived: list[Any] = []
    receiver.add_event_handler("message", arrived.append)
    sender.send_message(receiver.boundjid, "hello")
    with pytest.raises((IqError, IqTimeout)):
        await _ping(sender, receiver.boundjid, timeout=5)
    assert arrived == []


async def _ping(one: Client, whom: JID, timeout: float = PATIENCE) -> None:
    ping: Any = one.plugin["xep_0199"]
    await ping.send_ping(whom, timeout=timeout)
