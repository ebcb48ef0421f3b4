"""Drivers of focusers, wheels, rotators, lamps and weather stations against INDI's simulators."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from indi_kit import Starter
from pytel.base.errors import Cancelled, ConfigError, ConnectionLost, InvalidParams, LimitExceeded
from pytel.interfaces import (
    CalibratorStatus,
    CoverCalibrator,
    CoverCalibratorState,
    CoverStatus,
    FilterWheel,
    FilterWheelState,
    Focuser,
    FocuserCapabilities,
    FocuserState,
    IndiProperties,
    MotionStatus,
    Rotator,
    RotatorState,
    SafetyMonitorState,
    WeatherState,
)

from .site_kit import site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_a_focuser_moves_by_millimetres(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "focuser", focuser={"step_size": "2 um", "poll_period": "1 s"}) as (
        observatory,
        server,
    ):
        focuser = observatory.find(Focuser)
        able = await observatory.capabilities_of(FocuserCapabilities)
        assert (able.min_position, able.max_position, able.step) == (0.0, 200.0, 0.002), "its travel, at 2 um a step"
        await focuser.set_focus(101.0)
        assert observatory.state(FocuserState).position == pytest.approx(101.0)
        await focuser.set_focus_offset(0.5)
        now = observatory.state(FocuserState)
        assert [now.position, now.base, now.offset] == pytest.approx([101.5, 101.0, 0.5])
        assert now.temperature is not None
        with pytest.raises(LimitExceeded):
            await focuser.set_focus(300.0)
        await server.kill()
        with pytest.raises(ConnectionLost):
            await focuser.set_focus(101.0)
        await until(lambda: observatory.state(FocuserState).status is MotionStatus.ERROR)
        await server.restart()
        await until(lambda: observatory.state(FocuserState).status is MotionStatus.IDLE)
        await focuser.set_focus(100.5)


async def test_a_wheel_brings_filters_by_name(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "wheel") as (observatory, _):
        wheel = observatory.find(FilterWheel)
        await wheel.set_filter("OIII")
        assert observatory.state(FilterWheelState).filter == "OIII"
        with pytest.raises(InvalidParams, match="it has Red, Green"):
            await wheel.set_filter("Ultraviolet")
        await wheel.set_filter("Red")


async def test_names_of_the_site_file_go_before_those_of_the_driver(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "wheel", wheel={"filters": ["B", "V", "R"]}) as (observatory, _):
        await observatory.find(FilterWheel).set_filter("R")
        assert observatory.state(FilterWheelState).filter == "R"


async def test_a_rotator_turns_and_is_stopped(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "rotator") as (observatory, _):
        rotator = observatory.find(Rotator)
        await rotator.move_mechanical(20.0)
        assert observatory.state(RotatorState).mechanical == pytest.approx(20.0, abs=0.1)
        await rotator.sync_position_angle(90.0)
        await rotator.set_position_angle(100.0)
        now = observatory.state(RotatorState)
        assert [now.mechanical, now.position_angle] == pytest.approx([30.0, 100.0], abs=0.1)

        async def turn() -> None:
            await rotator.move_mechanical(300.0)

        job = asyncio.ensure_future(turn())
        await until(lambda: observatory.state(RotatorState).status is MotionStatus.MOVING)
        await rotator.stop()
        with pytest.raises(Cancelled):
            await job
        stopped = observatory.state(RotatorState).mechanical
        assert stopped is not None
        assert stopped < 290


async def test_a_lamp_shines_by_fractions(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "lamp") as (observatory, _):
        lamp = observatory.find(CoverCalibrator)
        await lamp.calibrator_on(0.5)
        now = observatory.state(CoverCalibratorState)
        assert now.calibrator is CalibratorStatus.READY
        assert now.brightness == pytest.approx(0.5, abs=0.01)
        await lamp.calibrator_off()
        assert observatory.state(CoverCalibratorState).calibrator is CalibratorStatus.OFF
        await lamp.open_cover()
        assert observatory.state(CoverCalibratorState).cover is CoverStatus.NOT_PRESENT, "nothing is in the way"


async def test_weather_is_measured_and_an_alert_is_unsafe(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "weather", "safety") as (observatory, server):
        await until(lambda: (state := observatory.latest(SafetyMonitorState)) and state.safe)
        now = observatory.state(WeatherState)
        assert now.temperature == pytest.approx(15.0)
        station = observatory.find(IndiProperties)
        await station.indi_set("WEATHER_CONTROL", {"Wind": 18.0})
        await until(lambda: observatory.state(WeatherState).wind_speed == pytest.approx(5.0))
        await station.indi_set("WEATHER_CONTROL", {"Precip": 1.0})
        await until(lambda: not observatory.state(SafetyMonitorState).safe)
        warned = "weather itself warns of WEATHER_RAIN_HOUR"
        await until(lambda: warned in observatory.state(SafetyMonitorState).reasons)
        await station.indi_set("WEATHER_CONTROL", {"Precip": 0.0})
        await until(
            lambda: observatory.state(SafetyMonitorState).safe, told=lambda: observatory.state(SafetyMonitorState)
        )
        # silence is unsafe too
        await server.kill()
        await until(lambda: not observatory.state(SafetyMonitorState).safe)
        await server.restart()
        await until(
            lambda: observatory.state(SafetyMonitorState).safe, told=lambda: observatory.state(SafetyMonitorState)
        )


async def test_sensors_are_named(indi_server: Starter, tmp_path: Path) -> None:
    sensors = {"wind_gust": {"parameter": "WEATHER_WIND_SPEED", "factor": 0.5, "offset": 1.0}}
    async with site_of(indi_server, tmp_path, "weather", weather={"sensors": sensors}) as (observatory, _):
        await observatory.find(IndiProperties).indi_set("WEATHER_CONTROL", {"Wind": 4.0})
        await until(lambda: (state := observatory.latest(WeatherState)) and state.wind_gust == pytest.approx(3.0))
        assert observatory.state(WeatherState).temperature is None
    with pytest.raises(ConfigError, match="there is no 'wnd' in the weather"):
        async with site_of(indi_server, tmp_path / "b", "weather", weather={"sensors": {"wnd": {"parameter": "A"}}}):
            raise AssertionError
