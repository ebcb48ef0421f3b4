"""Who may use a server without passwords: networks, pages, roles, the control lease, and what is put on record."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.alpaca.kit import AlpacaSite, alpaca_site
from gateway.kit import until, until_so
from pytel.base.threads import in_thread
from pytel.gateway.alpaca import control
from pytel.gateway.alpaca.config import AlpacaConfig
from pytel.gateway.alpaca.discovery import PORT
from pytel.interfaces import Control
from pytel.interfaces.control import ControlState
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.module.sitefile import parse_site

pytestmark = pytest.mark.slow

CLIENTS = "gateway/alpaca/clients"


def asked(question: bytes, address: str = "127.0.0.1", seconds: float = 2.0) -> list[bytes]:
    """What comes back from discovery."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.settimeout(seconds)
        asking.sendto(question, (address, PORT))
        try:
            while True:
                found.append(asking.recv(1000))
        except TimeoutError:
            return found


async def test_discovery_answers_to_broadcasts(site: AlpacaSite) -> None:
    ours = b'{"AlpacaPort":%d}' % site.port
    assert ours in await in_thread(asked, b"alpacadiscovery1", "127.255.255.255")
    for nonsense in (b"alpacadiscovery", b"alpacadiscovery0", b"ALPACADISCOVERY1", b"", b"x" * 1000):
        assert ours not in await in_thread(asked, nonsense, "127.255.255.255", 0.2)


async def test_discovery_beyond_this_host(tmp_path: Path) -> None:
    """On all addresses; who is answered is said by the networks, which are those of this host here."""
    async with alpaca_site(tmp_path, listen="0.0.0.0:0") as site:
        ours = b'{"AlpacaPort":%d}' % site.port
        assert ours in await in_thread(asked, b"alpacadiscovery1", "127.255.255.255")
    async with alpaca_site(tmp_path, listen="0.0.0.0:0", discovery=False) as site:
        ours = b'{"AlpacaPort":%d}' % site.port
        assert ours not in await in_thread(asked, b"alpacadiscovery1", "127.255.255.255", 0.5)
        assert (await site.ask("GET", "/management/apiversions")).value == [1]


async def test_hosts_of_other_networks_are_not_answered(tmp_path: Path) -> None:
    async with alpaca_site(tmp_path, allow=["10.0.0.0/8", "2001:db8::/32"]) as site:
        for path in ("/management/apiversions", "/api/v1/telescope/0/name", "/setup"):
            answer = await site.ask("GET", path)
            assert (answer.status, answer.kind.partition(";")[0]) == (403, "text/plain")
        assert (await site.put("dome/0/closeshutter")).status == 403
        ours = b'{"AlpacaPort":%d}' % site.port
        assert ours not in await in_thread(asked, b"alpacadiscovery1", "127.255.255.255", 0.5)


async def test_pages_of_browsers_are_kept_out(site: AlpacaSite) -> None:
    path = "/api/v1/telescope/0/name"
    for headers, status in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": f"http://{site.address}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": f"evil.example:{site.port}"}, 421),
        ({"Host": f"localhost:{site.port}"}, 200),
        ({"Host": f"[::1]:{site.port}"}, 200),
        ({"Host": "192.168.1.7"}, 200),
    ):
        assert (await site.ask("GET", path, headers=headers)).status == status, headers


async def test_the_role_is_that_of_the_site_file(tmp_path: Path) -> None:
    async with alpaca_site(tmp_path, role="viewer") as site:
        await site.connect("focuser", "dome", "observingconditions")
        assert (await site.get("focuser/0/position")).error == 0
        for path, form in (
            ("focuser/0/move", {"Position": "100"}),
            ("dome/0/closeshutter", {}),
            ("focuser/0/halt", {}),
        ):
            answer = await site.put(path, **form)
            assert answer.error == 0x40B
            assert "NotAllowed" in answer.json["ErrorMessage"]


async def test_the_control_belongs_to_one(site: AlpacaSite) -> None:
    await site.observatory.find(Control).take()
    await site.connect("focuser", "camera")
    refused = await site.put("focuser/0/move", Position="100")
    assert refused.error == 0x40B
    assert "ControlHeld: test has control" in refused.json["ErrorMessage"]
    assert (await site.get("focuser/0/position")).error == 0
    assert (await site.put("focuser/0/halt")).error == 0  # needs none
    await site.observatory.find(Control).release()
    assert (await site.put("focuser/0/move", Position="24000")).error == 0
    await until(lambda: site.observatory.state(ControlState).holder == CLIENTS)
    assert (await site.put("focuser/0/disconnect")).error == 0
    assert site.observatory.state(ControlState).holder == CLIENTS  # the camera is connected
    assert (await site.put("camera/0/disconnect")).error == 0
    await until(lambda: site.observatory.state(ControlState).holder is None)


async def test_the_control_is_kept_while_clients_ask_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "RENEWED", 0.2)
    async with alpaca_site(tmp_path) as site:
        await site.connect("focuser")
        assert (await site.put("focuser/0/move", Position="24000")).error == 0
        until_then = site.observatory.state(ControlState).until
        assert until_then is not None

        async def is_renewed() -> bool:
            await site.get("focuser/0/ismoving")
            renewed = site.observatory.state(ControlState).until
            return renewed is not None and renewed > until_then

        await until_so(is_renewed)
        monkeypatch.setattr(control, "SILENCE", 0.0)
        await until(lambda: site.observatory.state(ControlState).holder is None)
        assert (await site.put("focuser/0/move", Position="23000")).error == 0


async def test_what_is_done_is_on_record(site: AlpacaSite) -> None:
    await site.connect("focuser")
    assert (await site.put("focuser/0/move", Position="24000", ClientTransactionID="9")).error == 0

    async def entry() -> dict[str, Any] | None:
        found = [one for one in await site.audit() if one.get("method") == "focuser.set_focus"]
        return found[0] if found else None

    await until_so(entry)
    noted = await entry()
    assert noted is not None
    assert noted["origin"] == CLIENTS
    assert (noted["way"], noted["address"], noted["role"]) == ("alpaca 1", "127.0.0.1", "operator")
    assert noted["params"] == {"position": 24.0}


async def test_a_gateway_that_stops_leaves_what_was_begun(site: AlpacaSite) -> None:
    await site.safe()
    await site.connect("dome")
    assert (await site.put("dome/0/openshutter")).error == 0
    await site.observatory.stop("gateway")
    await site.observatory.until(lambda: site.observatory.state(EnclosureState).status is EnclosureStatus.OPEN)
    await until(lambda: site.observatory.state(ControlState).holder is None)


async def test_a_port_that_is_taken_keeps_people_in(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = f"127.0.0.1:{other.getsockname()[1]}"
        async with alpaca_site(tmp_path, listen=place) as site:
            lifecycle = site.gateway._runtime.lifecycle
            assert site.gateway.url is not None
            assert "cannot listen" in lifecycle.explanation
            other.close()
            await site.gateway.report()
            assert site.port
            assert lifecycle.healthy


def test_it_is_off_by_default_and_listens_on_this_host_only() -> None:
    config = AlpacaConfig(devices={"dome": ["roof"]})
    assert config.listen == "127.0.0.1:11111"
    assert config.role == "observer"
    assert [str(network) for network in config.networks()] == ["127.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    ("alpaca", "told"),
    [
        ({"devices": {"telescope": ["Telescope!"]}}, "is no address"),
        ({"devices": {"toaster": ["telescope"]}}, "toaster"),
        ({"devices": {"dome": ["roof", "roof"]}}, "roof is offered already"),
        ({"devices": {}, "allow": ["everybody"]}, "is no network"),
        ({"devices": {}, "role": "admin"}, "role"),
        ({"devices": {}, "guide_ports": {"telescope": "port"}}, "no telescope telescope is offered"),
    ],
)
def test_faults_of_the_site_file_are_told(tmp_path: Path, alpaca: dict[str, Any], told: str) -> None:
    site = {
        "site": {"name": "here", "latitude": 1, "longitude": 2},
        "modules": {"gateway": {"type": "gateway", "alpaca": alpaca}},
    }
    _, faults = parse_site(site, directory=tmp_path)
    assert any(told in fault.message for fault in faults), faults
