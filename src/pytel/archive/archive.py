"""The image archive as a module: every new image ends in a tree by night and in a database."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from pytel.archive.database import Database
from pytel.archive.intake import take_in
from pytel.archive.records import ImageFilter, ImageRecord
from pytel.base import clock
from pytel.base.errors import NotFound, NotReady, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Duration
from pytel.interfaces.imagearchive import (
    ArchivedImage,
    ImageArchive,
    ImageArchiveCapabilities,
    ImageArchived,
    ImageArchiveState,
)
from pytel.interfaces.images import FrameType, ImageRef, NewImage, ReductionLevel
from pytel.interfaces.imagestore import ImageStore
from pytel.interfaces.reduction import ImageReduced, MasterMade
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, every, on
from pytel.module.messages import Capabilities
from pytel.services import Module


class DirectoryArchive(Module, ImageArchive):
    """Copies each new image from its store into a directory by night, and keeps an index of them.

    What the store has and nobody archived (after a crash, a full disk, a lost event) is found at the start and every
    few minutes, so that no image depends on an event that came through.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Where the images go."""

        directory: str = "archive"
        """Relative to the site's state directory."""
        look_again: Duration = 300.0
        """How often the store is asked for images that were missed."""
        retry: Duration = 60.0
        """How long to wait after an image could not be archived (a full disk)."""

    config: Config
    _database: Database | None = None
    _absolute: Path | None = None

    async def on_start(self) -> None:
        """Open the index."""
        self._root = self.site.state_dir / Path(self.config.directory)
        self._absolute = await in_thread(self._root.resolve)
        database = Database(self.directory / "archive.sqlite")
        self._database = await in_thread(database.open)
        self._waiting: dict[str, ImageRef] = {}
        self._arrived = asyncio.Event()
        self._last: ArchivedImage | None = None
        await self._tell()

    async def on_stop(self) -> None:
        """Close the index."""
        if self._database is not None:
            await in_thread(self._database.close)

    def capabilities(self) -> list[Capabilities]:
        """Where the files are."""
        return [ImageArchiveCapabilities(directory=str(self._absolute))] if self._absolute else []

    @property
    def database(self) -> Database:
        """The index. Raises `NotReady` before it is open."""
        if self._database is None:
            raise NotReady(f"{self.address} has not opened its database yet")
        return self._database

    @on(NewImage, queue=1000, everywhere=True)
    async def new_image(self, event: NewImage) -> None:
        """Note an image to be archived."""
        self._note(event.image)

    @on(ImageReduced, queue=1000, everywhere=True)
    async def image_reduced(self, event: ImageReduced) -> None:
        """Note a calibrated image to be archived."""
        self._note(event.reduced.image)

    @on(MasterMade, queue=100, everywhere=True)
    async def master_made(self, event: MasterMade) -> None:
        """Note a master frame to be archived."""
        self._note(event.master.image)

    @every("look_again")
    async def look_for_missed(self) -> None:
        """Ask the stores for what is not archived yet."""
        for store in self.find_all(ImageStore):
            for ref in await store.list_images(unreleased=True):
                self._note(ref)

    def _note(self, ref: ImageRef) -> None:
        self._waiting.setdefault(ref.id, ref)
        self._arrived.set()

    @background
    async def work(self) -> None:
        """Archive what waits, oldest first."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            for ref in sorted(self._waiting.values(), key=lambda ref: ref.id):
                await self._archive_reported(ref)

    async def _archive_reported(self, ref: ImageRef) -> None:
        try:
            await self._archive(ref)
        except NotFound as error:
            self._waiting.pop(ref.id, None)
            if not await self._is_archived(ref.id):
                self.raise_alarm(f"image {ref.id}", error)
        except PytelError as error:
            self.raise_alarm("archiving", error)
            await clock.sleep(self.config.retry)
            self._arrived.set()
        else:
            self.clear_alarm("archiving")

    async def _archive(self, ref: ImageRef) -> None:
        if not await self._is_archived(ref.id):
            source = await self.images.path(ref)
            location = self.site.location
            record = await in_thread(take_in, source, ref, self._root, self.database, location, clock.now())
            self._last = archived(record)
            self.publish(ImageArchived(image=ref, archived=self._last))
        await self.find(ImageStore, name=ref.store).release(ref.id)
        self._waiting.pop(ref.id, None)
        await self._tell()

    async def _is_archived(self, image: str) -> bool:
        try:
            await in_thread(self.database.get, image)
        except NotFound:
            return False
        return True

    async def _tell(self) -> None:
        count = await in_thread(self.database.count)
        self.publish(ImageArchiveState(images=count, pending=len(self._waiting), last=self._last))

    async def find_images(
        self,
        night: date | None = None,
        task: str | None = None,
        frame_type: FrameType | None = None,
        object: str | None = None,  # noqa: A002 - the FITS word
        limit: int = 1000,
        reduction_level: ReductionLevel | None = ReductionLevel.RAW,
        sha256: str | None = None,
    ) -> list[ArchivedImage]:
        """Find images, oldest first."""
        wanted = ImageFilter(
            night=night,
            task=task,
            object=object,
            sha256=sha256,
            frame_type=frame_type.value if frame_type else None,
            reduction_level=reduction_level.value if reduction_level else None,
        )
        records = await in_thread(self.database.find, wanted, limit=max(0, min(limit, 10_000)))
        return [archived(record) for record in records]

    async def get_image(self, id: str) -> ArchivedImage:  # noqa: A002 - the word of the protocol
        """Look one image up."""
        return archived(await in_thread(self.database.get, id))


def archived(record: ImageRecord) -> ArchivedImage:
    """What others are told of a record."""
    return ArchivedImage(
        id=record.id,
        sha256=record.sha256,
        size=record.size,
        path=record.path,
        night=record.night,
        camera=record.camera,
        frame_type=_frame_type(record.frame_type),
        exposure_time=record.exposure_time,
        start=record.start,
        filter=record.filter,
        object=record.object,
        task=record.task,
        exposure_index=record.exposure_index,
        ra=record.ra,
        dec=record.dec,
        reduction_level=ReductionLevel(record.reduction_level),
        raw=record.raw,
    )


def _frame_type(name: str) -> FrameType:
    return FrameType(name) if name in set(FrameType) else FrameType.OBJECT
