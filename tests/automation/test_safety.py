from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pytel.automation.limits import BrightnessRule, DiskRule, Judge, SunRule, TemperatureRule, WeatherRules
from pytel.automation.safety import WeatherSafetyMonitor
from pytel.automation.safety_monitor import LONGEST_REASON
from pytel.base import clock
from pytel.base.errors import ConfigError, LimitExceeded
from pytel.interfaces.safety import SafetyChanged, SafetyMonitor, SafetyMonitorState
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.faults import Lines
from pytel.module.handlers import every, on
from pytel.module.messages import topic_of
from pytel.module.struct_check import parse_struct
from pytel.services import Module
from pytel.sky.almanac import next_crossing

Run = Callable[[Callable[[Any], Any]], Any]


class Station(Module, WeatherStation):
    silent = False
    rain = 0.0

    async def on_start(self) -> None:
        self.values: dict[str, Any] = {}

    @every(1.0)
    async def report(self) -> None:
        if not self.silent:
            self.publish(await self.read_weather())

    async def read_weather(self) -> WeatherState:
        fine: dict[str, Any] = {
            "temperature": 10.0,
            "humidity": 50.0,
            "dew_point": 0.0,
            "wind_speed": 3.0,
            "wind_gust": 5.0,
            "rain_rate": self.rain,
            "cloud_cover": 10.0,
            "sky_temperature": -30.0,
            "sky_brightness": 21.0,
        }
        return WeatherState(measured=clock.now(), **(fine | self.values))


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


def test_what_a_station_itself_warns_of_is_unsafe_at_once(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench)
        await clock.sleep(700)
        station.values["alerts"] = ("lightning",)
        station.publish(await station.read_weather())
        when = clock.time()
        await clock.sleep(0.1)
        assert witness.changes[-1] == (when, False)
        assert witness.heard[-1][1].reasons == ("weather itself warns of lightning",)
        station.values.clear()
        await clock.sleep(700)
        assert witness.heard[-1][1].safe

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


def test_what_a_person_declares_at_length_is_cut_not_refused(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench)
        await clock.sleep(700)
        await witness.find(SafetyMonitor).declare_unsafe("rain " * 100_000)
        await clock.sleep(1)
        state = witness.heard[-1][1]
        assert not state.safe
        assert [len(reason) for reason in state.reasons] == [LONGEST_REASON]

    bench(scenario)


async def until(condition: Callable[[], Any], seconds: float) -> float:
    """Wait for something; returns how long it took."""
    began = clock.time()
    while not condition():
        assert clock.time() < began + seconds
        await clock.sleep(0.1)
    return clock.time() - began


def safe(witness: Witness) -> bool:
    return witness.heard[-1][1].safe


def unsafe(witness: Witness) -> Callable[[], bool]:
    return lambda: not witness.heard[-1][1].safe


def reasons(witness: Witness) -> str:
    return "; ".join(witness.heard[-1][1].reasons)


SENSORS = {
    "rain_rate": 0.1,
    "wind_speed": 16.0,
    "wind_gust": 21.0,
    "humidity": 89.0,
    "dew_point": 9.0,
    "cloud_cover": 81.0,
    "temperature": 1.0,
    "sky_temperature": -5.0,
    "sky_brightness": 12.0,
}
STRICT = WeatherRules(
    sky_temperature=TemperatureRule(unsafe_above=-10.0), sky_brightness=BrightnessRule(unsafe_below=15.0)
)


NO_RULES = WeatherRules(**dict.fromkeys(WeatherRules.__struct_fields__))


@pytest.mark.parametrize("sensor", SENSORS)
def test_each_sensor_is_told_within_a_reading_and_forgiven_after_its_time(bench: Run, sensor: str) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench, rules=STRICT, clear_after=100)
        await clock.sleep(120)
        assert safe(witness)
        station.values[sensor] = SENSORS[sensor]
        assert await until(unsafe(witness), 2.0) <= 1.1
        del station.values[sensor]
        assert await until(lambda: safe(witness), 200) <= 101.0

    bench(scenario)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, -3.0])
def test_what_is_no_value_is_unsafe(bench: Run, value: float | None) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench, clear_after=10)
        await clock.sleep(20)
        assert safe(witness)
        station.values["wind_speed"] = value
        assert await until(unsafe(witness), 20.0) < 18.2  # 18 s, looked at in tenths
        del station.values["wind_speed"]
        await until(lambda: safe(witness), 40)

    bench(scenario)


@pytest.mark.parametrize("garbage", [{"measured": "yesterday"}, {"wind_speed": "three"}, [], {"humidity": 5000}])
def test_a_reading_that_cannot_be_understood_counts_as_silence(bench: Run, garbage: Any) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench, clear_after=10)
        await clock.sleep(20)
        assert safe(witness)
        station.silent = True
        for _ in range(25):
            bench.runtimes["weather"].bus.publish(topic_of(WeatherState), garbage, clock.time())
            await clock.sleep(1)
        assert "silent" in reasons(witness)
        station.silent = False
        await until(lambda: safe(witness), 40)

    bench(scenario)


def test_a_check_that_throws_is_unsafe_and_goes_on(bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench, clear_after=10)
        await clock.sleep(20)
        assert safe(witness)
        with monkeypatch.context() as patch:
            patch.setattr(Judge, "reading", fails)
            await until(unsafe(witness), 2.0)
            beats = len(witness.heard)
            await clock.sleep(30)
            assert len(witness.heard) >= beats + 5
            assert "the check of wind_speed failed: ZeroDivisionError: oh" in reasons(witness)
            assert not bench.runtimes["safety"].lifecycle.healthy
        await until(lambda: safe(witness), 30)
        assert bench.runtimes["safety"].lifecycle.healthy

    bench(scenario)


def fails(*_: Any) -> Any:
    raise ZeroDivisionError("oh")


@pytest.mark.slow
def test_the_sun_closes_and_an_operator_may_allow_daylight_for_a_while(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        witness = await bench.start("witness", Witness)
        config = WeatherSafetyMonitor.Config(
            clear_after=0,
            sun=SunRule(unsafe_above=0.0, safe_below=-1.0),
            disk=None,
            rules=NO_RULES,
            required=("witness",),
            heartbeat=10.0,
        )
        await bench.start("safety", WeatherSafetyMonitor, config)
        await clock.sleep(30)
        assert safe(witness)
        where = bench.info.location
        rises = next_crossing(0.0, clock.time(), where, rising=True)
        assert rises is not None
        await clock.sleep_until(rises - 5.0)
        assert safe(witness)
        await until(unsafe(witness), 10.0)
        assert abs(clock.time() - rises) < 2.0
        assert reasons(witness) == "the Sun: 0.0° high"
        monitor = witness.find(SafetyMonitor)
        await monitor.allow_daylight(3600.0)
        assert await until(lambda: safe(witness), 5.0) < 1.0
        assert await until(unsafe(witness), 4000.0) == pytest.approx(3600.0, abs=1.0)
        with pytest.raises(LimitExceeded):
            await monitor.allow_daylight(86400.0)
        await monitor.allow_daylight(1000.0)
        await clock.sleep(1)
        await monitor.allow_daylight(0.0)
        await until(unsafe(witness), 2.0)
        sets = next_crossing(-1.0, clock.time(), where, rising=False)
        assert sets is not None
        await clock.sleep_until(sets - 10.0)
        assert not safe(witness)
        await until(lambda: safe(witness), 12.0)

    bench(scenario)


def test_a_full_disk_closes(bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    room = {"free": 2**30}

    def usage(path: Any) -> Any:
        if room["free"] < 0:
            raise OSError(5, "Input/output error")
        return SimpleNamespace(free=room["free"])

    monkeypatch.setattr("shutil.disk_usage", usage)

    async def scenario(bench: Any) -> None:
        rule = DiskRule(unsafe_below=100 * 2**20, safe_above=200 * 2**20)
        _, witness = await begin(bench, clear_after=0, disk=rule)
        await clock.sleep(10)
        assert safe(witness)
        for free, words in ((50 * 2**20, "50 MiB free"), (-1, "Input/output error"), (150 * 2**20, "150 MiB free")):
            room["free"] = free
            await until(lambda words=words: words in reasons(witness), 2.0)  # type: ignore[misc]
        room["free"] = 2**30
        await until(lambda: safe(witness), 2.0)

    bench(scenario)


def test_what_is_required_must_be_there_and_is_known_after_a_restart(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        required = ("weather", "west", "power")
        _, witness = await begin(bench, clear_after=10, required=required)
        await clock.sleep(30)
        assert reasons(witness) == "west is required and not there; power is required and not there"
        await bench.start("power", Module)
        west = await bench.start("west", Station)
        await until(lambda: safe(witness), 30)
        await bench.crash("power")
        assert await until(unsafe(witness), 30.0) <= 24.0
        await bench.start("power", Module)
        west.silent = True
        await until(lambda: "west silent" in reasons(witness), 20.0)
        await bench.crash("safety")
        await bench.crash("west")
        await bench.start("safety", WeatherSafetyMonitor, WeatherSafetyMonitor.Config(required=required, clear_after=0))
        await clock.sleep(60)
        assert "west is required and not there" in reasons(witness)
        await bench.start("west", Mute)
        await clock.sleep(5)
        assert "weather station west has not spoken yet" in reasons(witness)

    bench(scenario)


def test_a_word_from_before_a_restart_does_not_count_as_fresh(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        station, witness = await begin(bench, clear_after=0)
        await clock.sleep(10)
        station.silent = True
        last = clock.time()
        ahead = await station.read_weather()
        station.publish(msgspec.structs.replace(ahead, measured=clock.now() + timedelta(seconds=15)))
        await clock.sleep(14)
        await bench.crash("safety")
        await bench.start("safety", WeatherSafetyMonitor, WeatherSafetyMonitor.Config(clear_after=0))
        await clock.sleep(1)
        await until(unsafe(witness), 30.0)
        assert clock.time() - last < 18.2

    bench(scenario)


class Mute(Module, WeatherStation):
    """A station whose sensors do not answer."""


def test_a_required_module_may_restart_without_closing(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench, clear_after=10, required=("weather",))
        await clock.sleep(30)
        await bench.crash("weather")
        await clock.sleep(12)
        await bench.start("weather", Station)
        await clock.sleep(30)
        assert [safe for _, safe in witness.changes] == [True]

    bench(scenario)


def test_nothing_required_is_never_safe(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench, clear_after=0, required=())
        await clock.sleep(100)
        assert "the list `required` is empty" in reasons(witness)

    bench(scenario)


@pytest.mark.parametrize("name", ["WetherStation", "Not a name", "SafetyMonitorState"])
def test_a_required_name_that_cannot_be_is_told(bench: Run, name: str) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(ConfigError):
            await bench.start("safety", WeatherSafetyMonitor, WeatherSafetyMonitor.Config(required=(name,)))
        bench.runtimes.clear()

    bench(scenario)


@pytest.mark.parametrize("jump", [-86400.0, -30.0, 30.0, 86400.0])
def test_a_clock_that_is_set_costs_a_while_and_no_more(bench: Run, jump: float) -> None:
    async def scenario(bench: Any) -> None:
        _, witness = await begin(bench, clear_after=100, sun=None)
        await clock.sleep(120)
        assert safe(witness)
        with clock.using(Shifted(clock.current(), jump)):
            began = clock.elapsed()
            while clock.elapsed() < began + 130:
                await clock.sleep(1)
                state = witness.heard[-1][1]
                assert clock.now() <= state.expires or not state.verdict(clock.now())[0] or jump < 0
            assert safe(witness)

    bench(scenario)


class Shifted(clock.Clock):
    """A clock that was set."""

    def __init__(self, other: clock.Clock, ahead: float) -> None:
        self._other, self._ahead = other, ahead

    def time(self) -> float:
        return self._other.time() + self._ahead


@pytest.mark.parametrize("age", ["16 min", "1 d"])
def test_no_site_file_takes_old_weather_for_weather(age: str) -> None:
    made, faults = parse_struct({"max_age": age}, WeatherSafetyMonitor.Config, Lines("site.yaml"))
    assert made is None
    assert "must be between 0 and 900 s" in str(faults[0])
