"""A backlog of several nights, reduced by the workers of a Dask scheduler of which one is killed: the same result."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from archive.test_reduction_workers import free_port, process
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.interfaces.images import FrameType, ReductionLevel
from reduction_kit import START, ReductionSite, Truth

NIGHTS = 3
FIELDS = [Truth(), Truth(ra=200.0, dec=40.0)]


async def take_nights(site: ReductionSite) -> list[str]:
    """Raw frames of some nights; gives the ids of those of the sky, in order."""
    raws = []
    for night in range(NIGHTS):
        dusk = (START + timedelta(days=night)).timestamp()
        with clock.using(clock.ScaledClock(dusk, time.time(), 50.0)):
            await site.photographer.take_calibrations(3)
            raws += [(await site.photographer.take(FrameType.OBJECT, 60.0, truth)).id for truth in FIELDS]
    return raws


async def reduced(folder: Path, victim: asyncio.subprocess.Process | None = None, **config: Any) -> list[Any]:
    """Take the nights and reduce them all; gives frames and cards in the order of the raw ones."""
    async with ReductionSite(folder, arriving=False, at_end=False, **config) as site:
        raws = await take_nights(site)
        nights = [
            asyncio.ensure_future(_reduce(site, (START + timedelta(days=night)).date())) for night in range(NIGHTS)
        ]
        if victim is not None:
            async with asyncio.timeout(120):
                while not await site.found(ReductionLevel.REDUCED):  # noqa: ASYNC110 - the moment to kill
                    await asyncio.sleep(0.1)
            victim.send_signal(signal.SIGKILL)
            await victim.wait()
        results = await asyncio.gather(*nights)
        assert [(result.reduced, result.failed) for result in results] == [(len(FIELDS), {})] * NIGHTS
        async with asyncio.timeout(60):
            while len(await site.found(ReductionLevel.REDUCED)) < len(raws):  # noqa: ASYNC110 - the archive's own pace
                await asyncio.sleep(0.2)
        paths = {image.raw: site.path(image) for image in await site.found(ReductionLevel.REDUCED)}
        return [await in_thread(_read, paths[raw]) for raw in raws]


async def _reduce(site: ReductionSite, night: Any) -> Any:
    return await site.reduction.reduce_night(night)


def _read(path: Path) -> tuple[Any, list[Any]]:
    with fits.open(path) as units:
        image = next(unit for unit in units if unit.data is not None and unit.data.ndim == 2)
        return image.data.copy(), [image.header.get(name) for name in ("CRVAL1", "CRVAL2", "MAGZP", "DATE-OBS")]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_three_nights_by_dask_with_a_worker_killed_are_what_one_host_makes(tmp_path: Path) -> None:
    alone = await reduced(tmp_path / "alone")
    port = next(free_port())
    address = f"tcp://127.0.0.1:{port}"
    worker = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
    async with (
        process("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", directory=tmp_path),
        process(*worker, directory=tmp_path) as first,
        process(*worker, directory=tmp_path),
    ):
        by_dask = await reduced(tmp_path / "dask", first, scheduler=address, workers=4)
        assert first.returncode is not None
    assert len(alone) == NIGHTS * len(FIELDS)
    for (pixels, cards), (others, their_cards) in zip(alone, by_dask, strict=True):
        assert np.array_equal(pixels, others)
        assert None not in cards[:2]
        assert cards[:3] == their_cards[:3]
