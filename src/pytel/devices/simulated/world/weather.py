"""The weather station: what it measures of the climate."""

from __future__ import annotations

import math
from typing import Any

from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.skyglow import SkyGlow


class WeatherStation(Device):
    """Reports what its sensors read at regular intervals."""

    name = "weather"

    def __init__(self, site: Site, climate: Climate, glow: SkyGlow) -> None:
        super().__init__(site)
        self.climate = climate
        self.glow = glow

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report the last reading; `time` tells when it was taken."""
        interval = self.site.config.weather.report_interval
        taken, climate = math.floor(self.local(now) / interval) * interval, self.climate
        return {
            "time": taken,
            "temperature": climate.temperature(taken),
            "humidity": climate.humidity(taken),
            "dew_point": climate.dew_point(taken),
            "pressure": climate.pressure(taken),
            "wind_speed": climate.wind_speed(taken),
            "wind_gust": climate.wind_gust(taken),
            "wind_direction": climate.wind_direction(taken),
            "rain_rate": climate.rain_rate(taken),
            "sky_temperature": climate.sky_temperature(taken),
            "cloud_cover": climate.cloud_cover(taken),
            "seeing": climate.seeing(taken),
            "sky_brightness": self.glow.zenith(taken),
        }

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report a fine night."""
        fine = {"humidity": 40.0, "wind_speed": 2.0, "wind_gust": 3.0, "rain_rate": 0.0, "cloud_cover": 0.0}
        return (
            status | fine | {"dew_point": status["temperature"] - 13.0, "sky_temperature": status["temperature"] - 30.0}
        )
