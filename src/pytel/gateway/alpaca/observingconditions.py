"""A weather station of ours as ASCOM's IObservingConditionsV2."""

from __future__ import annotations

from pytel.base import clock
from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range, invalid_value
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.weather import WeatherState, WeatherStation

SENSORS = {
    "CloudCover": ("cloud_cover", "part of the sky that is clouded, in percent"),
    "DewPoint": ("dew_point", "dew point in degrees Celsius"),
    "Humidity": ("humidity", "relative humidity in percent"),
    "Pressure": ("pressure", "air pressure at the station in hectopascals"),
    "RainRate": ("rain_rate", "rain in millimetres per hour"),
    "SkyBrightness": ("", ""),
    "SkyQuality": ("sky_brightness", "brightness of the sky in magnitudes per square arcsecond"),
    "SkyTemperature": ("sky_temperature", "temperature of the sky in degrees Celsius"),
    "StarFWHM": ("seeing", "seeing in arcseconds"),
    "Temperature": ("temperature", "air temperature in degrees Celsius"),
    "WindDirection": ("wind_direction", "where the wind comes from, in degrees from north through east"),
    "WindGust": ("wind_gust", "strongest gust in metres per second"),
    "WindSpeed": ("wind_speed", "wind speed in metres per second"),
}
"""The sensors of the standard: which of our readings, and what it is. pytel has no luxmeter."""


class AlpacaObservingConditions(Device):
    """Tells the last reading of a station."""

    kind = "observingconditions"
    type_name = "ObservingConditions"
    interface = WeatherStation
    interface_version = 2
    constants = {"AveragePeriod": 0.0}  # noqa: RUF012 - declared as such by the base
    missing = {"SkyBrightness": None}  # noqa: RUF012
    operational = tuple(SENSORS)

    def _reading(self) -> WeatherState:
        return self.site.state(self.address, WeatherState)

    def _read(self, sensor: str) -> float:
        field, _ = SENSORS[sensor]
        value: float | None = getattr(self._reading(), field) if field else None
        if value is None:
            raise absent(sensor)
        return value

    def _known(self, name: str) -> str:
        """A sensor by its name in any case that the station has. Raises `AlpacaError`."""
        for sensor in SENSORS:
            if sensor.lower() == name.strip().lower():
                self._read(sensor)
                return sensor
        raise invalid_value(f"there is no sensor {name[:50]!r}")

    @get("CloudCover")
    def cloud_cover(self) -> float:
        """Percent."""
        return self._read("CloudCover")

    @get("DewPoint")
    def dew_point(self) -> float:
        """Degrees Celsius."""
        return self._read("DewPoint")

    @get("Humidity")
    def humidity(self) -> float:
        """Percent."""
        return self._read("Humidity")

    @get("Pressure")
    def pressure(self) -> float:
        """Hectopascals at the station."""
        return self._read("Pressure")

    @get("RainRate")
    def rain_rate(self) -> float:
        """Millimetres per hour."""
        return self._read("RainRate")

    @get("SkyQuality")
    def sky_quality(self) -> float:
        """Magnitudes per square arcsecond."""
        return self._read("SkyQuality")

    @get("SkyTemperature")
    def sky_temperature(self) -> float:
        """Degrees Celsius."""
        return self._read("SkyTemperature")

    @get("StarFWHM")
    def star_fwhm(self) -> float:
        """Arcseconds."""
        return self._read("StarFWHM")

    @get("Temperature")
    def temperature(self) -> float:
        """Degrees Celsius."""
        return self._read("Temperature")

    @get("WindDirection")
    def wind_direction(self) -> float:
        """Degrees; north is 360, and 0 means that there is no wind."""
        direction = self._read("WindDirection")
        if self._reading().wind_speed == 0.0:
            return 0.0
        return direction % 360.0 or 360.0

    @get("WindGust")
    def wind_gust(self) -> float:
        """Metres per second."""
        return self._read("WindGust")

    @get("WindSpeed")
    def wind_speed(self) -> float:
        """Metres per second."""
        return self._read("WindSpeed")

    @get("SensorDescription", SensorName=str)
    def sensor_description(self, name: str) -> str:
        """What a sensor measures."""
        return SENSORS[self._known(name)][1]

    @get("TimeSinceLastUpdate", SensorName=str)
    def time_since_last_update(self, name: str) -> float:
        """Seconds since the reading; without a name: of any sensor."""
        if name.strip():
            self._known(name)
        return max(0.0, clock.time() - self._reading().measured.timestamp())

    @put("AveragePeriod", AveragePeriod=float)
    def set_average_period(self, client: Client, hours: float) -> None:
        """Readings are not averaged."""
        in_range(hours, 0.0, 0.0, "the average period")

    @put("Refresh")
    async def refresh(self, client: Client) -> None:
        """Have the station read its sensors."""
        await self.of(client, WeatherStation).read_weather()
