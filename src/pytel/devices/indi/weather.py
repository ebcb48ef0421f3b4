"""Weather stations of INDI."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, field, structs

from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Seconds
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.config import ModuleConfig
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.services import every
from pytel.services.weather_readings import plausible

_PARAMETERS = "WEATHER_PARAMETERS"
_SENSORS = frozenset(sensor.name for sensor in structs.fields(WeatherState)) - {"measured", "alerts"}


class IndiSensor(Struct, frozen=True, kw_only=True):
    """A member of WEATHER_PARAMETERS; the value on the bus is theirs times `factor` plus `offset`."""

    parameter: str
    factor: float = 1.0
    offset: float = 0.0


_KMH = 1.0 / 3.6
_USUAL: dict[str, IndiSensor] = {
    "temperature": IndiSensor(parameter="WEATHER_TEMPERATURE"),
    "humidity": IndiSensor(parameter="WEATHER_HUMIDITY"),
    "dew_point": IndiSensor(parameter="WEATHER_DEWPOINT"),
    "pressure": IndiSensor(parameter="WEATHER_PRESSURE"),
    "wind_speed": IndiSensor(parameter="WEATHER_WIND_SPEED", factor=_KMH),
    "wind_gust": IndiSensor(parameter="WEATHER_WIND_GUST", factor=_KMH),
    "wind_direction": IndiSensor(parameter="WEATHER_WIND_DIRECTION"),
    "rain_rate": IndiSensor(parameter="WEATHER_RAIN_HOUR"),
    "cloud_cover": IndiSensor(parameter="WEATHER_CLOUD_COVER"),
    "sky_temperature": IndiSensor(parameter="WEATHER_SKY_TEMP"),
}
"""The names and units that most INDI drivers use: Celsius, percent, hPa, km/h, mm/h."""


class IndiWeather(IndiDriver, WeatherStation):
    """Reads a weather station of an INDI server. A reading that cannot be taken is an alarm, and silence."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The device, its sensors, and how often they are read."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        period: Annotated[Seconds, Meta(gt=0)] = 5.0
        update_period: Annotated[Seconds, Meta(ge=1)] = 5.0
        """How often the INDI driver asks its station (WEATHER_UPDATE)."""
        oldest: Duration = 60.0
        """When the INDI driver has told nothing for longer than this, the station hangs."""
        sensors: dict[str, IndiSensor] = field(default_factory=dict)
        """Instead of the usual names and units, by name in the state: `{wind_speed: {parameter: WIND, factor: 0.28}}`;
        with one that is named only those named are read."""
        trust_alerts: bool = True
        """Hand on what the INDI driver itself warns of (its own limits): it is unsafe then."""

        def faults(self) -> Iterator[Found]:
            """Tell of sensors that do not exist."""
            for name in self.sensors:
                if name not in _SENSORS:
                    yield (
                        ("sensors", name),
                        f"there is no {name!r} in the weather; it has {', '.join(sorted(_SENSORS))}",
                    )

    config: Config

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(_PARAMETERS)

    async def read_capabilities(self) -> None:
        """Make sure that a sensor is there that is wanted."""
        wanted = self.config.sensors
        there = self.indi.vector(_PARAMETERS).members
        missing = [sensor.parameter for sensor in wanted.values() if sensor.parameter not in there]
        if missing or not self._sensors():
            raise DeviceError(
                f"{self.indi.name} has no {', '.join(missing) or 'sensor of the usual names'}; it has "
                f"{', '.join(there)}: name them under 'sensors'",
                device=str(self.address),
            )

    async def on_connect(self) -> None:
        """Have the station asked often enough."""
        if self.indi.has("WEATHER_UPDATE", "PERIOD"):
            await self.indi.set("WEATHER_UPDATE", {"PERIOD": self.config.update_period}, self.config.connect_time)

    def _sensors(self) -> dict[str, IndiSensor]:
        there = self.indi.vector(_PARAMETERS).members
        known = self.config.sensors or _USUAL
        return {name: sensor for name, sensor in known.items() if sensor.parameter in there}

    @every("period")
    async def measure(self) -> None:
        """Take a reading and publish it, as soon as the station has measured since the connect."""
        if self.indi.vector(_PARAMETERS).updated is not None or self._age() > self.config.oldest:
            self.publish(self._read())

    async def read_weather(self) -> WeatherState:
        """Read the sensors now."""
        return self._read()

    def _read(self) -> WeatherState:
        vector, age = self.indi.vector(_PARAMETERS), self._age()
        # What a device tells when it is asked for its properties may be of any age.
        if age > self.config.oldest or vector.updated is None:
            raise DeviceError(
                f"{self.indi.name} has told no weather for {age:.0f} s; look at its station", device=str(self.address)
            )
        values = {
            name: plausible(name, vector.number(sensor.parameter) * sensor.factor + sensor.offset, str(self.address))
            for name, sensor in self._sensors().items()
        }
        return WeatherState(measured=datetime.fromtimestamp(vector.updated, UTC), alerts=self._alerts(), **values)

    def _age(self) -> Seconds:
        vector = self.indi.vector(_PARAMETERS)
        return clock.time() - (vector.received if vector.updated is None else vector.updated)

    def _alerts(self) -> tuple[str, ...]:
        if not self.config.trust_alerts or not self.indi.has("WEATHER_STATUS"):
            return ()
        status = self.indi.vector("WEATHER_STATUS")
        named = tuple(name for name, member in status.members.items() if member.value == PropertyState.ALERT.value)
        return named or (("WEATHER_STATUS",) if status.state is PropertyState.ALERT else ())
