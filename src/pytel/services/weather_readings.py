"""What stations tell, as it may go over the bus: weather, and not the nonsense of a broken sensor."""

from __future__ import annotations

from pytel.base.errors import DeviceError

_BOUNDS = {
    "cloud_cover": (0.0, 100.0),
    "dew_point": (-120.0, 60.0),
    "humidity": (0.0, 110.0),
    "pressure": (300.0, 1200.0),
    "rain_rate": (0.0, 2000.0),
    "sky_brightness": (-30.0, 30.0),
    "sky_temperature": (-150.0, 80.0),
    "seeing": (0.0, 100.0),
    "temperature": (-100.0, 70.0),
    "wind_direction": (0.0, 360.0),
    "wind_gust": (0.0, 150.0),
    "wind_speed": (0.0, 150.0),
}
"""In the units of `WeatherState`."""


def plausible(sensor: str, value: float, station: str) -> float:
    """A sensor's value as `WeatherState` has it: north is 0 degrees and never 360, and a wet sensor tells 100 %.

    Raises `DeviceError` for what is no weather.
    """
    lowest, highest = _BOUNDS[sensor]
    if not lowest <= value <= highest:
        raise DeviceError(
            f"{station}: {sensor} is told as {value:g}, which is not from {lowest:g} to {highest:g}; "
            "look at that sensor, and at its unit",
            device=station,
        )
    if sensor == "wind_direction":
        return value % 360.0
    return min(value, 100.0) if sensor == "humidity" else value


__all__ = ["plausible"]
