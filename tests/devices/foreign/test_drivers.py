"""The drivers at the stand-in: what they say of it, and every way in which it can fail."""

from __future__ import annotations

import ast
import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.foreign.kit import HERE, PAGE_TEXT, StandIn, site_at, until
from pytel.base import clock
from pytel.base.errors import (
    Busy,
    ConfigError,
    Conflict,
    ConnectionLost,
    DeviceError,
    DeviceTimeout,
    LimitExceeded,
    MethodNotFound,
    NotFound,
    PytelError,
    Unsafe,
)
from pytel.devices.foreign.client import ForeignClient, ForeignSystem
from pytel.devices.foreign.weather import ForeignWeather
from pytel.interfaces import (
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    Task,
    TaskChanged,
    TaskStatus,
    TaskStore,
    TaskStoreState,
    Telescope,
    TelescopeState,
    TelescopeStatus,
    WeatherState,
    WeatherStation,
)
from pytel.interfaces.tasks import Exposures, Target
from pytel.module.secrets import Secret
from pytel.module.yaml_lines import read_yaml
from pytel.sky.coordinates import altaz_to_radec
from pytel.testing import Observatory


def client_of(tower: StandIn, **changed: Any) -> ForeignClient:
    system = {"url": tower.url, "user": "pytel", "password": Secret(env="TOWER_PASSWORD"), "answer_time": 1.0}
    return ForeignClient(ForeignSystem(**{**system, **changed}), "telescope")


@contextlib.asynccontextmanager
async def opened(client: ForeignClient) -> AsyncIterator[ForeignClient]:
    await client.open()
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def site_of(tower: StandIn, *names: str, **changed: dict[str, Any]) -> AsyncIterator[Observatory]:
    """A site of the foreign modules of these names."""
    site = site_at(tower.port)
    del site["simulation"]
    site["modules"] = {name: {**site["modules"][name], **changed.get(name, {})} for name in names}
    async with Observatory(site) as observatory:
        yield observatory


def high() -> tuple[float, float]:
    """A place that is high in the sky, within the axes of the tower, and not near the Sun."""
    from pytel.base.location import Location
    from pytel.sky.almanac import sun
    from pytel.sky.coordinates import separation

    here = Location(latitude=-32.38, longitude=20.81, elevation=1771.0)
    directions = [(alt, az) for alt in (70.0, 45.0) for az in (0.0, 120.0, 240.0)]
    places: list[tuple[float, float]] = [altaz_to_radec(alt, az, clock.time(), here) for alt, az in directions]
    sun_ra, sun_dec = sun(clock.time())
    return max(places, key=lambda place: separation(place[0], place[1], sun_ra, sun_dec))


# the stand-in is no part of pytel


def test_the_stand_in_imports_nothing_of_pytel() -> None:
    for name in ("stand_in.py", "stand_in_client.py"):
        tree = ast.parse((HERE / name).read_text(encoding="utf-8"))
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names, name


async def test_no_pytel_is_in_its_process(tower: StandIn) -> None:
    modules = (await tower.sim())["modules"]
    assert set(modules) <= sys.stdlib_module_names | {"__main__", "__mp_main__"}


# the client


async def test_a_call_and_its_errors(tower: StandIn) -> None:
    async with opened(client_of(tower, errors={"4002": "LimitExceeded"})) as client:
        assert (await client.call("telescope.status", {}))["state"] == "PARKED"
        with pytest.raises(LimitExceeded, match="outside the limits of the axes") as refused:
            await client.call("telescope.slew", {"ra_hours": 1, "dec": 80})
        assert refused.value.data == {"device": "telescope", "foreign_code": 4002}
        with pytest.raises(DeviceError, match="no such task"):
            await client.call("task.status", {"task": 99})


@pytest.mark.parametrize(
    ("kind", "value", "error", "sentence"),
    [
        ("hang", None, DeviceTimeout, "did not answer telescope.status within 1 s"),
        ("drip", None, DeviceTimeout, "did not answer"),
        ("slow", 5, DeviceTimeout, "did not answer"),
        ("drop", None, ConnectionLost, "lost http"),
        ("garbage", None, DeviceError, "is no JSON"),
        ("500", None, DeviceError, "HTTP 500"),
        ("redirect", None, DeviceError, "HTTP 302"),
        ("huge", None, DeviceError, "more than"),
        ("other id", None, DeviceError, "another request"),
        ("error", "out of order", DeviceError, "out of order"),
        ("error", {"code": "x", "message": 7}, DeviceError, "7"),
        ("error", {"code": -32601, "message": "a\n\u001b[31mb"}, DeviceError, "a"),
        ("error", [], DeviceError, "a list"),
    ],
)
async def test_each_failure_has_a_type_and_a_sentence(
    tower: StandIn, kind: str, value: Any, error: type[PytelError], sentence: str
) -> None:
    await tower.sim(kind=kind, method="telescope.status", value=value)
    async with opened(client_of(tower)) as client:
        with pytest.raises(error, match=sentence) as raised:
            await client.call("telescope.status", {})
    assert raised.value.message.isprintable()
    assert "open sesame" not in raised.value.message


async def test_only_questions_are_asked_twice(tower: StandIn) -> None:
    async with opened(client_of(tower)) as client:
        await tower.sim(kind="drop once", method="telescope.status")
        assert await client.call("telescope.status", {}, again=True)
        await tower.sim(kind="drop once", method="roof.open")
        with pytest.raises(ConnectionLost):
            await client.call("roof.open", {})
    assert await tower.calls("roof.open") == []


async def test_a_system_that_is_killed_and_comes_back(tower: StandIn) -> None:
    async with opened(client_of(tower)) as client:
        assert await client.call("roof.status", {})
        tower.kill()
        with pytest.raises(ConnectionLost):
            await client.call("roof.status", {}, again=True)
        tower.start()
        assert await client.call("roof.status", {})


async def test_a_wrong_password_and_one_that_is_not_there(tower: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(client_of(tower, user="nobody")) as client:
        with pytest.raises(DeviceError, match="does not let us in"):
            await client.call("roof.status", {})
    monkeypatch.delenv("TOWER_PASSWORD")
    with pytest.raises(ConfigError, match="TOWER_PASSWORD"):
        await client_of(tower).open()


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["stamp", "air", "wind", "temperature", "humidity", "speed"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | ANSWERS)
def test_whatever_it_answers_is_a_reading_or_a_typed_error(tower: StandIn, answer: Any) -> None:
    config = msgspec.convert(site_at(tower.port)["modules"]["weather"], dict[str, Any])

    async def ask() -> None:
        if isinstance(answer, bytes):
            await tower.sim(kind="bytes", method="weather.report", value=base64.b64encode(answer).decode())
        else:
            await tower.sim(kind="lie", method="weather.report", value=answer)
        async with site_of(tower, "weather", weather={**config, "period": 3600}) as observatory:
            try:
                made = await observatory.find(WeatherStation).read_weather()
            except (DeviceError, ConnectionLost):
                return
            assert made.humidity is None or 0 <= made.humidity <= 100

    asyncio.run(ask())


# weather


async def test_the_weather_in_our_units(tower: StandIn) -> None:
    async with site_of(tower, "weather") as observatory:
        made = await observatory.find(WeatherStation).read_weather()
        assert made.temperature == pytest.approx(10.0)
        assert made.pressure == pytest.approx(820.0)
        assert (made.wind_speed, made.wind_gust) == pytest.approx((5.0, 7.5))
        assert (made.rain_rate, made.cloud_cover, made.humidity) == (0.0, 12.5, 40.0)
        assert abs(made.measured - clock.now()).total_seconds() < 60
        await until(lambda: observatory.latest(WeatherState))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"humidity": 140}, "humidity"),
        ({"humidity": "40"}, "humidity is '40', but must be a number"),
        ({"humidity": True}, "must be a number"),
        ({"temperature": -5000}, "temperature"),
        ({"mean": {}}, "wind_speed is an object"),
    ],
)
async def test_a_lying_station_is_silent(tower: StandIn, change: dict[str, Any], sentence: str) -> None:
    await tower.sim(change=change)
    async with site_of(tower, "weather") as observatory:
        with pytest.raises(DeviceError, match=sentence):
            await observatory.find(WeatherStation).read_weather()
        assert observatory.latest(WeatherState) is None
        await tower.sim(weather="good")
        assert await observatory.find(WeatherStation).read_weather()


async def test_a_station_that_repeats_itself_is_noticed(tower: StandIn) -> None:
    async with site_of(tower, "weather", weather={"oldest": "1 s", "period": 3600}) as observatory:
        await tower.sim(frozen=True)
        station = observatory.find(WeatherStation)
        assert await station.read_weather()

        async def complains() -> bool:
            with contextlib.suppress(DeviceError):
                await station.read_weather()
                return False
            return True

        await until(complains)
        await tower.sim(frozen=False)
        assert await station.read_weather()


async def test_an_old_reading_is_not_fresh_because_we_have_just_started(tower: StandIn) -> None:
    """A site that starts while the station has been hanging for hours must not take its last good word for weather."""
    await tower.sim(frozen=True)
    await tower.sim(frozen_for=7200.0)
    async with site_of(tower, "weather", weather={"period": 3600}) as observatory:
        station = observatory.find(WeatherStation)
        for _ in range(2):
            with pytest.raises(DeviceError, match="repeats an old reading"):
                await station.read_weather()
        await tower.sim(frozen_for=7200.0)  # of two servers that answer in turn, the other has hung for longer
        with pytest.raises(DeviceError, match="repeats an old reading"):
            await station.read_weather()
        await tower.sim(frozen=False)
        assert await station.read_weather()


async def test_a_system_whose_clock_is_wrong_is_believed_once_its_readings_move_on(tower: StandIn) -> None:
    await tower.sim(behind=7200.0)
    async with site_of(tower, "weather", weather={"period": 3600}) as observatory:
        station = observatory.find(WeatherStation)

        async def believed() -> bool:
            with contextlib.suppress(DeviceError):
                made = await station.read_weather()
                assert abs(made.measured - clock.now()).total_seconds() < 60
                return True
            return False

        await until(believed)


def test_the_report_has_all_sensors() -> None:
    from pytel.devices.foreign.weather import WeatherReport

    assert set(WeatherReport.__struct_fields__) == set(WeatherState.__struct_fields__) - {"alerts"}
    assert ForeignWeather.Config.__struct_fields__


# telescope


@pytest.mark.slow
async def test_a_slew_and_parking(tower: StandIn) -> None:
    async with site_of(tower, "telescope") as observatory:
        telescope = observatory.find(Telescope)
        ra, dec = high()
        await telescope.move_radec(ra, dec)
        await until(lambda: observatory.state(TelescopeState).status is TelescopeStatus.TRACKING)
        state = observatory.state(TelescopeState)
        assert (state.ra, state.dec) == pytest.approx((ra, dec))
        assert any(state.alt == pytest.approx(alt, abs=0.5) for alt in (70.0, 45.0)), "its own site's altitude"
        assert (await tower.calls("telescope.slew"))[-1]["ra_hours"] == pytest.approx(ra / 15.0)
        await telescope.offset_radec(36.0, -18.0)
        await until(lambda: observatory.state(TelescopeState).dec == pytest.approx(dec - 18.0 / 3600.0))
        await telescope.park()
        await until(lambda: observatory.state(TelescopeState).status is TelescopeStatus.PARKED)


async def test_limits_hold_before_anything_is_sent(tower: StandIn) -> None:
    async with site_of(tower, "telescope") as observatory:
        with pytest.raises(LimitExceeded, match="does not go below"):
            await observatory.find(Telescope).move_radec(0.0, 89.0)
        with pytest.raises(MethodNotFound, match="slew_altaz"):
            # Where the Sun never is.
            await observatory.find(Telescope).move_altaz(60.0, 180.0)
        assert await tower.calls("telescope.slew") == []


async def test_an_operation_that_is_aborted_there(tower: StandIn) -> None:
    async with site_of(tower, "telescope", telescope={"slew_rate": "10 deg/s"}) as observatory:
        await observatory.find(Telescope).unpark()
        await tower.sim(kind="lie", method="task.status", value={"state": "ABORTED", "reason": "door open"})
        with pytest.raises(DeviceError, match="failed to move: door open"):
            await observatory.find(Telescope).move_radec(*high())
        await until(lambda: tower.calls("telescope.stop"))


@pytest.mark.slow
async def test_an_operation_that_is_forgotten_there_is_forgotten_here(tower: StandIn) -> None:
    async with site_of(tower, "telescope") as observatory:
        telescope = observatory.find(Telescope)
        await tower.sim(kind="lie", method="telescope.unpark", value={"task": 999})
        with pytest.raises(NotFound, match="no such task"):
            await telescope.unpark()
        await tower.sim(clear=True)
        await telescope.move_radec(*high())


@pytest.mark.slow
async def test_a_mount_that_lies_about_its_arrival(tower: StandIn) -> None:
    async with site_of(tower, "telescope") as observatory:
        report = {"state": "TRACK", "position": {"ra_hours": 3.0, "dec": 10.0}}
        await tower.sim(kind="lie", method="telescope.status", value=report)
        with pytest.raises(DeviceError, match="not where it was sent"):
            await observatory.find(Telescope).move_radec(*high())


async def test_busy_there_is_busy_here(tower: StandIn) -> None:
    async with site_of(tower, "telescope") as observatory:
        await tower.sim(kind="error", method="telescope.slew", value={"code": 4001, "message": "at work"})
        with pytest.raises(Busy, match="at work"):
            await observatory.find(Telescope).move_radec(*high())


# roof


async def test_a_roof_stays_shut_without_our_own_safety(tower: StandIn) -> None:
    async with site_of(tower, "roof") as observatory:
        with pytest.raises(Unsafe):
            await observatory.find(Enclosure).open()
        await observatory.find(Enclosure).close()
        assert observatory.state(EnclosureState).status is EnclosureStatus.CLOSED
        assert await tower.calls("roof.open") == []


# queue

TASK = Task(
    id="m42-1",
    name="M 42",
    target=Target(name="M 42", ra=83.82, dec=-5.39),
    exposures=(Exposures(exposure_time=10.0, count=2, filter="V"), Exposures(exposure_time=20.0)),
    priority=7.0,
)


async def test_tasks_there_and_back(tower: StandIn) -> None:
    async with site_of(tower, "tasks", tasks={"period": 0.2}) as observatory:
        store = observatory.find(TaskStore)
        await store.add_task(TASK)
        await store.add_task(TASK)
        with pytest.raises(Conflict, match="taken"):
            await store.add_task(msgspec.structs.replace(TASK, priority=1.0))
        entry = (await store.list_tasks(TaskStatus.PENDING))[0]
        assert entry.task.target.ra == pytest.approx(83.82)
        assert entry.task.exposures == TASK.exposures
        await store.set_task_status("m42-1", TaskStatus.RUNNING, 0.5)
        assert (await tower.calls("queue.report"))[-1] == {"ref": "m42-1", "state": "OBSERVING", "percent": 50.0}
        assert (await store.get_task("m42-1")).status is TaskStatus.RUNNING
        await store.cancel_task("m42-1")
        assert observatory.state(TaskStoreState).counts["cancelled"] == 1
        with pytest.raises(NotFound):
            await store.cancel_task("m43")
        with pytest.raises(NotFound):
            await store.get_task("m43")
        heard = [event.status for event in observatory.heard(TaskChanged)]
        assert heard == [TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.CANCELLED]


def test_the_page_is_checked_as_people_write_it(tmp_path: Path) -> None:
    from devices.foreign.kit import shown_site
    from pytel.module.sitefile import parse_site

    site, faults = parse_site(shown_site(), directory=tmp_path)
    assert not faults
    assert site is not None
    broken = shown_site().replace("unit: Pa}", "unit: degF}").replace("{ACTIVE: running", "{ACTIVE: runing")
    _, faults = parse_site(broken, directory=tmp_path)
    lines = broken.splitlines()
    assert ["pressure:" in lines[fault.line - 1] or "ACTIVE" in lines[fault.line - 1] for fault in faults] == [True] * 2
    assert "did you mean 'running'" in faults[1].message


@pytest.mark.parametrize(
    ("system", "sentence"),
    [
        ({"url": "ftp://x"}, "url is 'ftp://x'"),
        ({"url": "http://["}, "url is"),
        ({"url": "http://a:b@c/"}, "url is"),
        ({"user": "u"}, "go together"),
        ({"user": "u", "password": Secret(env="A"), "token": Secret(env="B")}, "either"),
        ({"errors": {"x": "Busy"}}, "no code"),
        ({"errors": {"1": "Bussy"}}, "did you mean 'Busy'"),
    ],
)
def test_faults_of_a_system(system: dict[str, Any], sentence: str) -> None:
    found = list(ForeignSystem(**{"url": "http://x/rpc", **system}).faults())
    assert len(found) == 1
    assert sentence in found[0][1]


def test_what_the_page_begins_with_is_in_its_site() -> None:
    fragment, _, faults = read_yaml(PAGE_TEXT.partition("```yaml\n")[2].partition("```")[0], "slew.yaml")
    assert not faults
    assert fragment["slew"] == site_at(1)["modules"]["telescope"]["slew"]
