"""Calls, events and jobs on the local bus, against the floor of bare asyncio. `python -m benchmarks.local_bus`"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.measure import interleaved, report
from pytel.base import clock
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module import rpc
from pytel.module.handlers import on
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo

CALLS = 2000


class Station(Module, WeatherStation, Focuser):
    """Answers as fast as it can."""

    async def read_weather(self) -> WeatherState:
        """Give a reading."""
        return WeatherState(measured=clock.now(), temperature=10.0, humidity=40.0)

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        """Do nothing."""


class Listener(Module):
    """Counts what it hears."""

    heard = 0

    async def on_start(self) -> None:
        """Begin to count."""
        self.complete = asyncio.Event()

    @on(FocuserState, policy="all", queue=10 * CALLS)
    async def count(self, state: FocuserState) -> None:
        """Count."""
        self.heard += 1
        if self.heard == CALLS:
            self.complete.set()


async def _bare() -> None:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[dict[str, float]] = loop.create_future()

    async def serve() -> None:
        answer.set_result({"temperature": 10.0})

    task = asyncio.create_task(serve())
    await answer
    await task


async def _timed(call: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - begun) / CALLS * 1e6


async def _events(station: ModuleRuntime, listener: ModuleRuntime) -> float:
    counter = listener.module
    if not isinstance(counter, Listener):
        raise TypeError("the listener is no Listener")
    counter.heard = 0
    counter.complete.clear()
    begun = time.perf_counter()
    for number in range(CALLS):
        station.publish(FocuserState(status=MotionStatus.IDLE, position=float(number)))
    await counter.complete.wait()
    return (time.perf_counter() - begun) / CALLS * 1e6


async def measure() -> dict[str, float]:
    """One round of all cases, in microseconds each."""
    hub = LocalHub()
    site = SiteInfo(
        name="bench", location=Location(latitude=0, longitude=0), seed=1, state_dir=Path("/nowhere"), simulation=None
    )
    station = ModuleRuntime(Station, site=site, bus=hub.bus(Address("station")))
    listener = ModuleRuntime(Listener, site=site, bus=hub.bus(Address("listener")))
    await station.start()
    await listener.start()
    weather, focuser = listener.module.find(WeatherStation), listener.module.find(Focuser)

    async def job() -> None:
        await focuser.set_focus(1.0)

    try:
        return {
            "bare asyncio task and future": await _timed(_bare),
            "call with a typed result": await _timed(weather.read_weather),
            "job, started and awaited": await _timed(job),
            "state, published and handled": await _events(station, listener),
        }
    finally:
        await listener.stop()
        await station.stop()


def main() -> None:
    """Measure and print."""
    rounds: list[dict[str, float]] = []
    names = list(asyncio.run(measure()))

    def case(name: str) -> float:
        if name == names[0]:
            rounds.append(asyncio.run(measure()))
        return rounds[-1][name]

    figures = interleaved({name: functools.partial(case, name) for name in names})
    floor = figures[names[0]].median
    rows: list[tuple[str, ...]] = [("what", "µs each (low–high)", "times the floor")]
    rows += [(name, str(figure), f"{figure.median / floor:.1f}") for name, figure in figures.items()]
    report("Local bus", rows, "pytel-ocs", "msgspec")


if __name__ == "__main__":
    main()
