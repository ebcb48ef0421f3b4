"""Devices that take a command and never come to its end: each is named after the time that it should have needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pytel.base.errors import Cancelled, DeviceError, DeviceTimeout
from pytel.interfaces import CoverCalibrator, FilterWheel, Focuser, GuideDirection, GuidePort, Rotator, WeatherState
from pytel.module import ModuleState
from pytel.testing import Observatory

from .lying import DEVICE, Visit, lying_server, number, set_number, switch
from .site_kit import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
CONNECTED = (
    f'<defSwitchVector device="{DEVICE}" name="CONNECTION" state="Ok" perm="rw" rule="OneOfMany">'
    '<defSwitch name="CONNECT">On</defSwitch><defSwitch name="DISCONNECT">Off</defSwitch></defSwitchVector>'
)
CAP = (
    f'<defSwitchVector device="{DEVICE}" name="CAP_PARK" state="Ok" perm="rw" rule="OneOfMany">'
    '<defSwitch name="PARK">On</defSwitch><defSwitch name="UNPARK">Off</defSwitch></defSwitchVector>'
)
OPENS = (
    f'<setSwitchVector device="{DEVICE}" name="CAP_PARK" state="Busy">'
    '<oneSwitch name="PARK">Off</oneSwitch><oneSwitch name="UNPARK">On</oneSwitch></setSwitchVector>'
)
NORTH_SOUTH = number("TELESCOPE_TIMED_GUIDE_NS", TIMED_GUIDE_N=0, TIMED_GUIDE_S=0).replace('max="100"', 'max="60000"')
WEST_EAST = number("TELESCOPE_TIMED_GUIDE_WE", TIMED_GUIDE_W=0, TIMED_GUIDE_E=0).replace('max="100"', 'max="60000"')


@asynccontextmanager
async def site(server: str, folder: Path, kind: str, **config: Any) -> Any:
    """A site with one driver at this server."""
    module = {"type": kind, "device": DEVICE, "server": server} | config
    described = {"site": {"name": "h", "latitude": 50.0, "longitude": 10.0}, "bus": "local", "modules": {"it": module}}
    async with Observatory(described, directory=folder / "site") as observatory:
        yield observatory


def hanging(defined: str, busy: str) -> Callable[[Visit], Awaitable[None]]:
    """A device that answers each command by Busy."""

    async def speak(visit: Visit) -> None:
        await visit.hear("getProperties")
        await visit.say(CONNECTED + defined)
        while True:
            await visit.hear("</new(Number|Switch)Vector>")
            await visit.say(busy)

    return speak


def focus(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(Focuser).set_focus(0.05)


def select(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(FilterWheel).set_filter("V")


def turn(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(Rotator).move_mechanical(20.0)


def guide(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(GuidePort).pulse_guide(GuideDirection.NORTH, 0.5)


def uncover(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(CoverCalibrator).open_cover()


@pytest.mark.parametrize(
    ("kind", "defined", "busy", "config", "act"),
    [
        (
            "indi-focuser",
            number("ABS_FOCUS_POSITION", FOCUS_ABSOLUTE_POSITION=10),
            set_number("ABS_FOCUS_POSITION", "Busy"),
            {"step_size": "1 um"},
            focus,
        ),
        (
            "indi-filter-wheel",
            number("FILTER_SLOT", FILTER_SLOT_VALUE=1),
            set_number("FILTER_SLOT", "Busy"),
            {"filters": ["B", "V"]},
            select,
        ),
        (
            "indi-rotator",
            number("ABS_ROTATOR_ANGLE", ANGLE=10),
            set_number("ABS_ROTATOR_ANGLE", "Busy"),
            {"rate": "10 deg/s"},
            turn,
        ),
        (
            "indi-guide-port",
            NORTH_SOUTH + WEST_EAST,
            set_number("TELESCOPE_TIMED_GUIDE_NS", "Busy"),
            {},
            guide,
        ),
        ("indi-cover", CAP, OPENS, {"opening_time": "1 s"}, uncover),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("indi-") else "",
)
async def test_what_hangs_is_named(
    tmp_path: Path, kind: str, defined: str, busy: str, config: dict[str, Any], act: Callable[[Observatory], Any]
) -> None:
    quick = {"extra_time": "1 s", "answer_time": "1 s"} | config
    async with lying_server(hanging(defined, busy)) as server, site(server, tmp_path, kind, **quick) as observatory:
        with pytest.raises(DeviceError) as raised:
            await act(observatory)
        assert isinstance(raised.value, DeviceTimeout), raised.value


async def test_a_station_that_falls_silent_is_named(tmp_path: Path) -> None:
    async def speak(visit: Visit) -> None:
        await visit.hear("getProperties")
        await visit.say(CONNECTED + number("WEATHER_PARAMETERS", WEATHER_TEMPERATURE=10))
        await visit.say(set_number("WEATHER_PARAMETERS", WEATHER_TEMPERATURE=11))
        while True:
            await visit.hear("never said")

    async with (
        lying_server(speak) as server,
        site(server, tmp_path, "indi-weather", period="0.2 s", oldest="2 s") as observatory,
    ):
        await until(lambda: (state := observatory.latest(WeatherState)) and state.temperature == pytest.approx(11.0))
        await until(lambda: observatory.heard(ModuleState)[-1].status == "error")
        error = observatory.heard(ModuleState)[-1].error
        assert error is not None
        assert f"{DEVICE} has told no weather for" in error.message
        told = len(observatory.heard(WeatherState))
        await until(lambda: observatory.heard(ModuleState)[-1].status == "error")
        assert len(observatory.heard(WeatherState)) == told, "silence is published as such"


@pytest.mark.parametrize(
    ("kind", "defined", "busy", "abort", "config", "act"),
    [
        (
            "indi-focuser",
            number("ABS_FOCUS_POSITION", FOCUS_ABSOLUTE_POSITION=10),
            set_number("ABS_FOCUS_POSITION", "Busy"),
            "FOCUS_ABORT_MOTION",
            {"step_size": "1 um"},
            focus,
        ),
        ("indi-cover", CAP, OPENS, "CAP_ABORT", {}, uncover),
    ],
    ids=["focuser", "cover"],
)
async def test_what_moves_is_stopped(
    tmp_path: Path,
    kind: str,
    defined: str,
    busy: str,
    abort: str,
    config: dict[str, Any],
    act: Callable[[Observatory], Any],
) -> None:
    moves, stopped = asyncio.Event(), asyncio.Event()
    halted = busy.replace("Busy", "Idle").replace(">On<", ">Off<")

    async def speak(visit: Visit) -> None:
        await visit.hear("getProperties")
        await visit.say(CONNECTED + defined + switch(abort, ABORT=False))
        await visit.hear("</new(Number|Switch)Vector>")
        await visit.say(busy)
        moves.set()
        await visit.hear(f'newSwitchVector[^>]*"{abort}"')
        stopped.set()
        await visit.say(f'<setSwitchVector device="{DEVICE}" name="{abort}" state="Ok"/>' + halted)
        await visit.hear("never said")

    async with lying_server(speak) as server, site(server, tmp_path, kind, **config) as observatory:

        async def begin() -> None:
            await act(observatory)

        acting = asyncio.ensure_future(begin())
        await until(moves.is_set)
        if kind == "indi-focuser":
            await observatory.find(Focuser).stop()
        else:
            await observatory.find(CoverCalibrator).stop_cover()
        assert stopped.is_set()
        with pytest.raises(Cancelled):
            await acting


async def test_a_roof_whose_opening_does_not_stop_is_told_to_close_all_the_same(tmp_path: Path) -> None:
    opening = (
        f'<defSwitchVector device="{DEVICE}" name="DOME_PARK" state="Busy" perm="rw" rule="OneOfMany">'
        '<defSwitch name="PARK">Off</defSwitch><defSwitch name="UNPARK">On</defSwitch></defSwitchVector>'
    )
    closed = (
        f'<setSwitchVector device="{DEVICE}" name="DOME_PARK" state="Ok">'
        '<oneSwitch name="PARK">On</oneSwitch><oneSwitch name="UNPARK">Off</oneSwitch></setSwitchVector>'
    )
    aborted, told = asyncio.Event(), asyncio.Event()

    async def speak(visit: Visit) -> None:
        await visit.hear("getProperties")
        await visit.say(CONNECTED + opening + switch("DOME_ABORT_MOTION", ABORT=False))
        await visit.hear('newSwitchVector[^>]*"DOME_ABORT_MOTION"')
        aborted.set()
        await visit.hear('newSwitchVector[^>]*"DOME_PARK"')
        await visit.hear('"PARK">On')
        told.set()
        await visit.say(closed)
        await visit.hear("never said")

    times = {"opening_time": "3 s", "closing_time": "3 s"}
    async with lying_server(speak) as server, site(server, tmp_path, "indi-roof", **times):
        await until(aborted.is_set)
        await until(told.is_set)
