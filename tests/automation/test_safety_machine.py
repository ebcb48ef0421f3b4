"""Any sequence of readings, silences, restarts and set clocks, under any rules: never safe while it is not, and in the
end safe when all is good.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytel.automation.limits import RainRule, SpeedRule, WeatherRules
from pytel.automation.safety import WeatherSafetyMonitor
from pytel.base import clock
from pytel.base.location import Location
from pytel.base.virtual import VirtualEventLoop
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module

MAX_AGE = 18.0
START = 1.8e9
STATIONS = ("east", "west")


class Settable(clock.Clock):
    """A clock that somebody sets."""

    def __init__(self, other: clock.Clock) -> None:
        self._other, self.ahead = other, 0.0

    def time(self) -> float:
        """Site time."""
        return self._other.time() + self.ahead


class Station(Module, WeatherStation):
    """Publishes what the machine says."""


class Safety(RuleBasedStateMachine):
    """The real monitor on a loop of its own, and what one may demand of it, written down a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualEventLoop)
        self.before = clock.current()
        self.clock = Settable(clock.VirtualClock(self.runner.get_loop(), START))
        clock.install(self.clock)
        self.folder = tempfile.TemporaryDirectory()

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize(
        limit=st.floats(5.0, 30.0),
        part=st.floats(0.0, 1.0) | st.none(),
        wind_clear=st.none() | st.floats(0.0, 900.0),
        rain_clear=st.none() | st.floats(0.0, 900.0),
        clear_after=st.floats(0.0, 600.0),
        required=st.sampled_from([("east",), STATIONS]),
    )
    def begin(
        self,
        limit: float,
        part: float | None,
        wind_clear: float | None,
        rain_clear: float | None,
        clear_after: float,
        required: tuple[str, ...],
    ) -> None:
        release = limit if part is None else limit * part
        wind = SpeedRule(unsafe_above=limit, safe_below=None if part is None else release, clear_after=wind_clear)
        others = dict.fromkeys(("wind_gust", "humidity", "dew_point_spread", "cloud_cover"))
        rules = WeatherRules(**others, wind_speed=wind, rain_rate=RainRule(unsafe_above=0.0, clear_after=rain_clear))
        self.limit, self.release = limit, release
        self.clear = {
            "wind": clear_after if wind_clear is None else wind_clear,
            "rain": clear_after if rain_clear is None else rain_clear,
            "other": clear_after,
        }
        self.required = required
        self.config = WeatherSafetyMonitor.Config(
            rules=rules, clear_after=clear_after, sun=None, disk=None, required=required, max_age=MAX_AGE
        )
        self.windy: dict[str, bool] = {}
        self.last: dict[str, tuple[float, float, float, float]] = {}  # elapsed, measured, wind, rain
        self.clear_at = 0.0
        self.do(self._open())

    async def _open(self) -> None:
        self.hub = LocalHub()
        location = Location(latitude=-32.38, longitude=20.81)
        self.site = SiteInfo(name="test", location=location, state_dir=Path(self.folder.name))
        self.stations = {name: await self._start(Station, name) for name in STATIONS}
        self.monitor = await self._start(WeatherSafetyMonitor, "safety", self.config)
        self.ears = await self._start(Station, "ears")
        self.ears.module.follow(SafetyMonitorState)
        self._started()

    async def _start(self, kind: type[Module], name: str, config: Any = None) -> ModuleRuntime:
        runtime = ModuleRuntime(kind, config=config, site=self.site, bus=self.hub.bus(Address(name)))
        await runtime.start()
        return runtime

    def _started(self) -> None:
        self.clear_at = clock.elapsed() + max(self.clear.values())

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # what may happen

    @rule(
        station=st.sampled_from(STATIONS),
        wind=st.sampled_from(["calm", "calm", "released", "between", "at the limit", "storm"]),
        rain=st.sampled_from([0.0, 0.0, 0.0, 0.01, 5.0]),
        error=st.sampled_from([0.0, 0.0, 0.0, 0.0, -10.0, 10.0, 40.0, -40.0, 3600.0]),
    )
    def reading(self, station: str, wind: str, rain: float, error: float) -> None:
        speeds = {
            "calm": 0.0,
            "released": self.release,
            "between": (self.release + self.limit) / 2.0,
            "at the limit": self.limit,
            "storm": self.limit + 0.1,
        }
        self.do(self._publish(station, speeds[wind], rain, error))

    @rule(station=st.sampled_from(STATIONS))
    def a_storm_calms_down_a_little(self, station: str) -> None:
        self.do(self._publish(station, self.limit + 0.1, 0.0, 0.0))
        self.do(self._publish(station, (self.release + self.limit) / 2.0, 0.0, 0.0))
        self.do(self._go_on("clear"))

    @precondition(lambda self: self.last)
    @rule(until=st.sampled_from([5.0, 60.0, "nearly clear", "clear"]))
    def it_goes_on(self, until: float | str) -> None:
        """The stations repeat what they said last."""
        self.do(self._go_on(until))

    async def _go_on(self, until: float | str) -> None:
        now = clock.elapsed()
        ends = now + until if isinstance(until, float) else self.clear_at + (0.1 if until == "clear" else -0.5)
        ends = min(ends, now + 900.5)
        while (left := ends - clock.elapsed()) > 0:
            for station, (_, _, wind, rain) in list(self.last.items()):
                await self._publish(station, wind, rain, 0.0)
            await asyncio.sleep(min(5.0, left))

    async def _publish(self, station: str, wind: float, rain: float, error: float) -> None:
        measured = clock.now() + timedelta(seconds=error)
        self.stations[station].module.publish(WeatherState(measured=measured, wind_speed=wind, rain_rate=rain))
        now = clock.elapsed()
        self.windy[station] = wind > self.limit or (self.windy.get(station, False) and wind > self.release)
        self.last[station] = (now, measured.timestamp(), wind, rain)
        if self.windy[station]:
            self.clear_at = max(self.clear_at, now + self.clear["wind"])
        if rain > 0.0:
            self.clear_at = max(self.clear_at, now + self.clear["rain"])
        await asyncio.sleep(0.001)

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0, 17.0, 19.0, 60.0]))
    def silence(self, seconds: float) -> None:
        self.do(self._pass(seconds))

    @rule(seconds=st.sampled_from([-86400.0, -60.0, -5.0, 5.0, 60.0, 3600.0]))
    def set_clock(self, seconds: float) -> None:
        self.clock.ahead += seconds
        self.do(self._pass(5.5))

    @rule()
    def restart(self) -> None:
        self.do(self._restart())

    async def _restart(self) -> None:
        await self.monitor.crash()
        self.windy.clear()
        self.monitor = await self._start(WeatherSafetyMonitor, "safety", self.config)
        self._started()
        await asyncio.sleep(0.001)
        # The last word of each station is kept by the bus, and heard again.
        self.windy = {station: wind > self.limit for station, (_, _, wind, _) in self.last.items()}

    @precondition(lambda self: self.last)
    @rule()
    def all_is_good_for_long_enough(self) -> None:
        self.do(self._be_good())
        assert self.safe(), self.state()

    async def _be_good(self) -> None:
        ends = clock.elapsed() + max(*self.clear.values(), MAX_AGE) + 6.0
        while clock.elapsed() < ends:
            for station in STATIONS:
                await self._publish(station, 0.0, 0.0, 0.0)
            await asyncio.sleep(5.0)

    # what must hold

    def state(self) -> SafetyMonitorState | None:
        return self.ears.module.latest(SafetyMonitorState)

    def safe(self) -> bool:
        state = self.state()
        return state is not None and state.safe

    @invariant()
    def never_safe_while_something_is_wrong(self) -> None:
        if not hasattr(self, "ears") or not self.do(self._says_safe()):
            return
        now, site_time = self.do(self._times())
        assert set(self.required) <= set(self.last), "a required station has never spoken"
        assert now >= self.clear_at - 1e-6, "something has not been good for its time"
        for station, (heard, measured, wind, rain) in self.last.items():
            assert now - heard <= MAX_AGE + 0.01, f"{station} is silent"
            assert abs(site_time - measured) <= MAX_AGE + 5.6, f"{station} lives in another time"
            assert not self.windy[station], f"wind of {wind} at {station}, limits {self.release} and {self.limit}"
            assert rain == 0.0, f"rain at {station}"

    async def _says_safe(self) -> bool:
        return self.safe()

    async def _times(self) -> tuple[float, float]:
        return clock.elapsed(), clock.time()

    def teardown(self) -> None:
        async def close() -> None:
            for runtime in (self.ears, self.monitor, *self.stations.values()):
                await runtime.stop()

        if hasattr(self, "ears"):
            self.do(close())
        self.runner.close()
        clock.install(self.before)
        self.folder.cleanup()


Safety.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestSafety = Safety.TestCase
