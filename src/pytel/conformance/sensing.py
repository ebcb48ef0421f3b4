"""What does not move: weather stations and safety monitors."""

from __future__ import annotations

from datetime import timedelta

from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.weather import WeatherState
from pytel.module.rpc import from_builtins

_PLAUSIBLE = {
    "temperature": (-90.0, 60.0),
    "humidity": (0.0, 100.0),
    "dew_point": (-110.0, 60.0),
    "pressure": (300.0, 1100.0),
    "wind_speed": (0.0, 120.0),
    "wind_gust": (0.0, 150.0),
    "wind_direction": (0.0, 360.0),
    "rain_rate": (0.0, 2000.0),
    "cloud_cover": (0.0, 100.0),
    "sky_temperature": (-150.0, 60.0),
    "sky_brightness": (-30.0, 25.0),
    "seeing": (0.0, 100.0),
}
"""Beyond these no place on Earth has ever been: a sensor that says so is broken, or its unit is another."""
_OLDEST = timedelta(minutes=10)


async def check_weather(trial: Trial) -> None:
    """Read twice; what is read must be plausible, and no older than before."""
    device = trial.device

    async def read() -> WeatherState:
        state: WeatherState = from_builtins(await device.call("read_weather", 30.0), WeatherState, "read_weather")
        for name, (lowest, highest) in _PLAUSIBLE.items():
            value = getattr(state, name)
            if value is not None and not lowest <= value <= highest:
                raise Deviation(f"{name} is {value:g}: no place on Earth has that; look at its unit")
        if all(getattr(state, name) is None for name in _PLAUSIBLE):
            raise Deviation("it measures nothing")
        return state

    def sensors(state: WeatherState) -> str:
        return ", ".join(name for name in _PLAUSIBLE if getattr(state, name) is not None)

    first = await trial.step("reads its sensors", read, detail=sensors)
    if first is None:
        return

    async def again() -> None:
        state = await read()
        if state.measured < first.measured:
            raise Deviation("its second reading is older than the first")
        _, told = await device.state_and_time(WeatherState)
        if told - state.measured > _OLDEST:
            raise Deviation(f"its reading of {state.measured:%H:%M:%S} is old")

    await trial.step("reads them again", again)


async def check_safety(trial: Trial) -> None:
    """A verdict that holds for some time, with reasons where it is unsafe."""

    async def judge() -> str:
        state, told = await trial.device.state_and_time(SafetyMonitorState)
        if state.expires <= told:
            raise Deviation("its verdict had expired when it was told")
        if not state.safe and not state.reasons:
            raise Deviation("it is unsafe and does not tell why")
        return "safe" if state.safe else f"unsafe: {'; '.join(state.reasons)}"

    await trial.step("tells a verdict that expires", judge, detail=lambda sentence: sentence)


__all__ = ["check_safety", "check_weather"]
