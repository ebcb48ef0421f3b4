"""The driver of the simulated weather station."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.units import Duration
from pytel.devices.simulated.connection import SimulatedDevice, connect_device
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.config import ModuleConfig
from pytel.services import Module, every
from pytel.services.timing import answered

_FIELDS = frozenset(WeatherState.__struct_fields__) - {"measured"}


class SimulatedWeather(Module, WeatherStation):
    """Reads the sensors of the simulated world. A reading that cannot be taken is an alarm, and silence."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """How often it measures, and how long it waits for its sensors."""

        period: Duration = 5.0
        answer_time: Duration = 2.0
        oldest: Duration = 15.0
        """When the same reading comes for longer than this, the station hangs."""

    config: Config
    device: SimulatedDevice
    _first_seen = (0.0, 0.0)
    """The station's time of its last reading, and ours."""

    async def on_start(self) -> None:
        """Connect."""
        self.device = await connect_device(self, "weather")

    @every("period")
    async def measure(self) -> None:
        """Take a reading and publish it."""
        self.publish(await self._read())

    async def read_weather(self) -> WeatherState:
        """Read the sensors now."""
        return await self._read()

    async def _read(self) -> WeatherState:
        said = await answered(self.device.status(), self.config.answer_time, str(self.address), "tell the weather")
        self._refuse_old(said["time"])
        return state_of(said, self._first_seen[1])

    def _refuse_old(self, reading: float) -> None:
        """Notice a station that repeats itself; its own clock may be wrong and is not believed."""
        now = clock.time()
        if reading != self._first_seen[0]:
            self._first_seen = (reading, now)
        if now - self._first_seen[1] > self.config.oldest:
            raise DeviceError(
                f"{self.address} repeats an old reading; switch the station off and on", device=str(self.address)
            )


def state_of(said: dict[str, Any], measured: float) -> WeatherState:
    """Turn the station's words into a state; its cloud cover is a fraction."""
    values = {name: value for name, value in said.items() if name in _FIELDS}
    if values.get("cloud_cover") is not None:
        values["cloud_cover"] = 100.0 * values["cloud_cover"]
    return WeatherState(measured=datetime.fromtimestamp(measured, UTC), **values)
