"""Store and archive on the bus: every image that the store took ends in the archive, once."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from pytel.archive import archive, intake
from pytel.archive.archive import DirectoryArchive
from pytel.archive.store import DirectoryImageStore
from pytel.base import clock, virtual
from pytel.base.errors import ChecksumError, NotFound, StorageFull
from pytel.base.location import Location
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.imaging.fits import write_fits
from pytel.imaging.headers import HeaderCard
from pytel.interfaces.imagearchive import ImageArchive, ImageArchived, ImageArchiveState
from pytel.interfaces.images import FrameType, ImageRef, NewImage
from pytel.interfaces.imagestore import ImageStore
from pytel.module.config import ModuleConfig
from pytel.module.handlers import on
from pytel.module.module import Module as BareModule
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module

T = TypeVar("T")
START = datetime(2026, 6, 15, 20, 0, tzinfo=UTC)


class Photographer(Module):
    """Puts images into the store and hears what becomes of them."""

    async def on_start(self) -> None:
        self.archived: list[str] = []
        self.taken = 0

    @on(ImageArchived)
    async def heard(self, event: ImageArchived) -> None:
        self.archived.append(event.image.id)

    async def take(self, *, tell: bool = True, compress: bool = False) -> ImageRef:
        pixels = np.full((64, 64), self.taken, np.uint16)
        self.taken += 1
        cards = {
            "DATE-OBS": HeaderCard(clock.now().isoformat().replace("+00:00", ""), "start"),
            "INSTRUME": HeaderCard("camera", ""),
            "IMAGETYP": HeaderCard("object", ""),
            "EXPTIME": HeaderCard(10.0, "[s]"),
            "TASKID": HeaderCard("m8", ""),
        }
        ref = await self.images.put(
            lambda path: write_fits(path, pixels, cards, compress=compress, created=clock.now())
        )
        if tell:
            self.publish(
                NewImage(
                    image=ref,
                    camera="camera",
                    frame_type=FrameType.OBJECT,
                    exposure_time=10.0,
                    start=clock.now(),
                )
            )
        return ref


class Scene:
    """A store, an archive and a photographer."""

    def __init__(self, directory: Path, capacity: int = 2**24) -> None:
        self.directory = directory
        self.hub = LocalHub()
        self.capacity = capacity
        self.runtimes: dict[str, ModuleRuntime] = {}

    async def start(self, name: str) -> ModuleRuntime:
        kinds: dict[str, tuple[type[BareModule], ModuleConfig]] = {
            "store": (DirectoryImageStore, DirectoryImageStore.Config(capacity=self.capacity)),
            "archive": (DirectoryArchive, DirectoryArchive.Config(directory="images")),
            "photographer": (Photographer, Photographer.Config()),
        }
        kind, config = kinds[name]
        site = SiteInfo(
            name="test",
            location=Location(latitude=-32.0, longitude=20.8),
            seed=1,
            state_dir=self.directory,
            simulation=None,
        )
        runtime = ModuleRuntime(kind, config=config, site=site, bus=self.hub.bus(Address(name)))
        await runtime.start()
        self.runtimes[name] = runtime
        return runtime

    async def all(self) -> Photographer:
        for name in ("store", "archive"):
            await self.start(name)
        photographer = (await self.start("photographer")).module
        assert isinstance(photographer, Photographer)
        return photographer

    async def stop(self) -> None:
        for runtime in reversed(self.runtimes.values()):
            await runtime.stop()

    def files(self) -> list[Path]:
        return sorted(path for path in (self.directory / "images").rglob("*") if path.is_file())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def fill(photographer: Photographer, taken: list[str]) -> None:
    while True:
        taken.append((await photographer.take()).id)


def run(main: Coroutine[Any, Any, T]) -> T:
    return virtual.run(main, start=START)


@pytest.mark.parametrize("compress", [False, True])
def test_an_image_ends_in_the_tree_with_its_bytes(tmp_path: Path, compress: bool) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        photographer = await scene.all()
        ref = await photographer.take(compress=compress)
        await clock.sleep(5)
        assert photographer.archived == [ref.id]
        (path,) = scene.files()
        assert path.parent.name == "2026-06-15"
        assert path.name.endswith(".fits.fz" if compress else ".fits")
        assert await in_thread(digest, path) == ref.sha256
        known = photographer.find(ImageArchive)
        (found,) = await known.find_images(task="m8")
        assert (found.id, found.exposure_time) == (ref.id, 10.0)
        assert await known.find_images(task="m9") == []
        with pytest.raises(NotFound):
            await known.get_image("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert await photographer.find(ImageStore).list_images(unreleased=True) == []
        await scene.stop()

    run(main())


def test_what_the_archive_missed_it_finds_when_it_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        photographer = await scene.all()
        await scene.runtimes["archive"].crash()
        missed = [(await photographer.take()).id, (await photographer.take(tell=False)).id]
        await scene.start("archive")
        await clock.sleep(5)
        assert photographer.archived == missed
        unheard = await photographer.take(tell=False)
        await clock.sleep(400)
        assert photographer.archived == [*missed, unheard.id]
        assert len(scene.files()) == 3
        await scene.stop()

    run(main())


def test_a_record_without_release_is_not_archived_twice(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        photographer = await scene.all()
        ref = await photographer.take()
        await clock.sleep(5)
        before = [path.stat().st_ino for path in scene.files()]
        photographer.publish(
            NewImage(image=ref, camera="camera", frame_type=FrameType.OBJECT, exposure_time=1.0, start=clock.now())
        )
        await clock.sleep(5)
        assert photographer.archived == [ref.id]
        assert [path.stat().st_ino for path in scene.files()] == before
        await scene.stop()

    run(main())


def test_changed_bytes_are_an_alarm_and_never_archived(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        photographer = await scene.all()
        ref = await photographer.take(tell=False)
        stored = await photographer.images.path(ref)
        content = bytearray(stored.read_bytes())
        content[-1] ^= 1
        stored.write_bytes(content)
        await clock.sleep(400)
        assert photographer.archived == []
        assert scene.files() == []
        assert scene.runtimes["archive"].lifecycle.status == "error"
        assert ChecksumError.__name__ in scene.runtimes["archive"].lifecycle.explanation
        await scene.stop()

    run(main())


@pytest.mark.slow
def test_a_full_store_refuses_and_goes_on_when_the_archive_has_caught_up(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, capacity=2**20)
        photographer = await scene.all()
        await scene.runtimes["archive"].crash()
        taken: list[str] = []
        with pytest.raises(StorageFull):
            await fill(photographer, taken)
        kept = await photographer.find(ImageStore).list_images()
        assert [ref.id for ref in kept] == taken
        await scene.start("archive")
        await clock.sleep(10)
        taken.append((await photographer.take()).id)
        await clock.sleep(5)
        assert photographer.archived == taken
        await scene.stop()

    run(main())


def test_a_full_disk_of_the_archive_is_told_and_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        photographer = await scene.all()
        full = True

        def take_in(*arguments: Any) -> Any:
            if full:
                raise StorageFull("no room left in the archive")
            return whole(*arguments)

        whole = intake.take_in
        monkeypatch.setattr(archive, "take_in", take_in)
        ref = await photographer.take()
        await clock.sleep(30)
        state = photographer.latest(ImageArchiveState)
        assert "StorageFull" in scene.runtimes["archive"].lifecycle.explanation
        assert state is not None
        full = False
        await clock.sleep(120)
        assert photographer.archived == [ref.id]
        assert scene.runtimes["archive"].lifecycle.status == "ready"
        await scene.stop()

    run(main())
