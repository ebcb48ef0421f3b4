"""Devices that lie or fall silent: typed errors, nothing hangs, and all is well when they speak the truth again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import until
from pytel.base.errors import DeviceError, PytelError
from pytel.interfaces import (
    Camera,
    CoverCalibrator,
    EnclosureState,
    EnclosureStatus,
    FilterWheel,
    Focuser,
    FrameType,
    Rotator,
    SafetyMonitorState,
    Switch,
    Telescope,
    WeatherState,
)
from pytel.testing import Observatory

from .liar import ALL_LIES, Liar
from .site_kit import KNOWN, all_are, put, site_of, works_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
POLLED: dict[str, Any] = {
    name: {"poll_period": "1 s"} for name in ("camera", "cover", "focuser", "wheel", "rotator", "power")
}


async def act(observatory: Observatory) -> None:
    """Use every device."""
    await observatory.find(Telescope).stop()
    await observatory.find(Focuser).set_focus(10.1)
    await observatory.find(FilterWheel).set_filter("Blue")
    await observatory.find(Rotator).move_mechanical(20.0)
    await observatory.find(CoverCalibrator).open_cover()
    await observatory.find(Switch).turn_on("Power Switch 1")
    await observatory.find(Camera).expose(0.1, FrameType.DARK)


async def each_fails_or_not(observatory: Observatory) -> None:
    """Use every device: what fails does so with a typed error."""
    calls = (
        observatory.find(Telescope).stop,
        lambda: observatory.find(Focuser).set_focus(10.2),
        lambda: observatory.find(FilterWheel).set_filter("Green"),
        lambda: observatory.find(Rotator).move_mechanical(30.0),
        observatory.find(CoverCalibrator).close_cover,
        lambda: observatory.find(Switch).turn_off("Power Switch 1"),
        lambda: observatory.find(Camera).expose(0.1, FrameType.DARK),
    )

    async def one(call: object) -> None:
        try:
            await call()  # type: ignore[operator]
        except PytelError:
            return

    async with asyncio.timeout(100.0):
        await asyncio.gather(*(one(call) for call in calls))


@pytest.mark.parametrize("lie", ALL_LIES)
async def test_every_device_lies(
    alpaca_server: str, tmp_path: Path, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Liar(alpaca_server) as liar, site_of(liar.address, tmp_path, *KNOWN, **POLLED) as observatory:
        await all_are(observatory, "ready", *KNOWN)
        await act(observatory)
        caplog.clear()
        liar.lie = lie
        await each_fails_or_not(observatory)
        await until(lambda: not observatory.state(SafetyMonitorState).safe)
        liar.lie = None
        assert liar.told > 10
        broken = [record for record in caplog.records if record.exc_info or "InternalError" in record.getMessage()]
        assert not broken, broken
        await works_again(lambda: act(observatory))
        await until(lambda: observatory.state(SafetyMonitorState).safe)


async def test_one_device_lies_and_the_others_go_on(alpaca_server: str, tmp_path: Path) -> None:
    async with Liar(alpaca_server) as liar, site_of(liar.address, tmp_path, *KNOWN, **POLLED) as observatory:
        await all_are(observatory, "ready", *KNOWN)
        await works_again(lambda: act(observatory))
        liar.about, liar.lie = (lambda path: "/camera/" in path), "a heap"
        with pytest.raises(DeviceError):
            await observatory.find(Camera).expose(0.1, FrameType.DARK)
        await observatory.find(Focuser).set_focus(10.3)
        await observatory.find(FilterWheel).set_filter("Red")
        before = observatory.state(WeatherState).measured
        await until(lambda: observatory.state(WeatherState).measured > before)
        await put(alpaca_server, "safetymonitor/0/issafe", IsSafe="False")
        await until(lambda: not observatory.state(SafetyMonitorState).safe)
        assert observatory.state(EnclosureState).status is EnclosureStatus.CLOSED
