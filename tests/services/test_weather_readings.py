"""What a station tells becomes weather that the bus takes, or a typed error."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pytel.base.errors import DeviceError
from pytel.interfaces.weather import WeatherState
from pytel.module.rpc import from_builtins, to_builtins
from pytel.services.weather_readings import plausible

SENSORS = sorted({field.name for field in structs.fields(WeatherState)} - {"measured", "alerts"})


@given(st.sampled_from(SENSORS), st.floats())
def test_every_value_is_weather_or_an_error(sensor: str, value: float) -> None:
    try:
        reading: dict[str, Any] = {sensor: plausible(sensor, value, "station")}
    except DeviceError:
        return
    state = WeatherState(measured=datetime(2026, 11, 23, tzinfo=UTC), **reading)
    assert from_builtins(to_builtins(state), WeatherState, "weather") == state


def test_north_is_nought_and_wet_is_all() -> None:
    assert plausible("wind_direction", 360.0, "s") == 0.0
    assert plausible("humidity", 100.7, "s") == 100.0
    for value in (-7.0, 140.0, math.nan):
        with pytest.raises(DeviceError, match="humidity is told as"):
            plausible("humidity", value, "s")
