"""The weather station of a foreign system."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Seconds
from pytel.devices.foreign.client import ForeignSystem
from pytel.devices.foreign.device import ForeignCall, ForeignDevice, Question, faults_of_config, open_device
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.config import ModuleConfig
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.services import Module, every

_OWN_TIME = "measured"
_SENSORS: list[Any] = [
    (field.encode_name, field.type, field.default)
    for field in msgspec.structs.fields(WeatherState)
    if field.encode_name not in (_OWN_TIME, "alerts")
]
WeatherReport: Any = msgspec.defstruct(
    "WeatherReport",
    [*_SENSORS, (_OWN_TIME, Annotated[datetime, Meta(tz=True)] | None, None)],
    bases=(Struct,),
    frozen=True,
    kw_only=True,
)
"""What is wanted of `read`: the sensors of a `WeatherState`, and when that system has measured, if it tells."""
QUESTIONS = {"read": Question(wants=WeatherReport, again=True)}


class ForeignWeather(Module, WeatherStation):
    """Presents the weather of a foreign system. A reading that cannot be taken is an alarm, and silence."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The system, how it is asked, and how often."""

        system: ForeignSystem
        read: ForeignCall
        period: Annotated[Seconds, Meta(gt=0)] = 5.0
        oldest: Duration = 60.0
        """When `measured` has not moved on for longer than this, the station hangs."""

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with the mapping."""
            yield from faults_of_config(self, QUESTIONS)
            if not set(self.read.result) - {_OWN_TIME}:
                yield ("read",), "the weather has no sensor: map at least one under 'result'"

    config: Config
    device: ForeignDevice
    _seen: tuple[datetime, Seconds, float] | None = None
    """The system's latest time of a reading; when that came, elapsed and as site time."""

    async def on_start(self) -> None:
        """Make ready."""
        self.device = await open_device(self, QUESTIONS)

    @every("period")
    async def measure(self) -> None:
        """Take a reading and publish it."""
        self.publish(await self._read())

    async def read_weather(self) -> WeatherState:
        """Ask for the weather now."""
        return await self._read()

    async def _read(self) -> WeatherState:
        report = msgspec.structs.asdict(await self.device.ask("read"))
        measured = self._when(report.pop(_OWN_TIME))
        return WeatherState(measured=datetime.fromtimestamp(measured, UTC), **report)

    def _when(self, told: datetime | None) -> float:
        """When a reading was taken, by our clock: theirs may be wrong. Raises `DeviceError` for an old one."""
        if told is None:
            return clock.time()
        if self._seen is None:
            # What comes first may have been there for hours: it is fresh if it says so, or once it moves on.
            is_fresh = abs(clock.time() - told.timestamp()) <= self.config.oldest
            self._seen = (told, clock.elapsed() if is_fresh else float("-inf"), clock.time())
        elif told > self._seen[0]:
            self._seen = (told, clock.elapsed(), clock.time())
        if clock.elapsed() - self._seen[1] > self.config.oldest:
            raise DeviceError(
                f"{self.address}: the foreign system repeats an old reading of its weather; look at its station, and "
                "restart this module if its clock was set back",
                device=str(self.address),
            )
        return self._seen[2]
