"""A site in one process, from its start to its end in good order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytel.base import clock, virtual
from pytel.base.errors import ConfigError, ConnectionLost
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions, Publication
from pytel.bus.local import LocalHub
from pytel.cli.client import NoSite, reach_site
from pytel.cli.site_process import SiteProcess, refuse_unknown, running_site
from pytel.devices.simulated.hardware import connect_world
from pytel.interfaces.weather import WeatherStation
from pytel.module.sitefile import SiteFile, parse_site

NOON = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
SITE = """
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
simulation: {weather: {mode: clear}, pixels: stamp}
modules:
  weather: {type: simulated-weather}
  safety: {type: weather-safety, clear_after: 10 s, sun: null}
  roof: {type: simulated-roof}
  telescope: {type: simulated-telescope}
"""


def site(directory: Path) -> SiteFile:
    parsed, faults = parse_site(SITE, directory=directory)
    assert parsed is not None, faults
    return parsed


async def call(process: SiteProcess, target: str, method: str) -> Any:
    options = CallOptions(timeout=100.0)
    job = (await process.bus.call(Address(target), method, {}, options))["job"]
    report = await process.bus.call(Address(target), "job.wait", {"job": job, "timeout": 60.0}, options)
    assert report["status"] == "done", report


def test_the_end_closes_the_roof_and_parks_the_telescope(tmp_path: Path) -> None:
    here = site(tmp_path)

    async def open_and_leave() -> list[str]:
        told: list[str] = []

        def hear(publication: Publication) -> None:
            if publication.topic.name in ("Enclosure", "Telescope"):
                told.append(f"{publication.publisher} {publication.data['status']}")

        async with running_site(here, door=False) as process:
            assert process.bus.address == Address("cli")
            await clock.sleep(60.0)
            await call(process, "roof", "open")
            await call(process, "telescope", "unpark")
            process.bus.subscribe(None, hear)
            told.clear()
        return told

    told = virtual.run(open_and_leave(), start=NOON)
    assert "roof closing" in told
    assert told[-1] in ("roof closed", "telescope parked")
    assert {"roof closed", "telescope parked"} <= set(told)


async def end_with_a_stuck_roof(here: SiteFile, duration: float | None) -> tuple[float, float]:
    """How long the end takes, and how far the roof is open after it."""
    async with running_site(here, door=False) as process:
        await clock.sleep(60.0)
        await call(process, "roof", "open")
        hardware = await connect_world(here.info)
        await hardware.execute("faults", "inject", device="roof", kind="stuck", start=clock.time(), duration=duration)
        began = clock.time()
        await process.close_down()
        status = await hardware.execute("roof", "status")
        return clock.time() - began, float(status["fraction"])


def test_the_end_waits_for_a_roof_that_hangs(tmp_path: Path) -> None:
    lasted, opening = virtual.run(end_with_a_stuck_roof(site(tmp_path), 300.0), start=NOON)
    assert opening == 0.0
    assert 300.0 < lasted < 400.0


def test_the_end_comes_also_if_the_roof_does_not_close(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lasted, opening = virtual.run(end_with_a_stuck_roof(site(tmp_path), None), start=NOON)
    assert opening == 1.0
    assert 600.0 < lasted < 1000.0
    assert any("go there" in entry.message for entry in caplog.records if entry.levelname == "CRITICAL")


def test_a_robot_that_does_not_stop_does_not_keep_the_roof_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(tmp_path)
    monkeypatch.setattr("pytel.cli.site_process.Observer", WeatherStation)

    async def never(_: str) -> None:
        await clock.sleep(1e9)

    async def leave() -> float:
        async with running_site(here, door=False) as process:
            await clock.sleep(60.0)
            await call(process, "roof", "open")
            monkeypatch.setattr(process.supervisor, "stop_module", never)
            hardware = await connect_world(here.info)
            await process.close_down()
            return float((await hardware.execute("roof", "status"))["fraction"])

    assert virtual.run(leave(), start=NOON) == 0.0


def test_the_hardware_is_there_only_while_the_site_runs(tmp_path: Path) -> None:
    here = site(tmp_path)

    async def look() -> bool:
        async with running_site(here, ["weather"], door=False) as process:
            assert [str(address) for address in process.supervisor.running] == ["weather"]
            await connect_world(here.info)
        with pytest.raises(ConnectionLost, match="does not run"):
            await connect_world(here.info)
        return True

    assert virtual.run(look(), start=NOON)


async def test_who_gets_in_finds_that_the_site_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first moment at which its socket is there; a bus may be slow to join."""
    here = await in_thread(site, tmp_path)
    at_once = LocalHub.bus

    def slow(hub: LocalHub, address: Address, *, is_proxy: bool = False) -> Any:
        bus = at_once(hub, address, is_proxy=is_proxy)
        joins = bus.open

        async def joined_later(*arguments: Any) -> None:
            await asyncio.sleep(0.3)
            await joins(*arguments)

        monkeypatch.setattr(bus, "open", joined_later)
        return bus

    monkeypatch.setattr(LocalHub, "bus", slow)

    def ask_at_once() -> list[dict[str, Any]]:
        ends = time.monotonic() + 60.0
        while time.monotonic() < ends:
            with contextlib.suppress(NoSite), reach_site(here.info.state_dir) as client:
                entries: list[dict[str, Any]] = client.call("site.list_modules")
                return entries
        raise TimeoutError("the socket does not come")

    asking = asyncio.create_task(in_thread(ask_at_once))
    async with running_site(here, ["weather"]):
        assert [entry["address"] for entry in await asking] == ["weather", "safety", "roof", "telescope"]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'roof'"):
        refuse_unknown(site(tmp_path), ["roff"])
