"""The reduction as a module: on arrival, at the end of the night, after a kill at any step."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from astropy.io import fits

from pytel.archive.reduction import files, makers
from pytel.base import clock, virtual
from pytel.base.errors import InvalidParams, NotFound
from pytel.base.threads import in_thread
from pytel.interfaces.images import FrameType, ImageRef, ReductionLevel
from pytel.interfaces.reduction import CalibrationMissing
from reduction_kit import START, ReductionSite, SimulatedFrames, Truth

T = TypeVar("T")
NIGHT = START.date()


MORNING = START + timedelta(hours=8)


def run(main: Coroutine[Any, Any, T], start: datetime = START) -> T:
    return virtual.run(main, start=start)


async def take_night(site: ReductionSite, *truths: Truth) -> list[ImageRef]:
    await site.photographer.take_calibrations()
    return [await site.photographer.take(FrameType.OBJECT, 60.0, truth) for truth in truths]


async def until_done(site: ReductionSite, count: int) -> None:
    async with clock.deadline(2 * 86400.0):
        while len(await site.found(ReductionLevel.REDUCED)) < count:
            await clock.sleep(60.0)


@pytest.mark.slow
def test_a_night_is_reduced_after_sunrise_with_its_own_masters(tmp_path: Path) -> None:
    async def main() -> None:
        async with ReductionSite(tmp_path) as site:
            raws = await take_night(site, Truth(), Truth(ra=200.0, dec=40.0))
            assert await site.found(ReductionLevel.REDUCED) == []
            await until_done(site, 2)
            reduced = await site.found(ReductionLevel.REDUCED)
            assert sorted(image.raw or "" for image in reduced) == sorted(raw.id for raw in raws)
            masters = await site.found(ReductionLevel.MASTER)
            assert Counter(image.frame_type for image in masters) == {
                FrameType.BIAS: 1,
                FrameType.DARK: 1,
                FrameType.FLAT: 1,
            }
            header = await in_thread(fits.getheader, site.path(reduced[0]))
            assert header["PROCTYPE"] == "reduced"
            assert header["RAWID"] == reduced[0].raw
            ids = {header[f"{kind}ID"]: header[f"{kind}SHA"] for kind in ("BIAS", "DARK", "FLAT")}
            assert ids == {image.id: image.sha256 for image in masters}
            assert header["CREATOR"].startswith("pytel ")
            master = await in_thread(fits.getheader, site.path(masters[-1]))
            assert master["NCOMBINE"] == 5
            assert {image.frame_type for image in await site.found(ReductionLevel.RAW)} == {
                FrameType.OBJECT,
                FrameType.BIAS,
                FrameType.DARK,
                FrameType.FLAT,
            }

    run(main())


@pytest.mark.slow
def test_frames_are_reduced_as_they_arrive_and_again_when_better_masters_are_made(tmp_path: Path) -> None:
    async def main() -> None:
        async with ReductionSite(tmp_path, at_end=False) as site:
            await site.photographer.take_calibrations(3)
            for kind in (FrameType.BIAS, FrameType.DARK, FrameType.FLAT):
                await site.reduction.make_masters(NIGHT, kind)
            raw = await site.photographer.take(FrameType.OBJECT, 60.0, Truth())
            (first,) = await site.found(ReductionLevel.REDUCED)
            assert first.raw == raw.id
            # The same masters: the same result, nothing done twice.
            assert (await site.reduction.reduce(raw.id)).image.id == first.id
            await site.photographer.take_calibrations(3)
            done = await site.reduction.reduce_night(NIGHT)
            assert (done.reduced, done.failed) == (1, {})
            await clock.sleep(60.0)
            (second,) = await site.found(ReductionLevel.REDUCED)
            assert second.id != first.id
            assert [image.id for image in await site.found(ReductionLevel.SUPERSEDED)] == [first.id]
            assert len(await site.reduction.list_masters()) == 6
            again = await site.reduction.reduce_night(NIGHT)
            assert again.reduced == 1
            await clock.sleep(60.0)
            assert [image.id for image in await site.found(ReductionLevel.REDUCED)] == [second.id]

    run(main())


def test_a_frame_without_masters_says_what_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with ReductionSite(tmp_path) as site:
            raw = await site.photographer.take(FrameType.OBJECT, 60.0, Truth())
            with pytest.raises(CalibrationMissing, match="no master bias for camera camera") as caught:
                await site.reduction.reduce(raw.id)
            assert caught.value.data["frame_type"] == "bias"
            with pytest.raises(NotFound):
                await site.reduction.make_masters(NIGHT, FrameType.FLAT)
            with pytest.raises(InvalidParams):
                await site.reduction.make_masters(NIGHT, FrameType.FOCUS)
            with pytest.raises(NotFound):
                await site.reduction.reduce("01ARZ3NDEKTSV4RRFFQ69G5FAV")

    run(main())


def test_without_needs_a_frame_is_reduced_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with ReductionSite(tmp_path, needs=()) as site:
            raw = await site.photographer.take(FrameType.OBJECT, 60.0, Truth())
            (image,) = await site.found(ReductionLevel.REDUCED)
            assert image.raw == raw.id
            assert "BIASID" not in await in_thread(fits.getheader, site.path(image))

    run(main())


class KillSwitch:
    """Stops the module for good at its `n`th step to disk or store."""

    def __init__(self, n: int) -> None:
        self.left = n
        self.struck = asyncio.Event()

    async def __call__(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        await self._strike()
        result = await in_thread(function, *args, **kwargs)
        await self._strike()
        return result

    async def _strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.struck.set()
            await asyncio.Event().wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_any_step_it_goes_on_and_gives_each_raw_one_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def night(directory: Path, n: int) -> tuple[bool, list[str]]:
        await in_thread(directory.mkdir)
        async with ReductionSite(directory, look_again=60.0) as site:
            await site.runtimes["reduction"].stop()
            site.photographer.frames = SimulatedFrames(64)
            await site.photographer.take_calibrations(3)
            raw = await site.photographer.take(FrameType.OBJECT, 60.0, Truth())
            switch = KillSwitch(n)
            for module in (files, makers):
                monkeypatch.setattr(module, "in_thread", switch)
            await site.start("reduction")
            job = asyncio.ensure_future(until_done(site, 1))
            struck = asyncio.ensure_future(switch.struck.wait())
            await asyncio.wait([job, struck], return_when=asyncio.FIRST_COMPLETED)
            killed = switch.struck.is_set()
            if killed:
                await site.runtimes["reduction"].crash()
                for module in (files, makers):
                    monkeypatch.setattr(module, "in_thread", in_thread)
                await site.start("reduction")
            await job
            struck.cancel()
            await clock.sleep(3600.0)
            made = [image for image in await site.found(None) if image.reduction_level is not ReductionLevel.RAW]
            assert [image.raw for image in made if image.reduction_level is ReductionLevel.REDUCED] == [raw.id]
            return killed, sorted(f"{image.frame_type.value}-{image.reduction_level.value}" for image in made)

    n, killed = 1, True
    while killed:
        killed, made = run(night(tmp_path / str(n), n), start=MORNING)
        assert made == ["bias-master", "dark-master", "flat-master", "object-reduced"], f"killed at step {n}"
        n += 9
    assert n > 40
