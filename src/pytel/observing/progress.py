"""Which exposures of each task are done. The archive knows; frames on their way to it count as done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from pytel.base import clock
from pytel.base.errors import ModuleNotFound, NotFound, NotReady, PytelError
from pytel.base.units import Seconds
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive, ImageArchiveState
from pytel.interfaces.imagestore import ImageStore
from pytel.interfaces.tasks import Task
from pytel.observing.journal import Entry, ExposureBegan, ExposureTaken
from pytel.services import Module

_ALL = 1_000_000


class Waiting(NamedTuple):
    """A frame that the store has and the archive does not have yet."""

    task: str
    exposure: int
    since: float


class Progress:
    """What is done of the tasks in one night."""

    def __init__(self, module: Module, night: date, patience: Seconds) -> None:
        self._module = module
        self._night = night
        self._patience = patience
        self._tonight: dict[str, set[int]] | None = None
        self._ever: dict[str, set[int]] = {}
        self._waiting: dict[str, Waiting] = {}

    def recall(self, entries: Sequence[Entry]) -> bool:
        """Take up frames from the journal of a night that was cut off.

        Tells whether an exposure was under way whose fate is unknown.
        """
        unknown = False
        for entry in entries:
            if isinstance(entry, ExposureBegan):
                unknown = True
            elif isinstance(entry, ExposureTaken):
                unknown = False
                self.taken(entry.task, entry.index, entry.image)
        return unknown

    def taken(self, task: str, index: int, image: str) -> None:
        """A frame is in the store."""
        self._waiting[image] = Waiting(task, index, clock.time())

    def archived(self, image: ArchivedImage) -> None:
        """A frame is in the archive."""
        self._waiting.pop(image.id, None)
        if image.task is None or image.exposure_index is None:
            return
        if self._tonight is not None and image.night == self._night:
            self._tonight.setdefault(image.task, set()).add(image.exposure_index)
        if image.task in self._ever:
            self._ever[image.task].add(image.exposure_index)

    def done(self, task: Task) -> set[int]:
        """The exposures of a task that are archived or on their way; `refresh` comes first."""
        return self._archived(task) | {item.exposure for item in self._waiting.values() if item.task == task.id}

    def is_archived(self, task: Task, indices: Sequence[int]) -> bool:
        """Whether these exposures are all in the archive."""
        return self._archived(task).issuperset(indices)

    def _archived(self, task: Task) -> set[int]:
        known = (self._tonight or {}) if task.every_night else self._ever
        return known.get(task.id, set())

    async def refresh(self, tasks: Sequence[Task]) -> None:
        """Ask the archive; while it is away what it said before holds. Raises what the archive raises at first."""
        await self._check_waiting()
        try:
            archive = self._module.find(ImageArchive)
            if self._tonight is None:
                found = await archive.find_images(night=self._night, limit=_ALL)
                self._tonight = _by_task(found)
                for image in found:
                    self._waiting.pop(image.id, None)
            for task in tasks:
                if not task.every_night and task.id not in self._ever:
                    found = await archive.find_images(task=task.id, limit=_ALL)
                    self._ever[task.id] = _by_task(found).get(task.id, set())
        except ModuleNotFound as error:
            raise NotReady(f"no archive tells what is done: {error.message}", device="archive") from error

    async def settled(self, within: Seconds) -> None:
        """Wait until the archive has what is on its way, then ask it anew: nothing may be taken twice."""
        ends = clock.time() + within
        while (state := self._module.latest(ImageArchiveState)) is None or state.pending:
            if clock.time() >= ends:
                break
            await clock.sleep(1.0)
        self._tonight = None
        self._ever.clear()

    async def _check_waiting(self) -> None:
        """Look after frames that should be archived by now: in the archive, in the store, or lost."""
        late = [(i, item) for i, item in self._waiting.items() if clock.time() - item.since > self._patience]
        for image, item in late:
            try:
                found = await self._where(image)
            except PytelError as error:
                self._module.log.info("image %s waits for the archive: %s", image, error.message)
                self._waiting[image] = item._replace(since=clock.time())
                continue
            if isinstance(found, ArchivedImage):
                self.archived(found)
            elif found:
                self._waiting[image] = item._replace(since=clock.time())
            else:
                del self._waiting[image]
                self._module.log.error("image %s of %s is in neither store nor archive", image, item.task)

    async def _where(self, image: str) -> ArchivedImage | bool:
        """The archive's record, or whether the store has it."""
        in_store = any(ref.id == image for ref in await self._module.find(ImageStore).list_images())
        try:
            return await self._module.find(ImageArchive).get_image(image)
        except NotFound:
            return in_store

    async def images(self) -> list[ArchivedImage]:
        """All frames of tasks of this night, oldest first."""
        found = await self._module.find(ImageArchive).find_images(night=self._night, limit=_ALL)
        return [image for image in found if image.task is not None and image.exposure_index is not None]


def _by_task(images: Sequence[ArchivedImage]) -> dict[str, set[int]]:
    done: dict[str, set[int]] = {}
    for image in images:
        if image.task is not None and image.exposure_index is not None:
            done.setdefault(image.task, set()).add(image.exposure_index)
    return done
