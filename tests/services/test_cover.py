"""What becomes of a cover's motion that is cancelled, overtaken or takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from pytel.base import clock, virtual
from pytel.base.errors import Cancelled, DeviceTimeout
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.cover import CalibratorStatus, CoverStatus
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services.cover import BaseCoverCalibrator, CoverReading
from roof_kit import START


class SlowCover(BaseCoverCalibrator):
    """A cover that tells every command it was given; it closes, but never gets open."""

    closes_at: float | None = None

    status = CoverStatus.CLOSED
    told: tuple[str, ...] = ()

    async def read_cover(self) -> CoverReading:
        if self.closes_at is not None and clock.time() >= self.closes_at:
            self.status = CoverStatus.CLOSED
        return CoverReading(self.status, CalibratorStatus.NOT_PRESENT)

    async def begin_open(self) -> None:
        self.told += ("open",)
        self.status = CoverStatus.OPENING

    async def begin_close(self) -> None:
        self.told += ("close",)
        self.status = CoverStatus.OPENING
        self.closes_at = clock.time() + 5.0

    async def halt(self) -> None:
        self.told += ("halt",)
        self.closes_at = None

    async def set_lamp(self, brightness: float) -> None:
        raise AssertionError


@pytest.mark.parametrize("end", ["cancelled", "late", "overtaken"])
def test_an_opening_that_fails_is_halted_unless_a_closing_overtook_it(tmp_path: Path, end: str) -> None:
    async def scenario() -> None:
        site = SiteInfo(name="site", location=Location(latitude=50, longitude=10), state_dir=tmp_path)
        runtime = ModuleRuntime(SlowCover, config=SlowCover.Config(), site=site, bus=LocalHub().bus(Address("cover")))
        await runtime.start()
        cover = runtime.module
        assert isinstance(cover, SlowCover)
        opening = asyncio.ensure_future(_awaited(cover.open_cover()))
        await clock.sleep(2.0)
        if end == "cancelled":
            opening.cancel()
        if end == "overtaken":
            await cover.close_cover()
        with pytest.raises({"cancelled": asyncio.CancelledError, "late": DeviceTimeout, "overtaken": Cancelled}[end]):
            await opening
        assert cover.told == (("open", "close") if end == "overtaken" else ("open", "halt"))
        await runtime.stop()

    virtual.run(scenario(), start=START)


async def _awaited(job: Awaitable[None]) -> None:
    await job
