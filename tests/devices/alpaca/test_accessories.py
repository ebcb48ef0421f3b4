"""Weather, covers and switches on alpaca-simulators."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_kit import until
from pytel.base.errors import DeviceError, InvalidParams, LimitExceeded
from pytel.interfaces import (
    CoverCalibrator,
    CoverCalibratorCapabilities,
    CoverCalibratorState,
    CoverStatus,
    Switch,
    SwitchCapabilities,
    SwitchState,
    WeatherState,
)

from .site_kit import put, site_of

pytestmark = pytest.mark.slow


async def test_a_station_is_read(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "weather") as observatory:
        weather = await until(lambda: observatory.latest(WeatherState))
        assert (weather.temperature, weather.humidity, weather.pressure) == (15.0, 60.0, 1013.25)
        assert (weather.wind_speed, weather.wind_gust, weather.wind_direction) == (3.0, 5.0, 180.0)
        assert (weather.sky_temperature, weather.sky_brightness, weather.seeing) == (-40.0, 20.0, 2.5)
        await put(alpaca_server, "observingconditions/0/rainrate", RainRate="3.5")
        await until(lambda: observatory.state(WeatherState).rain_rate == 3.5)


async def test_a_cover_opens_and_closes(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "cover") as observatory:
        able = await observatory.capabilities_of(CoverCalibratorCapabilities)
        assert (able.has_cover, able.has_calibrator) == (True, False)
        cover = observatory.find(CoverCalibrator)
        await cover.open_cover()
        assert observatory.state(CoverCalibratorState).cover is CoverStatus.OPEN
        await cover.close_cover()
        assert observatory.state(CoverCalibratorState).cover is CoverStatus.CLOSED
        with pytest.raises(DeviceError):
            await cover.calibrator_on(0.5)


async def test_ports_are_set_by_name(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "power") as observatory:
        ports = {port.name: port for port in (await observatory.capabilities_of(SwitchCapabilities)).ports}
        assert ports["Power Switch 1"].is_boolean
        assert ports["Dimmer 1"].step == pytest.approx(0.1)
        power = observatory.find(Switch)
        await power.turn_on("Power Switch 1")
        await power.set_port("Dimmer 1", 0.3)
        values = observatory.state(SwitchState).values
        assert values["Power Switch 1"] == 1.0
        assert values["Dimmer 1"] == pytest.approx(0.3)
        with pytest.raises(LimitExceeded):
            await power.set_port("Dimmer 1", 2.0)
        with pytest.raises(InvalidParams, match="steps"):
            await power.set_port("Dimmer 1", 0.33)
        with pytest.raises(InvalidParams, match="no port"):
            await power.turn_on("Heater")
