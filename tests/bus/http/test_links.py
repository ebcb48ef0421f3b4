"""Links between modules when clocks, networks and neighbours are not as they should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import pytel.bus.http.app as app
import pytel.bus.http.client as client
from bus.harness import Ear, Endpoint, call, event, publish, until
from bus.http.http_kit import HttpSite
from bus.http_harness import LOCALHOST, Port
from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict, ConnectionLost, ModuleNotFound
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import Card
from pytel.bus.http.accounts import Account, Accounts, member_account
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import Listen, Tls
from pytel.servers.certificates import ensure_certificates

CARD = Card(interfaces=(), boot="boot-1")


@pytest.mark.slow
async def test_a_pulled_cable_is_noticed_and_calls_then_fail_at_once(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENCE", 3.0)
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(app, "HEARTBEAT", 0.3)
    await http_site.member("callee", endpoint := Endpoint())
    caller = await http_site.member("caller")
    line = http_site.lines[Address("callee")]
    await asyncio.sleep(4.0)
    assert len(caller.peers()) == 2  # heartbeats keep a quiet link alive
    line.is_stalled = True
    await until(lambda: len(caller.peers()) == 1)
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(5):
            await call(caller, "callee", "look", timeout=30)
    line.is_stalled = False
    await until(lambda: len(caller.peers()) == 2)
    await call(caller, "callee", "look")
    assert len(endpoint.calls) == 1


async def test_hundreds_of_calls_at_once_are_all_answered(http_site: HttpSite) -> None:
    release = asyncio.Event()
    count = client.CONNECTIONS * 3

    async def wait(call: Any) -> Any:
        if len(endpoint.calls) >= client.CONNECTIONS // 2:
            release.set()
        await release.wait()
        return call.params

    endpoint = Endpoint(wait)
    await http_site.member("callee", endpoint)
    caller = await http_site.member("caller")
    calls = [call(caller, "callee", "echo", [number], timeout=60) for number in range(count)]
    assert await asyncio.gather(*calls) == [[number] for number in range(count)]


async def test_a_module_that_the_site_has_got_since_is_known(tmp_path: Path) -> None:
    port = Port()
    path = tmp_path / "accounts.json"
    callee = HttpBus(
        Address("callee"), accounts=Accounts(path, {"callee": False}), listen=Listen(LOCALHOST, port.number), peers={}
    )
    await callee.open(Endpoint(lambda call: call.caller.address), CARD)
    peers = {Address("callee"): f"http://{LOCALHOST}:{port.number}"}
    caller = HttpBus(Address("caller"), accounts=Accounts(path, {"caller": False}), listen=None, peers=peers)
    await caller.open(Endpoint(), CARD)
    assert await call(caller, "callee", "look") == "caller"
    await caller.close()
    await callee.close()
    port.release()


async def test_a_guest_calls_and_hears_and_is_seen_by_nobody(http_site: HttpSite) -> None:
    sender = await http_site.member("sender", Endpoint(lambda call: call.origin.name))
    http_site.accounts.add("cli", member_account(proxy=True))
    peers = {Address("sender"): http_site.url(Address("sender"))}
    guest = HttpBus(Address("cli"), accounts=http_site.accounts, listen=None, peers=peers)
    await guest.open(Endpoint(), CARD)
    ear = Ear(guest, event())
    publish(sender, event(), 1)
    await until(lambda: ear.data == [1])
    assert await call(guest, "sender", "look") == "cli"
    assert len(guest.peers()) == 2
    assert len(sender.peers()) == 1
    await guest.close()


async def test_who_is_not_in_the_accounts_cannot_open(http_site: HttpSite) -> None:
    stranger = HttpBus(Address("stranger"), accounts=http_site.accounts, listen=None, peers={})
    with pytest.raises(ConfigError, match="stranger has no secret"):
        await stranger.open(Endpoint(), CARD)
    await stranger.close()


@pytest.mark.parametrize("whose", ["callee", "caller"])
async def test_other_accounts_are_a_lost_link_and_are_told(
    http_site: HttpSite, whose: str, caplog: pytest.LogCaptureFixture
) -> None:
    callee = await http_site.member("callee")
    http_site.accounts.add("caller", member_account())
    others = Accounts()
    for name in ("callee", "caller"):
        known = http_site.accounts.get(name)
        others.add(name, known if known and name != whose else member_account())
    peers = {Address("callee"): http_site.url(Address("callee"))}
    caller = HttpBus(Address("caller"), accounts=others, listen=None, peers=peers)
    await caller.open(Endpoint(), CARD)
    with pytest.raises(ConnectionLost, match="secret" if whose == "callee" else "accounts"):
        await call(caller, "callee", "look")
    assert len(caller.peers()) == 1
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    await caller.close()
    assert len(callee.peers()) == 1


async def test_a_module_at_the_address_of_another_is_not_taken_for_it(http_site: HttpSite) -> None:
    await http_site.member("roof")
    for name in ("camera", "caller"):
        http_site.accounts.add(name, member_account())
    peers = {Address("camera"): http_site.url(Address("roof"))}
    caller = HttpBus(Address("caller"), accounts=http_site.accounts, listen=None, peers=peers)
    await caller.open(Endpoint(), CARD)
    with pytest.raises(ConnectionLost):
        await call(caller, "camera", "look")
    await caller.close()


async def test_a_port_belongs_to_one_even_if_a_foreign_program_has_it(http_site: HttpSite) -> None:
    http_site.accounts.add("camera", member_account())
    with socket.socket() as foreign:
        foreign.bind((LOCALHOST, 0))
        foreign.listen()
        listen = Listen(LOCALHOST, foreign.getsockname()[1])
        bus = HttpBus(Address("camera"), accounts=http_site.accounts, listen=listen, peers={})
        with pytest.raises(Conflict, match="camera cannot listen"):
            await bus.open(Endpoint(), CARD)
        await bus.close()


async def test_a_module_that_restarted_behind_a_dead_connection_is_followed_anew(http_site: HttpSite) -> None:
    sender, hearer = await http_site.member("sender"), await http_site.member("hearer")
    assert isinstance(hearer, HttpBus)
    link = hearer._links[sender.address]
    boots: list[str] = []
    hearer.watch_peers(lambda peer, present: boots.append(f"{peer.card.boot} {present}"))
    link.seen("boot-1")
    await asyncio.sleep(0.05)
    assert boots == ["boot-1 True", "boot-1 True"]
    link.seen("boot-2")  # it came to us with another boot, while our stream is to the former one
    await until(lambda: boots[2:] == ["boot-1 False", "boot-1 True"])


class Foreign:
    """Something that speaks HTTP at a module's address."""

    def __init__(self) -> None:
        self.port = Port()
        self.health: Any = {"time": clock.real_time()}
        self.events = b""
        self.asked: list[str] = []

    async def start(self) -> None:
        server = web.Application()
        server.router.add_get("/health", self._health)
        server.router.add_get("/events", self._events)
        server.router.add_post("/rpc", self._rpc)
        self._runner = web.AppRunner(server, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOCALHOST, self.port.number).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        self.port.release()

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response(self.health)

    async def _events(self, request: web.Request) -> web.Response:
        self.asked.append(request.headers["Authorization"])
        return web.Response(body=self.events, content_type="text/event-stream")

    async def _rpc(self, request: web.Request) -> web.Response:
        self.asked.append("rpc")
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": "safe"})


@pytest.fixture
async def foreign() -> AsyncIterator[Foreign]:
    server = Foreign()
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize(
    ("health", "events"),
    [
        ([], b""),
        ({"time": "now"}, b""),
        ({"time": 0}, b""),
        (None, b"nothing"),
        (None, b"event: card\ndata: {}\n\n"),
        (None, b"event: card\ndata: [[[\n\n"),
        (None, b'event: card\ndata: {"address":"roof","card":{"interfaces":[],"boot":"x"}}\n\n'),
        (None, b'event: card\ndata: {"address":"roof","card":{"interfaces":[],"boot":"x"},"proof":"0"}\n\n'),
        (None, b'id: x-1\nevent: urn:pytel:state:Safety:1\ndata: {"safe": true}\n\n'),
    ],
)
async def test_who_does_not_know_a_modules_secret_is_not_taken_for_it(
    foreign: Foreign, health: Any, events: bytes
) -> None:
    foreign.health = {"time": clock.real_time()} if health is None else health
    foreign.events = events
    accounts = Accounts()
    for name in ("roof", "caller"):
        accounts.add(name, member_account())
    peers = {Address("roof"): f"http://{LOCALHOST}:{foreign.port.number}"}
    caller = HttpBus(Address("caller"), accounts=accounts, listen=None, peers=peers)
    ear = Ear(caller, None)
    await caller.open(Endpoint(), CARD)
    with pytest.raises(ConnectionLost):
        await call(caller, "roof", "is_safe")
    assert ear.heard == []
    assert len(caller.peers()) == 1
    assert "rpc" not in foreign.asked
    assert not any(accounts.secret_of("caller") in header for header in foreign.asked)
    await caller.close()


class Shifted(clock.RealClock):
    """The clock of another host."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def real_time(self) -> float:
        return super().real_time() + self.ahead


@pytest.mark.parametrize("ahead", [-100.0, -2.0, 2.0, 100.0])
async def test_a_callee_whose_clock_differs_is_told_its_own_time(
    http_site: HttpSite, ahead: float, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint()
    await http_site.member("callee", endpoint)
    http_site.accounts.add("caller", member_account())
    monkeypatch.setattr("pytel.bus.http.app.clock", Shifted(ahead))  # what serves tells another time than what asks
    monkeypatch.setattr("pytel.bus.http.credentials.TOLERANCE", 500.0)
    peers = {Address("callee"): http_site.url(Address("callee"))}
    caller = HttpBus(Address("caller"), accounts=http_site.accounts, listen=None, peers=peers)
    await caller.open(Endpoint(), CARD)
    await call(caller, "callee", "look", timeout=30)
    expires = endpoint.calls[0].expires
    assert expires == pytest.approx(clock.real_time() + ahead + 30, abs=5)
    assert any("clock" in record.getMessage() for record in caplog.records)
    await caller.close()


async def test_clocks_that_agree_are_taken_as_they_are(http_site: HttpSite) -> None:
    await http_site.member("callee")
    caller = await http_site.member("caller")
    assert isinstance(caller, HttpBus)
    assert caller._links[Address("callee")]._client.offset == 0.0


def test_what_the_way_may_explain_is_no_difference() -> None:
    assert client._ahead(100.4, 100.0, 101.0) == 0.0
    assert client._ahead(101.0, 100.0, 101.0) == 0.0
    assert client._ahead(103.0, 100.0, 101.0) == 2.5
    assert client._ahead(90.0, 100.0, 101.0) == -10.5


async def test_nobody_listens_in_clear_beyond_this_host_unless_told_to() -> None:
    accounts = Accounts()
    accounts.add("camera", Account(secret="x" * 64))
    anywhere = Listen("0.0.0.0", 8101)
    with pytest.raises(ConfigError, match="certificate"):
        HttpBus(Address("camera"), accounts=accounts, listen=anywhere, peers={})
    with pytest.raises(ConfigError, match="in clear"):
        HttpBus(Address("camera"), accounts=accounts, listen=None, peers={Address("roof"): "http://dome:8102"})
    HttpBus(
        Address("camera"),
        accounts=accounts,
        listen=anywhere,
        peers={Address("roof"): "http://dome:8102"},
        insecure=True,
    )


async def test_modules_on_several_hosts_speak_tls(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    certificate, key = await in_thread(ensure_certificates, tmp_path, "localhost", ca)
    accounts = Accounts()
    ports = {Address(name): Port() for name in ("camera", "roof")}
    urls = {address: f"https://localhost:{port.number}" for address, port in ports.items()}
    buses = []
    for address, port in ports.items():
        accounts.add(str(address), member_account())
        tls = Tls(certificate=certificate, key=key, ca=ca)
        buses.append(HttpBus(address, accounts=accounts, listen=Listen("0.0.0.0", port.number), peers=urls, tls=tls))
    for bus in buses:
        await bus.open(Endpoint(lambda call: call.caller.address), CARD)
    assert await call(buses[0], "roof", "who") == "camera"
    assert [str(peer.address) for peer in buses[0].peers()] == ["camera", "roof"]
    stranger = HttpBus(Address("roof"), accounts=accounts, listen=None, peers=urls)
    await stranger.open(Endpoint(), CARD)  # without the authority's certificate
    with pytest.raises(ConnectionLost, match="certificate"):
        await call(stranger, "camera", "who")
    await stranger.close()
    await buses[1].close()
    with pytest.raises(ModuleNotFound):
        await call(buses[0], "roof", "who")
    await buses[0].close()
    for port in ports.values():
        port.release()
