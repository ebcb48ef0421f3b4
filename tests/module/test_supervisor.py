from __future__ import annotations

import itertools
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytel.base import clock, virtual
from pytel.base.errors import ConfigError, DeviceError, ModuleNotFound, NotAllowed, NotFound
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions, Card, Role
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module.config import ModuleConfig
from pytel.module.desk import Site, SiteState
from pytel.module.handlers import every, on
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.messages import topic_of
from pytel.module.module import Module
from pytel.module.site import SiteInfo
from pytel.module.sitefile import SiteFile
from pytel.module.specs import ModuleSpec

T = TypeVar("T")
KNOWN = SiteInfo(
    name="test", location=Location(latitude=0, longitude=0), seed=1, state_dir=Path("unused"), simulation=None
)


class Station(Module, WeatherStation):
    """Measures."""

    @every(5.0)
    async def poll(self) -> None:
        self.publish(await self.read_weather())

    async def read_weather(self) -> WeatherState:
        return WeatherState(measured=clock.now(), temperature=11.0)


class Reader(Module):
    """Asks the station for weather once it is there, and hears of it."""

    temperature: float | None = None
    heard = 0

    async def on_start(self) -> None:
        self.temperature = (await self.find(WeatherStation).read_weather()).temperature

    @on(WeatherState)
    async def hear(self, state: WeatherState) -> None:
        self.heard += 1


class Broken(Module):
    """Cannot start, whatever one does."""

    async def on_start(self) -> None:
        raise ConfigError("the port is missing: write port: /dev/ttyS0")


class Nobody:
    """Whom nobody calls."""

    async def handle_call(self, call: Any) -> None:
        raise NotImplementedError


def site(*names: str) -> SiteFile:
    kinds: dict[str, type[Module]] = {"station": Station, "reader": Reader, "broken": Broken}
    specs = [ModuleSpec(name=name, kind=kinds[name.rstrip("0123456789")], config=ModuleConfig()) for name in names]
    return SiteFile(info=KNOWN, modules=tuple(specs))


def run(main: Coroutine[Any, Any, T]) -> T:
    return virtual.run(main, start=datetime(2026, 6, 15, 16, 0, tzinfo=UTC))


@pytest.mark.parametrize("order", list(itertools.permutations(["station", "reader1", "reader2", "reader3"]))[::4])
def test_the_start_order_does_not_matter(order: tuple[str, ...]) -> None:
    async def main() -> None:
        supervisor = LocalSupervisor(site(*order))
        await supervisor.start()
        await clock.sleep(60)
        readers = [runtime.module for runtime in supervisor.running.values() if isinstance(runtime.module, Reader)]
        assert len(readers) == 3
        assert all(reader.temperature == 11.0 and reader.heard for reader in readers)
        await supervisor.stop()

    run(main())


def test_one_broken_module_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        supervisor = LocalSupervisor(site("broken", "station"))
        await supervisor.start()
        assert [str(address) for address in supervisor.running] == ["station"]
        assert [entry.running for entry in supervisor.entries()] == [False, True]
        assert [entry.error for entry in supervisor.entries()] == [
            "the port is missing: write port: /dev/ttyS0",
            None,
        ]
        with pytest.raises(ConfigError, match="port: /dev/ttyS0"):
            await supervisor.start_module("broken")
        await supervisor.stop_module("broken")  # somebody knows that it does not run
        assert [entry.error for entry in supervisor.entries()] == [None, None]
        await supervisor.stop()

    run(main())


def test_modules_start_and_stop_at_run_time_over_the_bus() -> None:
    async def main() -> None:
        supervisor = LocalSupervisor(site("station", "reader"))
        await supervisor.start()
        await clock.sleep(10)
        reader = supervisor.running[Address("reader")].module
        desk = reader.find(Site)
        await desk.stop_module("station")
        assert reader.latest(WeatherState) is None
        with pytest.raises(ModuleNotFound, match="no module offers WeatherStation"):
            await reader.find(WeatherStation).read_weather()
        await desk.start_module("station")
        await desk.restart_module("station")
        await clock.sleep(1)
        assert (await reader.find(WeatherStation).read_weather()).temperature == 11.0
        assert reader.latest(WeatherState) is not None
        with pytest.raises(NotFound, match="it has reader, station"):
            await desk.stop_module("statoin")
        await supervisor.stop()

    run(main())


def test_the_site_tells_whenever_a_module_fares_differently() -> None:
    async def main() -> list[str]:
        supervisor = LocalSupervisor(site("station", "reader"))
        told: list[str] = []
        ear = supervisor.hub.bus(Address("ear"))
        await ear.open(Nobody(), Card(interfaces=(), boot="1"))
        ear.subscribe(topic_of(SiteState), lambda news: told.append(news.data["modules"][0]["status"]))
        await supervisor.start()
        await supervisor.stop_module("station")
        await supervisor.start_module("station")
        supervisor.running[Address("station")].raise_alarm("sensor", DeviceError("wet"))
        await clock.sleep(1)
        await supervisor.stop()
        await ear.close()
        return [status for status, _ in itertools.groupby(told)]

    assert run(main()) == [None, "starting", "ready", "closing", None, "starting", "ready", "error", "closing", None]


def test_a_viewer_may_look_and_not_switch() -> None:
    async def main() -> None:
        supervisor = LocalSupervisor(site("station"))
        await supervisor.start()
        viewer = supervisor.hub.bus(Address("visitor"), Role.VIEWER)

        await viewer.open(Nobody(), Card(interfaces=(), boot="1"))
        assert len(await viewer.call(Address("site"), "list_modules", {}, CallOptions())) == 1
        with pytest.raises(NotAllowed, match="asks for the role operator; visitor has viewer"):
            await viewer.call(Address("site"), "stop_module", ["station"], CallOptions())
        await viewer.close()
        await supervisor.stop()

    run(main())
