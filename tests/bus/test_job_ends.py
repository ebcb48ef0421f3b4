"""How jobs end: cancelled twice, by strangers, with estimates that are no numbers."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from bus.cast import Caller
from bus.harness import BusHarness, Endpoint, call, origin
from pytel.base import ids
from pytel.base.errors import InternalError, NotAllowed, Timeout
from pytel.bus.contract import Card, Role
from pytel.module import Interface, rpc
from pytel.module.module import Module


class Crane(Interface):
    """Long calls that end in all ways."""

    @rpc(long=True, role=Role.OPERATOR, exclusive="hook")
    async def lift(self) -> None:
        """Lift until told to stop."""
        raise NotImplementedError

    @rpc(long=True)
    async def ask(self) -> None:
        """Time out within."""
        raise NotImplementedError

    @rpc(long=True)
    async def stray(self) -> None:
        """Wait for what another one cancels."""
        raise NotImplementedError


class CraneModule(Module, Crane):
    """Needs a moment to put its load down."""

    estimate: float | None = None
    down = 0
    cut_short = 0
    gets_stuck = False

    @rpc(long=True)
    async def lift(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            try:
                await asyncio.sleep(0.05)
                self.down += 1
                if self.gets_stuck:
                    await asyncio.sleep(1000)
            except asyncio.CancelledError:
                self.cut_short += 1
                raise

    def estimate_lift(self) -> float | None:
        return self.estimate

    @property
    def stop_deadline(self) -> float:
        return 0.2

    @rpc(long=True)
    async def ask(self) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    @rpc(long=True)
    async def stray(self) -> None:
        other = asyncio.create_task(asyncio.sleep(10))
        asyncio.get_running_loop().call_soon(other.cancel)
        await other


async def crane_of(site: BusHarness) -> CraneModule:
    module = (await site.start(CraneModule, "crane")).module
    assert isinstance(module, CraneModule)
    return module


async def test_a_second_cancel_does_not_cut_short_what_the_first_began(site: BusHarness) -> None:
    crane = await crane_of(site)
    operator = await site.person("olga", Role.OPERATOR)
    job = (await call(operator, "crane", "lift"))["job"]
    await asyncio.sleep(0.01)
    first = asyncio.create_task(call(operator, "crane", "job.cancel", {"job": job}))
    await asyncio.sleep(0.01)
    await call(operator, "crane", "job.cancel", {"job": job})
    await first
    assert (crane.down, crane.cut_short) == (1, 0)


async def test_a_job_that_does_not_end_holds_up_no_stop(site: BusHarness) -> None:
    crane = await crane_of(site)
    crane.gets_stuck = True
    operator = await site.person("olga", Role.OPERATOR)
    await call(operator, "crane", "lift")
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await site.stop("crane")
    assert (crane.down, crane.cut_short) == (1, 1)


async def test_who_may_not_start_a_job_may_not_end_it(site: BusHarness) -> None:
    await crane_of(site)
    operator = await site.person("olga", Role.OPERATOR)
    observer = await site.person("otto", Role.OBSERVER)
    gateway = site.bus("gateway", is_proxy=True)
    await gateway.open(Endpoint(), Card(interfaces=(), boot="gateway"))
    job = (await call(operator, "crane", "lift"))["job"]
    with pytest.raises(NotAllowed):
        await call(observer, "crane", "job.cancel", {"job": job})
    by_gateway = (await call(operator, "crane", "job.status", {"job": job}))["status"]
    assert by_gateway == "running"
    with pytest.raises(NotAllowed):
        await call(gateway, "crane", "job.cancel", {"job": job}, origin=origin("otto"))
    report = await call(gateway, "crane", "job.cancel", {"job": job}, origin=origin("olga"))
    assert report["status"] == "cancelled"


@pytest.mark.parametrize("estimate", [math.nan, math.inf, -math.inf, 1e300, -5.0])
async def test_an_estimate_that_is_no_time_harms_nobody(site: BusHarness, estimate: float) -> None:
    crane = await crane_of(site)
    crane.estimate = estimate
    operator = await site.person("olga", Role.OPERATOR)
    started = await call(operator, "crane", "lift")
    assert started["eta"] in (None, 0.0)
    assert len(await call(operator, "crane", "job.list")) == 1
    await call(operator, "crane", "job.cancel", {"job": started["job"]})


async def test_a_time_out_within_is_not_taken_for_the_jobs_own_deadline(site: BusHarness) -> None:
    await crane_of(site)
    caller = await site.start(Caller, "caller")
    with pytest.raises(Timeout) as told:
        await caller.module.find(Crane).ask()
    assert "3600" not in told.value.message


async def test_a_cancellation_that_nobody_asked_for_is_a_fault(site: BusHarness) -> None:
    await crane_of(site)
    caller = await site.start(Caller, "caller")
    with pytest.raises(InternalError):
        await caller.module.find(Crane).stray()


async def test_a_retry_finds_its_job_though_the_module_is_about_to_close(site: BusHarness) -> None:
    await crane_of(site)
    boot = site.runtimes["crane"].lifecycle.boot
    operator = await site.person("olga", Role.OPERATOR)
    options: dict[str, Any] = {"call_id": ids.new_id(), "boot": boot}
    first = await call(operator, "crane", "lift", **options)
    stopping = asyncio.create_task(site.stop("crane"))
    await asyncio.sleep(0.01)
    assert (await call(operator, "crane", "lift", **options))["job"] == first["job"]
    await stopping
