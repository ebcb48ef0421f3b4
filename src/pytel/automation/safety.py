"""The safety monitor: weather against limits."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pytel.automation.limits import Fault, WeatherLimits, judge_age, judge_reading
from pytel.automation.verdict import Verdict
from pytel.base import clock
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Duration, MetresPerSecond, MillimetresPerHour, Percent
from pytel.interfaces.safety import SafetyChanged, SafetyMonitor, SafetyMonitorState
from pytel.interfaces.weather import WeatherState
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, on
from pytel.services import Module
from pytel.services.timing import patient

_REAL_PATIENCE = 2.0
"""Real seconds that computers may be late on a fast clock before that counts as silence."""


class WeatherSafetyMonitor(Module, SafetyMonitor):
    """Judges all weather stations by limits: one that is bad, silent or lacks a sensor makes the site unsafe.

    It starts unsafe, and says safe again only after all stations have been good for `good_for`. A station that was
    heard once must go on speaking; restart this module to forget it.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Limits (None switches one off) and times."""

        max_wind_speed: MetresPerSecond | None = 15.0
        max_wind_gust: MetresPerSecond | None = 20.0
        max_humidity: Percent | None = 88.0
        min_dew_point_spread: Celsius | None = 2.0
        max_rain_rate: MillimetresPerHour | None = 0.0
        max_cloud_cover: Percent | None = 80.0
        max_age: Duration = 18.0
        """A station that is silent for longer is bad; with the closing it is under the verdict's expiry."""
        good_for: Duration = 600.0
        heartbeat: Duration = 5.0
        expiry: Duration = 20.0
        require_weather: bool = True

    config: Config

    async def on_start(self) -> None:
        """Read what was declared, and begin unsafe."""
        names = WeatherLimits.__struct_fields__
        self._limits = WeatherLimits(**{name: getattr(self.config, name) for name in names})
        self._readings: dict[str, WeatherState] = {}
        self._heard: dict[str, datetime] = {}
        self._turned = asyncio.Event()
        self._max_age = patient(self.config.max_age, _REAL_PATIENCE)
        self._declared = await in_thread(_read_declared, self._file)
        self._verdict = Verdict(clock.now(), self.config.good_for)
        self._judge()
        self._publish()

    @on(WeatherState, policy="all")
    async def new_weather(self, weather: WeatherState) -> None:
        """Judge at once, in the turn of the reading."""
        station = str(self.sender())
        self._readings[station], self._heard[station] = weather, clock.now()
        self._judge()
        self._turned.set()

    @background
    async def watch(self) -> None:
        """Repeat the verdict, and notice silence the moment it has lasted too long."""
        next_beat = clock.time()
        while True:
            self._judge()
            if clock.time() >= next_beat - 1e-6:
                self._publish()
                next_beat = clock.time() + self.config.heartbeat
            self._turned.clear()
            await clock.wait_for_event(self._turned, min(next_beat, self._next_silence()) - clock.time())

    async def declare_unsafe(self, reason: str) -> None:
        """Keep the site closed until `clear_unsafe`, also over restarts."""
        self._declared = reason or "declared unsafe"
        self._judge()
        await in_thread(write_atomically, self._file, [msgspec.json.encode(self._declared)])

    async def clear_unsafe(self) -> None:
        """Let the sensors decide again."""
        await in_thread(self._file.unlink, True)
        self._declared = None
        self._judge()

    @property
    def _file(self) -> Path:
        return self.directory / "declared.json"

    def _judge(self) -> None:
        was_safe = self._verdict.safe
        if self._verdict.update(self._faults(), clock.now()):
            self._publish()
        if self._verdict.safe != was_safe:
            self.log.info("the site is %s: %s", "safe" if self._verdict.safe else "unsafe", self._verdict.reasons)
            self.publish(SafetyChanged(safe=self._verdict.safe, reasons=self._verdict.reasons))

    def _faults(self) -> list[Fault]:
        faults = [] if self._declared is None else [Fault("declared", self._declared)]
        if not self._readings and self.config.require_weather:
            faults.append(Fault("no-weather", "no weather station has spoken yet"))
        for station, weather in sorted(self._readings.items()):
            faults += judge_age(station, weather.measured, self._heard[station], clock.now(), self._max_age)
            faults += judge_reading(station, weather, self._limits)
        return faults

    def _next_silence(self) -> float:
        """When a station will have been silent for too long, or the verdict may turn good."""
        now = clock.time()
        spoken = [min(weather.measured, self._heard[station]) for station, weather in self._readings.items()]
        turns = [when.timestamp() + self._max_age for when in spoken]
        if self._verdict.good_from is not None and not self._verdict.safe:
            turns.append(self._verdict.good_from.timestamp())
        return min((turn for turn in turns if turn > now), default=float("inf"))

    def _publish(self) -> None:
        self.publish(
            SafetyMonitorState(
                safe=self._verdict.safe,
                reasons=self._verdict.reasons,
                expires=clock.now() + timedelta(seconds=patient(self.config.expiry, _REAL_PATIENCE)),
                since=self._verdict.since,
            )
        )


def _read_declared(path: Path) -> str | None:
    """What somebody declared before the last stop; a file that cannot be read counts as a declaration."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=str)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return f"declared unsafe, but {path} cannot be read: call clear_unsafe when all is well"
