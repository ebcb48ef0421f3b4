"""Weather stations of Alpaca (ObservingConditions)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import DeviceError, MethodNotFound, PytelError
from pytel.base.units import Duration, Seconds
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.config import ModuleConfig
from pytel.services import every
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.weather_readings import plausible

_SENSORS = {
    "CloudCover": "cloud_cover",
    "DewPoint": "dew_point",
    "Humidity": "humidity",
    "Pressure": "pressure",
    "RainRate": "rain_rate",
    "SkyQuality": "sky_brightness",
    "SkyTemperature": "sky_temperature",
    "StarFWHM": "seeing",
    "Temperature": "temperature",
    "WindDirection": "wind_direction",
    "WindGust": "wind_gust",
    "WindSpeed": "wind_speed",
}
"""The sensors of the standard; their units are ours."""


class AlpacaWeather(AlpacaDriver, WeatherStation):
    """Reads a weather station of an Alpaca server. A reading that cannot be taken is an alarm, and silence."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The device, and how often it is read."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        period: Annotated[Seconds, Meta(ge=1, le=10)] = 5.0
        oldest: Duration = 60.0
        """When a sensor has told nothing for longer than this, the station hangs."""

    config: Config
    device_type = "observingconditions"
    _sensors: tuple[str, ...] = ()

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()

    async def read_capabilities(self) -> None:
        """Find out which sensors there are."""
        there = await asyncio.gather(*(self._is_there(sensor) for sensor in _SENSORS))
        self._sensors = tuple(sensor for sensor, has in zip(_SENSORS, there, strict=True) if has)
        if not self._sensors:
            raise DeviceError(
                f"{self.address}: this station has none of the sensors {', '.join(_SENSORS)}", device=str(self.address)
            )

    async def _is_there(self, sensor: str) -> bool:
        """Whether it has a sensor; one that has nothing to tell at the moment is there."""
        try:
            await self.alpaca.get(sensor.lower(), ANSWER)
        except MethodNotFound:
            return False
        except PytelError as error:
            if "number" not in error.data:
                raise
        return True

    @every("period")
    async def measure(self) -> None:
        """Take a reading and publish it."""
        self.publish(await self._read())

    async def read_weather(self) -> WeatherState:
        """Read the sensors now."""
        return await self._read()

    async def _read(self) -> WeatherState:
        sensors = self._sensors
        told = await asyncio.gather(*(self._value(sensor) for sensor in sensors))
        ages = await asyncio.gather(*(self._age(sensor) for sensor in sensors))
        values: dict[str, Any] = {_SENSORS[sensor]: value for sensor, value in zip(sensors, told, strict=True)}
        return WeatherState(measured=datetime.fromtimestamp(clock.time() - max(ages), UTC), **values)

    async def _value(self, sensor: str) -> float:
        value = await self.alpaca.number_of(sensor.lower(), ANSWER)
        return plausible(_SENSORS[sensor], value, str(self.address))

    async def _age(self, sensor: str) -> Seconds:
        """How old a sensor's value is; where the station does not know that, it is taken for fresh."""
        try:
            age = await self.alpaca.number_of("timesincelastupdate", ANSWER, SensorName=sensor)
        except MethodNotFound:
            return 0.0
        if not 0.0 <= age <= self.config.oldest:
            what = "nothing yet" if age < 0 else f"nothing for {age:.0f} s"
            raise DeviceError(
                f"{self.address}: {sensor} has told {what}; look at the station", device=str(self.address)
            )
        return age
