from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pytel.automation.safety import WeatherSafetyMonitor
from pytel.base import clock
from pytel.interfaces.safety import SafetyChanged, SafetyMonitor, SafetyMonitorState
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.handlers import every, on
from pytel.services import Module

Run = Callable[[Callable[[Any], Any]], Any]


class Station(Module, WeatherStation):
    silent = False
    rain = 0.0

    @every(1.0)
    async def report(self) -> None:
        if not self.silent:
            self.publish(await self.read_weather())

    async def read_weather(self) -> WeatherState:
        return WeatherState(
            measured=clock.now(),
            temperature=10.0,
            humidity=50.0,
            dew_point=0.0,
            wind_speed=3.0,
            wind_gust=5.0,
            rain_rate=self.rain,
            cloud_cover=10.0,
        )


class Witness(Module):
    async def on_start(self) -> None:
        self.heard: list[tuple[float, SafetyMonitorState]] = []
        self.changes: list[tuple[float, bool]] = []

    @on(SafetyMonitorState, policy="all", queue=100000)
    async def state(self, state: SafetyMonitorState) -> None:
        self.heard.append((clock.time(), state))

    @on(SafetyChanged)
    async def change(self, event: SafetyChanged) -> None:
        self.changes.append((clock.time(), event.safe))


async def begin(bench: Any, **config: Any) -> tuple[Station, Witness]:
    witness = await bench.start("witness", Witness)
    await bench.start("safety", WeatherSafetyMonitor, WeatherSafetyMonitor.Config(**config))
    station = await bench.start("weather", Station)
    return station, witness


def test_good_weather_becomes_safe_after_a_while_and_the_word_is_repeated(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench)
        start = clock.time()
        await clock.sleep(900)
        assert witness.changes == [(start + 600, True)]
        times = [when for when, _ in witness.heard]
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 5.0
        _, last = witness.heard[-1]
        assert last.safe
        assert 14 <= last.expires.timestamp() - clock.time() <= 20
        assert last.verdict(clock.now() + timedelta(seconds=30))[0] is False
        assert len(times) < 250

    bench(scenario)


def test_rain_is_told_in_the_moment_of_the_reading(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench)
        await clock.sleep(700)
        station.rain = 0.5
        station.publish(await station.read_weather())
        when = clock.time()
        await clock.sleep(0.1)
        assert witness.changes[-1] == (when, False)
        assert witness.heard[-1][1].reasons == ("rain of 0.5 mm/h at weather is over 0 mm/h",)

    bench(scenario)


def test_silence_is_noticed_on_time_and_names_the_station(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench, max_age=18.0)
        await clock.sleep(702.5)
        station.silent = True
        last_word = int(clock.time())
        await clock.sleep(30)
        assert witness.changes[-1] == (last_word + 18.0, False)
        assert "weather station weather silent for" in witness.heard[-1][1].reasons[0]

    bench(scenario)


def test_a_station_that_left_counts_as_silent(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench)
        await clock.sleep(700)
        await bench.crash("weather")
        await clock.sleep(20)
        assert not witness.heard[-1][1].safe

    bench(scenario)


def test_without_any_station(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        await bench.start("witness", Witness)
        witness = bench.runtimes["witness"].module
        await bench.start("safety", WeatherSafetyMonitor)
        await clock.sleep(700)
        assert witness.heard[-1][1].reasons == (
            "WeatherStation is required and not there",
            "no weather station has spoken yet",
        )

    bench(scenario)


def test_what_a_person_declares_outlives_a_crash(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench)
        await clock.sleep(700)
        await witness.find(SafetyMonitor).declare_unsafe("somebody is on the roof")
        await clock.sleep(1)
        assert witness.heard[-1][1].reasons == ("somebody is on the roof",)
        await bench.crash("safety")
        await bench.start("safety", WeatherSafetyMonitor)
        await clock.sleep(700)
        assert witness.heard[-1][1].reasons == ("somebody is on the roof",)
        await witness.find(SafetyMonitor).clear_unsafe()
        await clock.sleep(700)
        assert witness.heard[-1][1].safe

    bench(scenario)
