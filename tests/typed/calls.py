"""What mypy must see in calls: a long method gives a job, a short one is awaited. Nothing here runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from pytel.base.units import Seconds
from pytel.interfaces import (
    Acquisition,
    AcquisitionResult,
    AutoFocus,
    Camera,
    Control,
    Enclosure,
    FocusResult,
    ImageRef,
    ImageStore,
    Lease,
    Schedule,
    Scheduler,
    StoreDirectory,
    Telescope,
)
from pytel.module import Job, rpc


async def callers(telescope: Telescope, camera: Camera, store: ImageStore, control: Control) -> None:
    """Calls as authors of modules write them."""
    assert_type(telescope.move_radec(53.4, -36.1), Job[None])
    job = camera.expose(30.0)
    assert_type(job, Job[ImageRef])
    assert_type(await job, ImageRef)
    assert_type(await job.eta(), Seconds | None)
    assert_type(await job.progress(), float | None)
    await job.cancel()
    assert_type(await store.shared_directory(), StoreDirectory)
    assert_type(await control.take(), Lease)
    await assert_type(store.list_images(), Coroutine[Any, Any, list[ImageRef]])


async def loops(focus: AutoFocus, acquisition: Acquisition, roof: Enclosure, scheduler: Scheduler) -> None:
    """Long methods with results."""
    assert_type(focus.focus(), Job[FocusResult])
    assert_type(await acquisition.acquire(1.0, 2.0), AcquisitionResult)
    assert_type(roof.close(), Job[None])
    assert_type(scheduler.reschedule("clouds"), Job[Schedule])


async def mistakes(telescope: Telescope, camera: Camera) -> None:
    """What mypy must refuse: each comment becomes an error itself when mypy sees no fault."""
    telescope.move_radec("53.4", -36.1)  # type: ignore[arg-type]
    telescope.move_radec(53.4)  # type: ignore[call-arg]
    camera.expose(exposure_tme=3.0)  # type: ignore[call-arg]
    camera.exposure(3.0)  # type: ignore[attr-defined]


class Slow(Telescope):
    """An implementation keeps its types as well."""

    @rpc(long=True)
    async def park(self) -> None:
        """Long here, too."""

    async def stop(self) -> None:
        """Short, without a decorator."""


async def implementation(slow: Slow) -> None:
    """Calls on one's own module."""
    assert_type(slow.park(), Job[None])
    await assert_type(slow.stop(), Coroutine[Any, Any, None])
