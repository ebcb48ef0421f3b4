"""The observatory of the test kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytel.base import clock
from pytel.base.errors import ConfigError, ModuleNotFound, Timeout, Unsafe
from pytel.interfaces import (
    Camera,
    CameraState,
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    FrameType,
    ImageArchived,
    SafetyMonitorState,
    Telescope,
    TelescopeState,
    TelescopeStatus,
    WeatherState,
)
from pytel.testing import Observatory, on_virtual_clock, run
from pytel.testing.observatory import default_site


@on_virtual_clock()
async def test_three_lines() -> None:
    async with Observatory() as observatory:
        await observatory.find(Telescope).move_radec(83.82, -5.39)
        assert observatory.state(TelescopeState).status is TelescopeStatus.TRACKING


@on_virtual_clock()
async def test_an_exposure_ends_in_the_archive() -> None:
    async with Observatory() as observatory:
        await observatory.find(Telescope).move_radec(83.82, -5.39)
        image = await observatory.find(Camera).expose(10.0, FrameType.OBJECT)
        await observatory.until(lambda: observatory.heard(ImageArchived), 60)
        assert observatory.heard(ImageArchived)[0].image == image
        assert [entry.name for entry in observatory.events if entry.name == "NewImage"] == ["NewImage"]


@on_virtual_clock()
async def test_the_roof_opens_when_it_is_safe_and_closes_when_rain_begins() -> None:
    async with Observatory() as observatory:
        roof = observatory.find(Enclosure)
        with pytest.raises(Unsafe):
            await roof.open()
        await observatory.until(lambda: is_safe(observatory), 120)
        await roof.open()
        assert observatory.state(EnclosureState).status is EnclosureStatus.OPEN
        await observatory.inject("weather", "weather", value="rain", after=60)
        began = clock.time()
        await observatory.until(lambda: observatory.state(EnclosureState).status is EnclosureStatus.CLOSED, 180)
        assert 60 + 30 <= clock.time() - began < 60 + 30 + 12


def is_safe(observatory: Observatory) -> bool:
    state = observatory.latest(SafetyMonitorState)
    return state is not None and state.safe


@on_virtual_clock()
async def test_a_crashed_module_is_gone_until_it_is_restarted() -> None:
    async with Observatory() as observatory:
        assert observatory.state(CameraState)
        await observatory.crash("camera")
        assert observatory.latest(CameraState) is None
        with pytest.raises(ModuleNotFound):
            observatory.state(CameraState)
        await observatory.restart("camera")
        await observatory.until(lambda: observatory.latest(CameraState) is not None, 30)
        await observatory.find(Camera).expose(1.0)


@on_virtual_clock()
async def test_waiting_for_what_does_not_come_ends() -> None:
    async with Observatory() as observatory:
        began = clock.time()
        with pytest.raises(Timeout):
            await observatory.until(lambda: False, 100)
        assert clock.time() - began == pytest.approx(100, abs=1.1)


@on_virtual_clock()
async def test_a_site_of_ones_own_and_its_mistakes() -> None:
    site = default_site()
    site["modules"] = {"weather": {"type": "simulated-weather", "period": 2.0}}
    async with Observatory(site) as observatory:
        await observatory.until(lambda: len(observatory.heard(WeatherState)) > 5, 12)
        assert observatory.latest(TelescopeState) is None
    site["modules"]["weather"]["perod"] = 2.0
    with pytest.raises(ConfigError, match="period"):
        async with Observatory(site):
            pass


def test_the_same_seed_gives_the_same_course(tmp_path: Path) -> None:
    async def night() -> list[object]:
        site = default_site()
        site["simulation"]["weather"] = {"mode": "course"}
        async with Observatory(site) as observatory:
            await observatory.find(Telescope).move_radec(83.82, -5.39)
            await observatory.find(Camera).expose(10.0)
            await clock.sleep(600)
            return [(entry.time, str(entry.publisher), entry.name, entry.data) for entry in observatory.events]

    def comparable(seed: int) -> str:
        return str([entry for entry in run(night, seed=seed) if "ImageStore" not in str(entry)])

    assert comparable(1) == comparable(1)
    assert comparable(1) != comparable(2)


def test_the_hardware_goes_on_where_it_was(tmp_path: Path) -> None:
    async def open_roof() -> None:
        async with Observatory(directory=tmp_path) as observatory:
            await observatory.until(lambda: is_safe(observatory), 120)
            await observatory.find(Enclosure).open()
            for module in list(observatory.supervisor.running):
                await observatory.crash(str(module))

    async def look() -> EnclosureStatus:
        async with Observatory(directory=tmp_path) as observatory:
            await observatory.until(lambda: observatory.latest(EnclosureState) is not None, 10)
            return observatory.state(EnclosureState).status

    run(open_roof)
    assert run(look) is not EnclosureStatus.CLOSED
