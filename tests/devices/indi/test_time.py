"""The driver of GPS receivers, against INDI's simulator and against receivers that are wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from indi_kit import Starter
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, PytelError
from pytel.interfaces import TimeSource, TimeSourceState
from pytel.module import ModuleState
from pytel.testing import Observatory

from .lying import Speaker, Visit, lying_server
from .site_kit import until

pytestmark = [pytest.mark.timeout(120)]
GPS = "GPS Simulator"
_DEFINED = f"""
<defSwitchVector device="{GPS}" name="CONNECTION" state="Ok" perm="rw" rule="OneOfMany">
<defSwitch name="CONNECT">On</defSwitch><defSwitch name="DISCONNECT">Off</defSwitch></defSwitchVector>
<defSwitchVector device="{GPS}" name="GPS_REFRESH" state="Idle" perm="rw" rule="AtMostOne">
<defSwitch name="REFRESH">Off</defSwitch></defSwitchVector>
<defTextVector device="{GPS}" name="TIME_UTC" state="Idle" perm="ro">
<defText name="UTC"></defText><defText name="OFFSET"></defText></defTextVector>"""


@asynccontextmanager
async def site(server: str, folder: Path, **config: object) -> AsyncIterator[Observatory]:
    """A site with the receiver."""
    gps = {"type": "indi-time", "device": GPS, "server": server, "answer_time": "2 s", "period": "1 s"} | config
    described = {"site": {"name": "t", "latitude": 50.0, "longitude": 10.0}, "bus": "local", "modules": {"gps": gps}}
    async with Observatory(described, directory=folder / "site") as observatory:
        yield observatory


def stands(observatory: Observatory) -> ModuleState:
    """How the module is."""
    return observatory.heard(ModuleState)[-1]


def receiver(answer: Callable[[], str]) -> Speaker:
    """A server whose receiver answers each question so."""

    async def speak(visit: Visit) -> None:
        await visit.hear("getProperties")
        await visit.say(_DEFINED)
        while True:
            await visit.hear("newSwitchVector.*?GPS_REFRESH.*?</newSwitchVector>")
            await visit.say(answer())

    return speak


def told(utc: str, state: str = "Ok", message: str = "") -> str:
    said = f' message="{message}"' if message else ""
    return (
        f'<setTextVector device="{GPS}" name="TIME_UTC" state="{state}"{said}>'
        f'<oneText name="UTC">{utc}</oneText></setTextVector>'
    )


@pytest.mark.slow
async def test_a_receiver_tells_time_and_place_and_comes_back(indi_server: Starter, tmp_path: Path) -> None:
    server = await indi_server("indi_simulator_gps")
    async with site(server.address, tmp_path) as observatory:
        gps = observatory.find(TimeSource)
        now = await gps.read_time()
        assert abs(now.measured.timestamp() - time.time()) < 30
        assert abs(now.offset) <= 1.5, "both clocks are this computer's; the receiver tells whole seconds"
        assert now.uncertainty == 0.5
        assert now.within_tolerance
        assert (now.latitude, now.elevation) == (51.0, 72.0)
        assert now.longitude == pytest.approx(-2.3), "INDI tells it from 0 to 360"
        await server.kill()
        await until(lambda: stands(observatory).status == "error")
        with pytest.raises(ConnectionLost):
            await gps.read_time()
        await server.restart()
        await until(lambda: stands(observatory).status == "ready")
        assert (await gps.read_time()).measured >= now.measured


@pytest.mark.slow
async def test_a_clock_that_is_off_is_an_alarm_until_it_is_right(tmp_path: Path) -> None:
    ahead = [90.0]

    def answer() -> str:
        return told((datetime.now(UTC) + timedelta(seconds=ahead[0])).strftime("%Y-%m-%dT%H:%M:%S"))

    async with lying_server(receiver(answer)) as server, site(server, tmp_path) as observatory:
        await until(lambda: stands(observatory).status == "error")
        state = observatory.state(TimeSourceState)
        assert state.offset == pytest.approx(-90.0, abs=1.6)
        assert not state.within_tolerance
        assert state.latitude is None, "this receiver tells no place"
        error = stands(observatory).error
        assert error is not None
        assert f"behind {GPS} by more than 2 s" in error.message
        ahead[0] = 0.0
        await until(lambda: stands(observatory).status == "ready")
        assert observatory.state(TimeSourceState).within_tolerance


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (told("yesterday"), DeviceError, "is no time"),
        (told("2026-11-23T99:00:00"), DeviceError, "is no time"),
        (told("2026-11-23T00:00:00", "Alert", "no satellites"), DeviceError, "no satellites; has it a fix"),
        (told("2026-11-23T00:00:00", "Busy"), DeviceTimeout, "within 2 s"),
        ("", DeviceTimeout, "within 2 s"),
    ],
)
async def test_what_is_no_time_is_a_typed_error(
    tmp_path: Path, answer: str, error: type[PytelError], sentence: str
) -> None:
    async with lying_server(receiver(lambda: answer)) as server, site(server, tmp_path) as observatory:
        with pytest.raises(error, match=sentence):
            await observatory.find(TimeSource).read_time()
        assert observatory.latest(TimeSourceState) is None, "nothing is guessed"
