"""What all drivers share, as a module on a bus: connect, lose, come back; properties over the bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from indi_kit import FOCUSER, WHEEL, Starter
from pytel.base.errors import (
    ConnectionLost,
    DeviceError,
    InvalidParams,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotReady,
)
from pytel.base.location import Location
from pytel.base.units import Duration
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.local import LocalHub
from pytel.devices.indi.device import IndiDriver
from pytel.interfaces import IndiProperties
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.module.interface import methods_of
from pytel.module.messages import ModuleState
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.testing.seat import Seat

from .lying import DEVICE, Visit, lying_server, number, switch

PATIENCE = 20.0
POSITION, MEMBER = "ABS_FOCUS_POSITION", "FOCUS_ABSOLUTE_POSITION"


class Watcher(IndiDriver):
    """The thinnest driver: it knows the travel and the position."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        server: str
        device: str = FOCUSER
        needs: str = POSITION
        connect_time: Duration = 5.0

    config: Config
    connects = disconnects = 0
    position: float | None = None

    async def on_start(self) -> None:
        await self.connect_device(self.config.needs)

    async def read_capabilities(self) -> None:
        self.travel = self.indi.vector(self.config.needs)

    async def on_connect(self) -> None:
        self.connects += 1

    async def on_disconnect(self) -> None:
        self.disconnects += 1

    @every(0.1)
    async def poll(self) -> None:
        self.position = self.indi.number(POSITION, MEMBER)


@contextlib.asynccontextmanager
async def running(folder: Path, server: str, **config: Any) -> AsyncIterator[tuple[Watcher, Seat]]:
    """The driver on a bus, and a seat there."""
    hub = LocalHub()
    site = SiteInfo(name="here", location=Location(latitude=0, longitude=0), seed=1, state_dir=folder, simulation=None)
    seat = Seat(hub.bus(Address("test"), role=Role.OPERATOR), site)
    settings = Watcher.Config(server=server, **config)
    runtime = ModuleRuntime(Watcher, config=settings, site=site, bus=hub.bus(Address("focuser")))
    await seat.open()
    starting = asyncio.create_task(runtime.start())
    try:
        module = runtime.module
        assert isinstance(module, Watcher)
        yield module, seat
    finally:
        starting.cancel()
        await asyncio.wait([starting])
        await runtime.stop()
        await seat.close()


def states(seat: Seat) -> list[str]:
    """How the driver's module stood, in order, without repetitions."""
    told = [heard.message.status for heard in seat.record if isinstance(heard.message, ModuleState)]
    return [status for index, status in enumerate(told) if index == 0 or told[index - 1] != status]


async def test_the_device_comes_back_whatever_goes(
    indi_server: Starter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await indi_server("indi_simulator_focus")
    async with running(tmp_path, server.address) as (module, seat):
        await seat.until(lambda: module.connects == 1 and module.position is not None, PATIENCE)
        caplog.set_level(logging.INFO)
        # the server
        await server.kill()
        await seat.until(lambda: module.disconnects == 1, PATIENCE)
        with pytest.raises(ConnectionLost, match=r"the link to .* is down"):
            module.indi.number(POSITION, MEMBER)
        await server.restart()
        await seat.until(lambda: module.connects == 2, PATIENCE)
        # the driver
        await server.unplug("indi_simulator_focus")
        await seat.until(lambda: module.disconnects == 2, PATIENCE)
        with pytest.raises(NotReady, match="has no property"):
            module.indi.number(POSITION, MEMBER)
        await server.plug("indi_simulator_focus")
        await seat.until(lambda: module.connects == 3, PATIENCE)
        # somebody disconnects it from its hardware
        await module.indi.send("CONNECTION", {"DISCONNECT": True})
        await seat.until(lambda: module.connects == 4, PATIENCE)
        await seat.until(lambda: states(seat)[-1] == "ready", PATIENCE)
    backs = [record for record in caplog.records if record.getMessage() == f"{FOCUSER} is back"]
    assert len(backs) == 3


@pytest.mark.slow
async def test_it_starts_when_the_server_and_the_device_are_there(indi_server: Starter, tmp_path: Path) -> None:
    server = await indi_server("indi_simulator_wheel")
    await server.kill()
    async with running(tmp_path, server.address, connect_time=0.5) as (module, seat):
        await asyncio.sleep(1.0)
        assert module.connects == 0
        with pytest.raises(NotReady):
            await seat.find(IndiProperties).indi_get("CONNECTION")
        await server.restart()
        await asyncio.sleep(1.0)
        await server.plug("indi_simulator_focus")
        await seat.until(lambda: module.connects == 1 and module.position is not None, PATIENCE)


async def test_the_wrong_kind_of_device_is_told_so(indi_server: Starter, tmp_path: Path) -> None:
    server = await indi_server("indi_simulator_wheel")
    async with running(tmp_path, server.address, device=WHEEL, connect_time=0.5) as (module, seat):

        def sentence() -> str:
            told = [heard.message for heard in seat.record if isinstance(heard.message, ModuleState)]
            return next((state.error.message for state in told if state.error), "")

        await seat.until(sentence, PATIENCE)
        assert f"{WHEEL} of {server.address} has no property {POSITION}" in sentence()
        assert module.connects == 0


async def test_properties_over_the_bus(indi_server: Starter, tmp_path: Path) -> None:
    server = await indi_server("indi_simulator_focus")
    async with running(tmp_path, server.socket) as (module, seat):
        await seat.until(lambda: module.connects == 1, PATIENCE)
        focuser = seat.find(IndiProperties)
        assert POSITION in await focuser.indi_names()
        told = await focuser.indi_get(POSITION)
        assert (told.kind, told.permission, list(told.values)) == ("number", "rw", [MEMBER])
        told = await focuser.indi_set("FOCUS_SPEED", {"FOCUS_SPEED_VALUE": 2})
        assert told.values == {"FOCUS_SPEED_VALUE": 2.0}
        told = await focuser.indi_set("DEBUG", {"ENABLE": True})
        assert told.values == {"ENABLE": True, "DISABLE": False}
        with pytest.raises(NotFound, match="has no property 'TEMPERATURE'; it has ABS_FOCUS_POSITION"):
            await focuser.indi_get("TEMPERATURE")
        with pytest.raises(NotFound):
            await focuser.indi_set("TEMPERATURE", {"A": 1.0})
        with pytest.raises(LimitExceeded):
            await focuser.indi_set(POSITION, {MEMBER: -5.0})
        with pytest.raises(InvalidParams):
            await focuser.indi_set(POSITION, {MEMBER: "far"})
        with pytest.raises(NotAllowed):
            await focuser.indi_set("DRIVER_INFO", {"DRIVER_NAME": "mine"})


def test_who_may_do_what() -> None:
    roles = {name: method.role for name, method in methods_of(IndiProperties).items()}
    assert roles == {"indi_names": Role.VIEWER, "indi_get": Role.VIEWER, "indi_set": Role.OPERATOR}


async def test_numbers_that_are_none_over_the_bus(tmp_path: Path) -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(switch("CONNECTION", CONNECT=True, DISCONNECT=False))
        await visit.say(number(POSITION, FOCUS_ABSOLUTE_POSITION="nan", other=5))
        with contextlib.suppress(ConnectionError):
            await visit.hear("never")

    async with lying_server(speak) as address, running(tmp_path, address, device=DEVICE) as (module, seat):
        await seat.until(lambda: module.connects == 1, PATIENCE)
        assert (await seat.find(IndiProperties).indi_get(POSITION)).values == {MEMBER: None, "other": 5.0}
        with pytest.raises(DeviceError, match="no finite number"):
            module.indi.number(POSITION, MEMBER)
