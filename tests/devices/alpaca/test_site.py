"""Drivers on alpaca-simulators."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from alpaca_kit import Cable, until
from pytel.base import clock
from pytel.base.errors import Unsafe
from pytel.interfaces.camera import Camera
from pytel.interfaces.enclosure import Enclosure, EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.images import FrameType
from pytel.interfaces.rotator import Rotator
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.telescope import Telescope
from pytel.sky.coordinates import altaz_to_radec
from pytel.testing import Observatory

from .site_kit import KNOWN, all_are, put, site_of, works_again

pytestmark = pytest.mark.slow


async def say_safe(server: str, safe: bool) -> None:
    await put(server, "safetymonitor/0/issafe", IsSafe=str(safe))


def status(observatory: Observatory) -> EnclosureStatus | None:
    state = observatory.latest(EnclosureState)
    return None if state is None else state.status


def is_safe(observatory: Observatory) -> bool:
    state = observatory.latest(SafetyMonitorState)
    return state is not None and state.safe


async def opened(observatory: Observatory) -> None:
    await until(lambda: is_safe(observatory))
    await until(lambda: status(observatory) in (EnclosureStatus.OPEN, EnclosureStatus.CLOSED))
    await observatory.find(Enclosure).open()
    assert status(observatory) is EnclosureStatus.OPEN


async def use(observatory: Observatory) -> None:
    """What was cut off works as before."""
    await observatory.find(Focuser).set_focus(10.1)
    await observatory.find(FilterWheel).set_filter("Blue")
    await observatory.find(Camera).expose(0.1, FrameType.DARK)


async def test_focuser_wheel_and_rotator_go_where_they_are_sent(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "focuser", "wheel", "rotator") as observatory:
        await until(lambda: observatory.latest(FocuserState) and observatory.latest(FilterWheelState))
        state = observatory.latest(FocuserState)
        assert state is not None
        assert state.position is not None
        there = state.position + 0.05
        await observatory.find(Focuser).set_focus(there)
        state = observatory.latest(FocuserState)
        assert state is not None
        assert state.position == pytest.approx(there, abs=0.002)
        other = (await observatory.capabilities_of(FilterWheelCapabilities)).filters[2].name
        await observatory.find(FilterWheel).set_filter(other)
        await until(lambda: getattr(observatory.latest(FilterWheelState), "filter", None) == other)
        await observatory.find(Rotator).move_mechanical(30.0)


async def test_a_dome_opens_follows_and_closes_when_it_is_unsafe(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "dome", "safety", "telescope") as observatory:
        await opened(observatory)
        ra, dec = altaz_to_radec(60.0, 150.0, clock.time(), observatory.site.info.location)
        await observatory.find(Telescope).move_radec(ra, dec)

        def follows() -> bool:
            azimuth = observatory.state(EnclosureState).azimuth
            return azimuth is not None and abs(math.remainder(azimuth - 150.0, 360.0)) < 6.0

        await until(follows)
        await say_safe(alpaca_server, safe=False)
        await until(lambda: status(observatory) is EnclosureStatus.CLOSED)
        with pytest.raises(Unsafe):
            await observatory.find(Enclosure).open()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(2.0, marks=pytest.mark.timeout(240)),
        pytest.param(25.0),
        pytest.param(300.0, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
async def test_after_a_cut_the_dome_closes(alpaca_server: str, tmp_path: Path, seconds: float) -> None:
    cable = Cable(alpaca_server)
    server = await cable.start()
    try:
        async with site_of(server, tmp_path, *KNOWN) as observatory:
            await all_are(observatory, "ready", *KNOWN)
            await opened(observatory)
            cable.cut()
            await asyncio.sleep(seconds)
            before = len(cable.heard)
            cable.restore()
            if seconds < 10.0:
                await asyncio.sleep(60.0)
                assert is_safe(observatory)
                assert status(observatory) is EnclosureStatus.OPEN, "a short cut costs nothing"
                before, cable.restored = len(cable.heard), asyncio.get_running_loop().time()
                await say_safe(alpaca_server, safe=False)
            closing = await until(lambda: [when for when, line in cable.heard[before:] if "closeshutter" in line])
            assert closing[0] - cable.restored <= 2.0
            await until(lambda: status(observatory) is EnclosureStatus.CLOSED)
            await works_again(lambda: use(observatory))
    finally:
        await cable.stop()
