"""What every filter wheel does, whatever its hardware."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pytel.base.errors import NotReady
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module
from pytel.services.filterwheel import BaseFilterWheel, FilterWheelReading


class SlowWheel(BaseFilterWheel):
    """A wheel that takes its time to tell its filters."""

    answers: asyncio.Event

    async def read_wheel(self) -> FilterWheelReading:
        await self.answers.wait()
        return FilterWheelReading("V", False, ("B", "V"))

    async def begin_move(self, name: str) -> None:
        raise NotImplementedError


class Client(Module):
    """Whoever asks what the wheel has."""


async def test_a_wheel_that_does_not_know_its_filters_yet_does_not_tell_them(tmp_path: Path) -> None:
    """Whoever asks too early asks again: it is not remembered as a wheel without filters."""
    hub, answers = LocalHub(), asyncio.Event()
    site = SiteInfo(name="test", location=Location(latitude=50, longitude=10), state_dir=tmp_path)
    config = SlowWheel.Config(answer_time=60.0, focus_offsets={"V": 0.02})
    wheel = ModuleRuntime(SlowWheel, config=config, site=site, bus=hub.bus(Address("filters")))
    assert isinstance(wheel.module, SlowWheel)
    wheel.module.answers = answers
    client = ModuleRuntime(Client, config=Client.Config(), site=site, bus=hub.bus(Address("client")))
    await client.start()
    starting = asyncio.create_task(wheel.start())
    try:
        async with asyncio.timeout(20.0):
            while not client.module.has(FilterWheel):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(NotReady, match="does not tell its FilterWheelCapabilities yet"):
            await client.module.capabilities_of(FilterWheelCapabilities)
        answers.set()
        await starting
        able = await client.module.capabilities_of(FilterWheelCapabilities)
        assert [(one.name, one.focus_offset) for one in able.filters] == [("B", 0.0), ("V", 0.02)]
    finally:
        answers.set()
        await starting
        await wheel.stop()
        await client.stop()
