"""`pytel devices scan`, with Debian's INDI simulators, with Alpaca's, and with our own Alpaca server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.peers.environment import peer_python
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from alpaca_kit import http, simulators
from gateway.alpaca.kit import DEVICES, alpaca_site
from indi_kit import IndiServer
from pytel.base.errors import DeviceError
from pytel.cli.app import app
from pytel.cli.devices import scan as scanning
from pytel.cli.devices.found import Findings, FoundDevice, FoundServer, Setting, alpaca_types
from pytel.cli.devices.names import named
from pytel.cli.devices.scan import Wanted, scan
from pytel.cli.devices.site_file import Place, site_text
from pytel.gateway.alpaca import discovery
from pytel.module.registry import registered_types
from pytel.module.sitefile import check_site, parse_site
from pytel.services.alpaca_discovery import MAX_SERVERS, discover, read_answer
from pytel.services.alpaca_management import MAX_DEVICES, describe

DRIVERS = ("telescope", "ccd", "focus", "wheel", "dome", "weather", "rotator", "guide", "gps", "lightpanel")


def pytel(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["devices", "scan", *arguments])


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@pytest.fixture
async def indi_server(tmp_path: Path) -> AsyncIterator[IndiServer]:
    server = await IndiServer(tmp_path / "indi").start(*(f"indi_simulator_{driver}" for driver in DRIVERS))
    yield server
    await server.kill()


def only(**where: tuple[str, ...]) -> Wanted:
    return Wanted(only_named=True, wait=10.0, **where)  # type: ignore[arg-type]


# INDI


async def test_indi_devices_are_found_with_their_module_types(indi_server: IndiServer) -> None:
    findings = named(await scan(only(indi=(indi_server.address,))))
    assert not findings.troubles
    found = {(device.name, device.kind): device.type for device in findings.devices}
    for name, kind, type_name in (
        ("Telescope Simulator", "telescope", "indi-telescope"),
        ("CCD Simulator", "camera", "indi-camera"),
        ("Focuser Simulator", "focuser", "indi-focuser"),
        ("Filter Simulator", "filter wheel", "indi-filter-wheel"),
        ("Dome Simulator", "dome", "indi-dome"),
        ("Weather Simulator", "weather", "indi-weather"),
        ("Rotator Simulator", "rotator", "indi-rotator"),
        ("Guide Simulator", "camera", "indi-camera"),
        ("GPS Simulator", "time", "indi-time"),
    ):
        assert found[name, kind] == type_name
    names = [device.module for device in findings.devices if device.type]
    assert len(set(names)) == len(names)
    assert {"camera", "camera2", "telescope", "dome"} <= set(names)


async def test_the_unix_socket_of_indiserver_is_as_good(indi_server: IndiServer) -> None:
    findings = await scan(only(indi=(f"@{indi_server.socket}",)))
    assert {"Telescope Simulator", "Dome Simulator"} <= {device.name for device in findings.devices}


@pytest.mark.slow
async def test_a_server_that_is_there_twice_is_told_once(
    indi_server: IndiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "LOCAL_INDI", (f"@{indi_server.socket}", indi_server.address))
    findings = await scan(Wanted(wait=5.0, discovery_port=free_udp_port()))
    assert [server.address for server in findings.servers] == [f"@{indi_server.socket}"]


async def test_the_written_site_file_is_in_order(indi_server: IndiServer, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    place = ("--latitude", "49.2", "--longitude", "8.4", "--name", "hilltop")
    arguments = ("--indi", indi_server.address, "--only-named", "--wait", "10", "--write", str(path), *place)
    result = await asyncio.to_thread(pytel, *arguments)
    assert result.exit_code == 0, result.output
    assert "focuser is written as a comment: Focuser Simulator does not tell step_size" in result.output
    site, faults = await asyncio.to_thread(check_site, path)
    assert site is not None
    assert not faults
    modules = {spec.name: spec.type_name for spec in site.modules}
    assert modules["telescope"] == "indi-telescope"
    assert modules["store"] == "directory-store"
    assert "focuser" not in modules
    before = await asyncio.to_thread(path.read_bytes)
    again = await asyncio.to_thread(pytel, *arguments)
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert await asyncio.to_thread(path.read_bytes) == before


# Alpaca


@pytest.mark.slow
async def test_our_alpaca_server_is_found_by_discovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_udp_port()
    types = await asyncio.to_thread(alpaca_types)
    monkeypatch.setattr(discovery, "PORT", port)
    monkeypatch.setattr(scanning, "LOCAL_INDI", ())
    async with alpaca_site(tmp_path) as site:
        address = site.address
        assert await discover(1.0, port) == (address,)
        findings = named(await scan(Wanted(wait=5.0, discovery_port=port)))
    (server,) = findings.servers
    assert server.address == address
    told = {(device.settings["number"], device.type) for device in findings.devices}
    assert told - {(0, "alpaca-guide-port")} == {(0, types[kind]) for kind in DEVICES}
    place = Place(latitude=-32.4, longitude=20.8)
    parsed, faults = await asyncio.to_thread(lambda: parse_site(site_text(findings, place), directory=tmp_path))
    assert parsed is not None
    assert not faults


@pytest.mark.slow
async def test_simulators_without_management_are_found_when_named(tmp_path: Path) -> None:
    python = await asyncio.to_thread(peer_python, "alpaca")
    async with simulators(python, tmp_path) as address:
        findings = await scan(only(alpaca=(address,)))
    (server,) = findings.servers
    assert "no management interface" in server.notes[0]
    types = {device.type for device in findings.devices}
    assert set(alpaca_types().values()) <= types


def test_the_drivers_are_those_that_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    types = alpaca_types()
    assert {"focuser", "dome", "safetymonitor"} <= set(types)
    assert set(types.values()) <= set(registered_types())


# what comes from the net is hostile


@given(st.binary(max_size=3000))
def test_whatever_answers_the_question_is_a_port_or_nothing(data: bytes) -> None:
    port = read_answer(data)
    assert port is None or 0 < port < 65536


@pytest.mark.parametrize(
    ("answer", "port"),
    [
        (b'{"AlpacaPort": 11111}', 11111),
        (b'{"AlpacaPort": 11111, "more": [1, {}]}', 11111),
        (b'{"AlpacaPort": 0}', None),
        (b'{"AlpacaPort": 65536}', None),
        (b'{"AlpacaPort": "80"}', None),
        (b'{"AlpacaPort": true}', None),
        (b'{"AlpacaPort": 1e99}', None),
        (b'{"AlpacaPort": 80}' + b" " * 1100, None),
        (b"[" * 1000, None),
        (b"", None),
    ],
)
def test_answers(answer: bytes, port: int | None) -> None:
    assert read_answer(answer) == port


class Flood(asyncio.DatagramProtocol):
    """Answers one question with many ports, and with rubbish between."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for port in range(1, 400):
            self.transport.sendto(b"{", addr)
            self.transport.sendto(json.dumps({"AlpacaPort": port}).encode(), addr)


async def test_a_flood_of_answers_is_bounded() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Flood, local_addr=("127.0.0.1", 0))
    try:
        found = await discover(1.0, transport.get_extra_info("sockname")[1])
    finally:
        transport.close()
    assert 0 < len(found) <= MAX_SERVERS


def enveloped(value: Any) -> bytes:
    return http(json.dumps({"Value": value, "ErrorNumber": 0, "ErrorMessage": ""}).encode())


class OddServer:
    """An Alpaca server that answers with what it is told, by the end of the address."""

    def __init__(self, **answers: bytes) -> None:
        self._answers = {"apiversions": enveloped([1]), "description": enveloped({}), **answers}

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().partition("?")[0].rpartition("/")[2]
            writer.write(self._answers.get(path, http(b"no", "404 Not Found")))
            await writer.drain()
        finally:
            writer.close()


def device(name: Any = "x", kind: Any = "Focuser", number: Any = 0) -> dict[str, Any]:
    return {"DeviceName": name, "DeviceType": kind, "DeviceNumber": number, "UniqueID": "1"}


async def test_devices_that_make_no_sense_are_left_out() -> None:
    told = [
        device("good"),
        device("twice"),
        device(kind="../../etc"),
        device(kind=7),
        device(number="0"),
        device(number=-1),
        device(number=True),
        device(number=1 << 40),
        ["DeviceName"],
        None,
        device("\x1b[2J" + "long " * 100, "Camera"),
        device("odd one", "Teapot"),
    ]
    async with OddServer(configureddevices=enveloped(told)) as address:
        findings = named(await scan(only(alpaca=(address,))))
    (server,) = findings.servers
    assert server.notes == ("9 entries of its list of devices make no sense and are left out",)
    good, camera, teapot = findings.devices
    assert (good.name, good.type) == ("good", "alpaca-focuser")
    assert camera.name.isprintable()
    assert len(camera.name) <= 80
    assert (teapot.name, teapot.type, teapot.module) == ("odd one", None, "")


async def test_too_many_devices_are_bounded() -> None:
    told = [device(number=number) for number in range(500)]
    async with OddServer(configureddevices=enveloped(told)) as address:
        server = await describe(address, 5.0)
    assert len(server.devices) == MAX_DEVICES
    assert "500" in server.notes[0]


@pytest.mark.parametrize("told", [{}, "devices", 3, [[[]]], {"Value": []}])
async def test_a_list_of_devices_that_is_none(told: Any) -> None:
    async with OddServer(configureddevices=enveloped(told)) as address:
        findings = await scan(only(alpaca=(address,)))
    assert not findings.devices
    assert findings.servers[0].notes


async def test_a_server_of_another_kind_is_told() -> None:
    async with OddServer(apiversions=http(b"<html>hello</html>")) as address:
        with pytest.raises(DeviceError, match="no Alpaca devices"):
            await describe(address, 5.0)
        findings = await scan(only(alpaca=(address,)))
    assert findings.troubles
    assert not findings.servers


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\xff" * 5000,
        b"<defNumberVector device='x' name='DRIVER_INFO'>" * 200,
        b"<defTextVector device='A' name='DRIVER_INFO' state='Ok' perm='ro'>"
        b"<defText name='DRIVER_INTERFACE'>99999999999999999999</defText></defTextVector>",
        b"<defTextVector device='A&#7;B' name='DRIVER_INFO' state='Ok' perm='ro'>"
        b"<defText name='DRIVER_INTERFACE'>-1</defText></defTextVector>",
    ],
    ids=["bytes", "never closed", "too large", "odd name"],
)
async def test_an_indi_server_of_rubbish_is_no_trouble_for_others(said: bytes) -> None:
    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with OddServer(configureddevices=enveloped([device()])) as alpaca:
        try:
            findings = named(await scan(Wanted(only_named=True, wait=1.5, indi=(address,), alpaca=(alpaca,))))
        finally:
            server.close()
    assert [one.type for one in findings.devices if one.type] == ["alpaca-focuser"]
    assert all(one.name.isprintable() for one in findings.devices)


async def test_silence_ends_in_time() -> None:
    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        findings = await scan(Wanted(only_named=True, wait=0.5, indi=(address,), alpaca=(address,)))
    finally:
        server.close()
    assert any("did not answer within" in trouble for trouble in findings.troubles)


# names and site files


def found(name: str, kind: str, type_name: str, **more: Any) -> FoundDevice:
    settings: dict[str, Setting] = {"server": "localhost:7624", "device": name}
    return FoundDevice(protocol="indi", server="x", name=name, kind=kind, type=type_name, settings=settings, **more)


def findings_of(*devices: FoundDevice) -> Findings:
    return named(Findings(servers=(FoundServer(protocol="indi", address="x", devices=devices),)))


@given(st.lists(st.text(min_size=1, max_size=30).filter(str.isprintable), min_size=1, max_size=6))
def test_odd_names_make_a_valid_file(names: list[str]) -> None:
    kinds = [("camera", "indi-camera"), ("dome", "indi-dome"), ("roof", "indi-roof")]
    findings = findings_of(*(found(name, *kinds[number % 3]) for number, name in enumerate(names)))
    site, faults = parse_site(site_text(findings, Place(latitude=1.0, longitude=2.0)))
    assert site is not None
    assert not faults
    told = [getattr(spec.config, "device", None) for spec in site.modules]
    assert [name for name in told if name is not None] == names


def test_nothing_found_says_what_to_do() -> None:
    result = pytel("--only-named")
    assert result.exit_code == 1
    assert "nothing was found" in result.output
    assert "--indi HOST" in result.output


def test_json_is_for_programs() -> None:
    result = CliRunner().invoke(app, ["devices", "scan", "--only-named", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"servers": [], "troubles": []}


@pytest.mark.parametrize("name", ["Bad Name", "", "x" * 100, "a: {b}"])
def test_a_name_that_is_none_is_not_written(name: str, tmp_path: Path) -> None:
    place = ("--latitude", "1", "--longitude", "2", "--name", name)
    result = pytel("--only-named", "--write", str(tmp_path / "site.yaml"), *place)
    assert result.exit_code == 1
    assert "cannot be a site's name" in result.output


def test_a_file_without_a_place_is_not_written(tmp_path: Path) -> None:
    result = pytel("--only-named", "--write", str(tmp_path / "site.yaml"))
    assert result.exit_code == 1
    assert "give --latitude and --longitude" in result.output
    assert not (tmp_path / "site.yaml").exists()
