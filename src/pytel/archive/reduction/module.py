"""The reduction as a module: frames are reduced as they are archived, and again with the night's own masters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated
from weakref import WeakValueDictionary

import msgspec
from msgspec import Meta

from pytel.archive.reduction.choice import Master
from pytel.archive.reduction.files import Files
from pytel.archive.reduction.jobs import ReductionSettings
from pytel.archive.reduction.ledger import Ledger
from pytel.archive.reduction.makers import FrameMaker, MasterMaker
from pytel.archive.reduction.workers import DaskWorkers, InlineWorkers, ProcessWorkers, Workers
from pytel.base import clock
from pytel.base.errors import ConnectionLost, InvalidParams, ModuleNotFound, NotReady, PytelError, StorageFull, Timeout
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Fraction
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive, ImageArchived
from pytel.interfaces.images import FrameType, ReductionLevel
from pytel.interfaces.reduction import (
    CalibrationMissing,
    ImageReduced,
    MasterFrame,
    MasterMade,
    NightReduced,
    ReducedImage,
    Reduction,
    ReductionState,
    ReductionStatus,
)
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, every, on
from pytel.services import Module

CALIBRATIONS = (FrameType.BIAS, FrameType.DARK, FrameType.FLAT)
"""In the order in which they need each other."""
_PASSING = (ConnectionLost, ModuleNotFound, NotReady, StorageFull, Timeout)
_MOST = 10_000


class NightReduction(Module, Reduction):
    """Turns raw frames into calibrated ones with coordinates, catalogue, zero point and quality numbers.

    What is done stands in its ledger and what is left follows from the archive: it goes on where it was killed.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """What is reduced, with which masters, and where."""

        frame_types: tuple[FrameType, ...] = (FrameType.OBJECT,)
        """Which frames are reduced."""
        needs: tuple[FrameType, ...] = CALIBRATIONS
        """Masters without which a frame waits."""
        settings: ReductionSettings = ReductionSettings()
        arriving: bool = True
        """Reduce frames as they are archived; otherwise only when asked, and at the end of the night."""
        at_end: bool = True
        """After sunrise make the night's masters, and reduce again what they fit better."""
        fewest: Annotated[int, Meta(ge=1)] = 3
        """Frames that make a master."""
        max_age: Duration = 30 * 86400.0
        """How far in time a master may be from a frame."""
        temperature_tolerance: Annotated[float, Meta(ge=0, extra_json_schema={"unit": "degC"})] = 2.0
        look_again: Duration = 300.0
        """How often it looks for what it missed, and whether the night is over."""
        workers: Annotated[int, Meta(ge=1, le=64)] = 1
        """Processes on this host, or frames at a time for Dask."""
        nice: Annotated[int, Meta(ge=0, le=19)] = 10
        """How much the processes stay behind others."""
        scheduler: str | None = None
        """Of Dask, as `tcp://host:8786`: its workers compute instead."""

    config: Config

    async def on_start(self) -> None:
        """Read what was done."""
        work = self.directory / "work"
        await in_thread(work.mkdir, parents=True, exist_ok=True)
        self._ledger = await in_thread(Ledger(self.directory / "ledger.jsonl").open)
        self._workers = self._hired()
        files = Files(self, self._ledger, work, remote=self.config.scheduler is not None)
        self._masters = MasterMaker(self.config, self._ledger, files, self._workers)
        self._frames = FrameMaker(
            self.config,
            self._ledger,
            files,
            self._workers,
            self._masters,
            settings=self._settings(),
            invented=self.site.simulation is not None,
        )
        self._waiting: dict[str, ArchivedImage] = {}
        self._without: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._making = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._last: ReducedImage | None = None
        self._tell(ReductionStatus.IDLE)

    async def on_stop(self) -> None:
        """Leave the workers."""
        await self._workers.close()

    def _settings(self) -> ReductionSettings:
        """Those of the site file, with a path of the catalogue that is the same wherever it is read."""
        settings, home = self.config.settings, self.site.path.parent if self.site.path else Path()
        if settings.catalogue is None:
            return settings
        return msgspec.structs.replace(settings, catalogue=str((home / settings.catalogue).absolute()))

    def _hired(self) -> Workers:
        # On the virtual clock all happens in one process and in one order.
        if not clock.current().may_be_set:
            return InlineWorkers()
        if self.config.scheduler is not None:
            return DaskWorkers(self.config.scheduler, self.config.workers)
        return ProcessWorkers(self.config.workers, self.config.nice)

    def _tell(self, status: ReductionStatus, progress: Fraction | None = None) -> None:
        self.publish(ReductionState(status=status, waiting=len(self._waiting), progress=progress, last=self._last))

    # as they arrive

    @on(ImageArchived, queue=1000, everywhere=True)
    async def image_archived(self, event: ImageArchived) -> None:
        """Note a raw frame."""
        if self.config.arriving and event.archived.frame_type in self.config.frame_types:
            self._note(event.archived)

    @every("look_again")
    async def look_for_missed(self) -> None:
        """Ask the archive for frames of this night and the last that have no result; end nights that are over."""
        tonight = self.site.location.evening_of(clock.time())
        for night in (tonight - timedelta(days=1), tonight):
            if self.config.arriving:
                for image in await self._frames_of(night):
                    self._note(image)
            if self.config.at_end and night not in self._ledger.nights and await in_thread(self._is_over, night):
                await self._finish(night)

    def _note(self, image: ArchivedImage) -> None:
        raw = image.reduction_level is ReductionLevel.RAW
        if raw and image.id not in self._ledger.results and image.id not in self._broken:
            self._waiting.setdefault(image.id, image)
            self._arrived.set()

    @background
    async def work(self) -> None:
        """Reduce what waits, oldest first."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            ready = [image for image in self._waiting.values() if image.id not in self._without]
            await self._reduce_all(sorted(ready, key=lambda image: image.id))

    async def _reduce_all(self, images: Sequence[ArchivedImage]) -> dict[str, str]:
        """Reduce frames, some at a time. Returns those that could not be, with the reason."""
        failed: dict[str, str] = {}
        places = asyncio.Semaphore(self._workers.count)
        done = 0

        async def one(image: ArchivedImage) -> None:
            nonlocal done
            async with places:
                reason = await self._reduce_reported(image)
                if reason is not None:
                    failed[image.id] = reason
                done += 1
                self._tell(ReductionStatus.REDUCING, done / len(images))

        async with asyncio.TaskGroup() as tasks:
            for image in images:
                tasks.create_task(one(image))
        self._tell(ReductionStatus.IDLE)
        return failed

    async def _reduce_reported(self, image: ArchivedImage) -> str | None:
        """Reduce one frame; what is wrong is told by alarms. Returns the reason when it could not be."""
        try:
            await self._reduce(image)
        except CalibrationMissing as error:
            # It waits for masters, which is no fault: in the first night of a camera there are none.
            self._without[image.id] = error.message
            self._waiting.setdefault(image.id, image)
            return error.message
        except _PASSING as error:
            self.raise_alarm("reducing", error)
            self._waiting.setdefault(image.id, image)
            return error.message
        except PytelError as error:
            self._waiting.pop(image.id, None)
            self._broken[image.id] = error.message
            self.raise_alarm(f"image {image.id}", error)
            return error.message
        self.clear_alarm("reducing")
        return None

    async def _reduce(self, image: ArchivedImage) -> ReducedImage:
        lock = self._locks.setdefault(image.id, asyncio.Lock())
        async with lock:
            before = self._ledger.results.get(image.id)
            reduced = await self._frames.reduce(image)
        self._waiting.pop(image.id, None)
        self._without.pop(image.id, None)
        if before is None or before.reduced != reduced:
            self._last = reduced
            self.publish(ImageReduced(reduced=reduced))
        return reduced

    async def _frames_of(self, night: date) -> list[ArchivedImage]:
        archive = self.find(ImageArchive)
        found = [
            await archive.find_images(night=night, frame_type=frame_type, limit=_MOST)
            for frame_type in self.config.frame_types
        ]
        return [image for images in found for image in images]

    # the end of the night

    def _is_over(self, night: date) -> bool:
        from pytel.sky.almanac import night_of

        location = self.site.location
        noon = location.mean_noon + (night - date(1970, 1, 1)).days * 86400.0
        sunrise = night_of(noon + 1.0, location).sunrise
        return clock.time() > (noon + 86400.0 if sunrise is None else sunrise)

    async def _finish(self, night: date) -> NightReduced:
        """Make the night's masters and reduce all its frames with what fits best."""
        for frame_type in CALIBRATIONS:
            await self._make_masters(night, frame_type)
        images = [image for image in await self._frames_of(night) if image.id not in self._broken]
        failed = await self._reduce_all(images)
        if not failed:
            await in_thread(self._ledger.note_night, night)
        broken = {image.id: self._broken[image.id] for image in images if image.id in self._broken}
        return NightReduced(night=night, reduced=len(images) - len(failed), failed=failed | broken)

    async def _make_masters(self, night: date, frame_type: FrameType) -> list[Master]:
        raws = await self.find(ImageArchive).find_images(night=night, frame_type=frame_type, limit=_MOST)
        if not raws:
            return []
        self._tell(ReductionStatus.BUILDING_MASTERS)
        async with self._making:
            known = set(self._ledger.masters)
            made = await self._masters.make(raws, frame_type)
        for master in made:
            if master.frame.image.id not in known:
                self.publish(MasterMade(master=master.frame))
        if any(master.frame.image.id not in known for master in made):
            # Frames that waited for masters may have theirs.
            self._without.clear()
            self._arrived.set()
        self._tell(ReductionStatus.IDLE)
        return made

    # calls

    @rpc(long=True)
    async def reduce(self, image: str) -> ReducedImage:
        """Calibrate one archived image by its id; with the same masters it is the same result as before."""
        found = await self.find(ImageArchive).get_image(image)
        if found.reduction_level is not ReductionLevel.RAW or found.frame_type in CALIBRATIONS:
            raise InvalidParams(f"{image} is no raw frame of the sky: ask for one that `find_images` tells of")
        self._broken.pop(image, None)
        return await self._reduce(found)

    @rpc(long=True)
    async def make_masters(self, night: date, frame_type: FrameType) -> list[MasterFrame]:
        """Combine a night's bias, dark or flat frames into masters."""
        if frame_type not in CALIBRATIONS:
            raise InvalidParams(f"masters are made of bias, dark and flat frames, not of {frame_type.value} frames")
        made = await self._make_masters(night, frame_type)
        if not made:
            raise self._masters.too_few(night, frame_type)
        return [master.frame for master in made]

    @rpc(long=True)
    async def reduce_night(self, night: date) -> NightReduced:
        """Combine a night's masters and reduce all its frames with what fits best."""
        self._broken.clear()
        return await self._finish(night)

    async def list_masters(self, frame_type: FrameType | None = None) -> list[MasterFrame]:
        """List the masters, newest first."""
        frames = [master.frame for master in self._ledger.masters.values()]
        wanted = [frame for frame in frames if frame_type is None or frame.frame_type is frame_type]
        return sorted(wanted, key=lambda frame: (frame.time, frame.image.id), reverse=True)
