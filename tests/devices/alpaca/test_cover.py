"""Covers and lamps of Alpaca as the simulators have none: slow ones, lamps with levels, every status."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import Cable, until
from pytel.base.errors import Cancelled, ConnectionLost, DeviceError, DeviceTimeout
from pytel.interfaces import CalibratorStatus, CoverCalibrator, CoverCalibratorState, CoverStatus
from pytel.testing import Observatory

from .site_kit import site_of
from .stand_in import Fault, StandIn

pytestmark = pytest.mark.slow
KIND = "covercalibrator"
COVERS = {0: "not present", 1: "closed", 2: "closing", 3: "open", 4: "unknown", 5: "error"}
LAMPS = {0: "not present", 1: "off", 2: "warming up", 3: "ready", 4: "error", 5: "error"}
QUICK = {"poll_period": "1 s", "opening_time": "1 s", "warm_up_time": "0.2 s", "extra_time": "0.2 s"}
CLOSED, MOVING, OPEN, OFF, WARMING, READY = 1, 2, 3, 1, 2, 3


class Panel:
    """A cap that stays on its way and a lamp that stays cold, until a test says otherwise."""

    def __init__(self, device: StandIn) -> None:
        self.device, self.level = device, 0
        self.cover, self.lamp = CLOSED, OFF
        self.told = device.values
        self.told |= {
            f"{KIND}/coverstate": lambda given: self.cover,
            f"{KIND}/calibratorstate": lambda given: self.lamp,
            f"{KIND}/brightness": lambda given: self.level,
            f"{KIND}/maxbrightness": 200,
        }
        device.commands |= {
            f"{KIND}/opencover": self._move,
            f"{KIND}/closecover": self._move,
            f"{KIND}/calibratoron": self._light,
            f"{KIND}/calibratoroff": self._dark,
        }

    def _move(self, given: Mapping[str, str]) -> None:
        self.cover = MOVING

    def _light(self, given: Mapping[str, str]) -> None:
        self.level, self.lamp = int(given["Brightness"]), WARMING

    def _dark(self, given: Mapping[str, str]) -> None:
        self.level, self.lamp = 0, OFF

    def began(self, member: str) -> bool:
        return f"{KIND}/{member}" in self.device.names()


@contextlib.asynccontextmanager
async def panel(folder: Path, by: Cable | None = None, **config: Any) -> AsyncIterator[tuple[Panel, Observatory]]:
    async with StandIn({}) as device, contextlib.AsyncExitStack() as stack:
        made, server = Panel(device), device.address
        if by is not None:
            by.__init__(server)  # type: ignore[misc]
            server = await by.start()
            stack.push_async_callback(by.stop)
        cover = {**QUICK, **config}
        observatory = await stack.enter_async_context(site_of(server, folder, "cover", cover=cover))
        await until(lambda: observatory.latest(CoverCalibratorState))
        yield made, observatory


async def test_every_status_of_ascom_has_one_of_ours(tmp_path: Path) -> None:
    async with panel(tmp_path) as (device, observatory):
        for number in range(6):
            device.cover = device.lamp = number
            cover, lamp = CoverStatus(COVERS[number]), CalibratorStatus(LAMPS[number])

            def told(cover: CoverStatus = cover, lamp: CalibratorStatus = lamp) -> bool:
                state = observatory.state(CoverCalibratorState)
                return (state.cover, state.calibrator) == (cover, lamp)

            await until(told)
        device.cover = 6
        with pytest.raises(DeviceError, match="0 to 5, not 6"):
            await observatory.find(CoverCalibrator).open_cover()


async def test_a_lamp_is_waited_for_and_its_levels_are_a_fraction(tmp_path: Path) -> None:
    async with panel(tmp_path) as (device, observatory):
        lit = asyncio.create_task(_await(observatory.find(CoverCalibrator).calibrator_on(0.25)))
        await until(lambda: observatory.state(CoverCalibratorState).calibrator is CalibratorStatus.WARMING_UP)
        assert device.level == 50, "of 200"
        assert not lit.done()
        device.lamp = READY
        await lit
        assert observatory.state(CoverCalibratorState).brightness == 0.25
        await observatory.find(CoverCalibrator).calibrator_off()
        assert observatory.state(CoverCalibratorState).brightness == 0.0


async def test_a_lamp_that_is_never_ready_is_named(tmp_path: Path) -> None:
    async with panel(tmp_path) as (_, observatory):
        with pytest.raises(DeviceTimeout, match="the lamp of cover is warming"):
            await observatory.find(CoverCalibrator).calibrator_on(1.0)


async def test_a_cap_is_stopped_on_its_way_and_one_that_hangs_is_named(tmp_path: Path) -> None:
    async with panel(tmp_path, opening_time="20 s") as (device, observatory):
        opening = asyncio.create_task(_await(observatory.find(CoverCalibrator).open_cover()))
        await until(lambda: observatory.state(CoverCalibratorState).cover is CoverStatus.OPENING)
        await observatory.find(CoverCalibrator).stop_cover()
        assert device.began("haltcover")
        with pytest.raises(Cancelled):
            await opening
    async with panel(tmp_path / "slow", opening_time="0.1 s") as (device, observatory):
        with pytest.raises(DeviceTimeout, match="is opening, not open"):
            await observatory.find(CoverCalibrator).open_cover()


async def test_a_closing_goes_on_when_its_caller_goes_away(tmp_path: Path) -> None:
    async with panel(tmp_path, opening_time="20 s") as (device, observatory):
        device.cover = OPEN
        closing = asyncio.create_task(_await(observatory.find(CoverCalibrator).close_cover()))
        await until(lambda: device.began("closecover"))
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await asyncio.sleep(1.0)
        assert not device.began("haltcover")


async def test_the_link_is_lost_while_the_cap_opens(tmp_path: Path) -> None:
    cable = Cable("localhost:1")
    async with panel(tmp_path, by=cable, opening_time="60 s") as (device, observatory):
        opening = asyncio.create_task(_await(observatory.find(CoverCalibrator).open_cover()))
        await until(lambda: device.began("opencover"))
        await cable.sever()
        with pytest.raises(ConnectionLost):
            await opening
        await cable.splice()
        await until(lambda: observatory.state(CoverCalibratorState).cover is CoverStatus.OPENING)
        device.cover = OPEN
        await until(lambda: observatory.state(CoverCalibratorState).cover is CoverStatus.OPEN)


async def test_a_lamp_without_levels_has_one(tmp_path: Path) -> None:
    async with StandIn({}) as device:
        made = Panel(device)
        made.told[f"{KIND}/maxbrightness"] = 1
        device.commands[f"{KIND}/opencover"] = Fault(0x400)
        async with site_of(device.address, tmp_path, "cover", cover=QUICK) as observatory:
            made.lamp = READY
            device.commands[f"{KIND}/calibratoron"] = None
            await observatory.find(CoverCalibrator).calibrator_on(0.1)
            assert device.done[-1][1]["Brightness"] == "1"


async def _await(job: Any) -> None:
    await job
