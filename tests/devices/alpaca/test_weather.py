"""What a weather station of Alpaca may tell, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import until
from pytel.base import clock
from pytel.base.errors import DeviceError, DeviceTimeout, NotReady, PytelError
from pytel.interfaces import SafetyMonitorState, WeatherState, WeatherStation
from pytel.testing import Observatory

from .site_kit import site_of
from .stand_in import SILENCE, Fault, StandIn

pytestmark = pytest.mark.slow
KIND = "observingconditions"
TOLD = {f"{KIND}/temperature": 12.5, f"{KIND}/humidity": 55.0}
SAFETY: dict[str, Any] = {"type": "weather-safety", "clear_after": "1 s", "sun": None, "disk": None}
JUDGED = TOLD | {f"{KIND}/{name}": 1.0 for name in ("rainrate", "windspeed", "windgust", "cloudcover", "dewpoint")}


@contextlib.asynccontextmanager
async def station(folder: Path, **values: Any) -> AsyncIterator[tuple[StandIn, Observatory]]:
    told = {f"{KIND}/{name}": value for name, value in values.items()}
    async with StandIn({**TOLD, **told}) as device, site_of(device.address, folder, "weather") as observatory:
        await until(lambda: observatory.latest(WeatherState))
        yield device, observatory


async def test_units_are_ours_and_what_is_not_there_is_absent(tmp_path: Path) -> None:
    values = {"rainrate": 2.5, "winddirection": 360.0, "windspeed": 7.0, "skyquality": 21.3, "skybrightness": 0.01}
    async with station(tmp_path, humidity=103.0, pressure=740.2, **values) as (_, observatory):
        weather = observatory.state(WeatherState)
        assert (weather.rain_rate, weather.wind_speed, weather.pressure) == (2.5, 7.0, 740.2)
        assert weather.wind_direction == 0.0, "ASCOM's north is 360"
        assert weather.humidity == 100.0, "a wet sensor"
        assert weather.sky_brightness == 21.3, "magnitudes, not lux"
        missing = (weather.cloud_cover, weather.dew_point, weather.seeing, weather.sky_temperature, weather.wind_gust)
        assert missing == (None,) * 5


async def test_a_reading_is_as_old_as_its_oldest_sensor(tmp_path: Path) -> None:
    def age(given: Any) -> float:
        return 40.0 if given["SensorName"] == "Humidity" else 1.0

    async with station(tmp_path, timesincelastupdate=age) as (device, observatory):
        weather = await observatory.find(WeatherStation).read_weather()
        assert clock.now() - weather.measured >= timedelta(seconds=40)
        device.values[f"{KIND}/timesincelastupdate"] = 61.0
        with pytest.raises(DeviceError, match="has told nothing for 61 s"):
            await observatory.find(WeatherStation).read_weather()


@pytest.mark.parametrize(
    ("member", "value", "error"),
    [
        ("temperature", float("nan"), DeviceError),
        ("temperature", -300.0, DeviceError),
        ("temperature", "mild", DeviceError),
        ("temperature", None, DeviceError),
        ("temperature", True, DeviceError),
        ("humidity", 1e9, DeviceError),
        ("humidity", Fault(0x402), NotReady),
        ("humidity", Fault(0x500), DeviceError),
        ("humidity", Fault(0x400), PytelError),
        ("humidity", SILENCE, DeviceTimeout),
        ("timesincelastupdate", -1.0, DeviceError),
        ("timesincelastupdate", 3600.0, DeviceError),
    ],
)
async def test_what_cannot_be_is_not_published(
    tmp_path: Path, member: str, value: object, error: type[PytelError]
) -> None:
    async with station(tmp_path, timesincelastupdate=0.0) as (device, observatory):
        right = device.values[f"{KIND}/{member}"]
        device.values[f"{KIND}/{member}"] = value
        for _ in range(2):  # one that was under way may still end well
            with contextlib.suppress(PytelError):
                await observatory.find(WeatherStation).read_weather()
        before = len(observatory.heard(WeatherState))
        with pytest.raises(error):
            await observatory.find(WeatherStation).read_weather()
        await asyncio.sleep(1.5)
        assert len(observatory.heard(WeatherState)) == before, "nothing is published"
        device.values[f"{KIND}/{member}"] = right
        await until(lambda: len(observatory.heard(WeatherState)) > before)


async def test_a_station_that_falls_silent_is_unsafe_within_half_a_minute(tmp_path: Path) -> None:
    async with (
        StandIn(JUDGED | {f"{KIND}/rainrate": 0.0}) as device,
        site_of(device.address, tmp_path, "weather", also={"safety": SAFETY}) as observatory,
    ):

        def is_safe() -> bool:
            state = observatory.latest(SafetyMonitorState)
            return state is not None and state.safe

        await until(is_safe)
        device.values[f"{KIND}/humidity"] = SILENCE
        await until(lambda: not is_safe(), 30.0)
        device.values[f"{KIND}/humidity"] = 55.0
        await until(is_safe)
