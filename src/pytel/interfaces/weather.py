"""Weather stations (ASCOM IObservingConditions, INDI weather)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pytel.base.units import (
    Arcsec,
    Azimuth,
    Celsius,
    Hectopascal,
    MagnitudePerSquareArcsec,
    MetresPerSecond,
    MillimetresPerHour,
    Percent,
)
from pytel.module import Interface, State, rpc


class WeatherState(State, frozen=True, kw_only=True):
    """One reading of all sensors; None for what the station has not. `measured` is when, in site time."""

    measured: Annotated[datetime, Meta(tz=True)]
    temperature: Celsius | None = None
    humidity: Percent | None = None
    dew_point: Celsius | None = None
    pressure: Hectopascal | None = None
    wind_speed: MetresPerSecond | None = None
    wind_gust: MetresPerSecond | None = None
    wind_direction: Azimuth | None = None
    rain_rate: MillimetresPerHour | None = None
    cloud_cover: Percent | None = None
    sky_temperature: Celsius | None = None
    sky_brightness: MagnitudePerSquareArcsec | None = None
    seeing: Arcsec | None = None
    alerts: tuple[str, ...] = ()
    """What the station itself warns of, by limits of its own; a safety monitor takes each for a reason."""


class WeatherStation(Interface, state=WeatherState):
    """Measures; it does not judge. A reading that could not be taken is not published."""

    several = True

    @rpc()
    async def read_weather(self) -> WeatherState:
        """Read the sensors now. Raises `DeviceError`, `DeviceTimeout`."""
        raise NotImplementedError
