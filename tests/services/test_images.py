"""Images from and to a store on another host, over lines that break and lie; and how the way is chosen."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_store_kit import CREATED, Line, Spoil, frame_bytes, sha256, until
from pytel.archive.http.server import HttpSettings
from pytel.archive.store import DirectoryImageStore
from pytel.base import clock
from pytel.base.errors import ChecksumError, ConfigError, ConnectionLost, NotFound, NotReady, StorageFull, Timeout
from pytel.base.location import Location
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.imaging.fits import Written, write_fits
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStoreCapabilities, StoreAccess, StoreDirectory
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.servers.certificates import ensure_certificates
from pytel.services import Module
from pytel.services.images_http import HttpImages
from pytel.services.received import Received

PIXELS = (np.arange(1200 * 800) % 65536).astype(np.uint16).reshape(1200, 800)


class FarStore(DirectoryImageStore):
    """A store whose directory this host does not see: another one is found under its name."""

    line: Line | None = None

    async def shared_directory(self) -> StoreDirectory:
        directory = await super().shared_directory()
        return StoreDirectory(path=directory.path, nonce=f"another-{directory.nonce}")

    async def access(self) -> StoreAccess:
        access = await super().access()
        if self.line is None:
            return access
        return StoreAccess(url=f"http://127.0.0.1:{self.line.port}", token=access.token)


class Consumer(Module):
    """Reads and writes images."""


class Scene:
    """A store and a module that uses it, on one bus."""

    def __init__(self, folder: Path, kind: type[DirectoryImageStore], **config: Any) -> None:
        self.hub = LocalHub()
        self.site = SiteInfo(
            name="test", location=Location(latitude=0, longitude=0), seed=1, state_dir=folder, simulation=None
        )
        self.kind = kind
        self.config = config
        self.consumer: Any = None
        self.store: Any = None

    async def start_store(self) -> None:
        config = DirectoryImageStore.Config(**self.config)
        self._store = ModuleRuntime(self.kind, config=config, site=self.site, bus=self.hub.bus(Address("store")))
        await self._store.start()
        self.store = self._store.module

    async def stop_store(self) -> None:
        await self._store.stop()

    async def crash_store(self) -> None:
        await self._store.crash()

    @property
    def port(self) -> int:
        return int(self.store._server.url.rpartition(":")[2])

    @contextlib.asynccontextmanager
    async def line(self, spoil: Spoil) -> AsyncIterator[Line]:
        async with Line(self.port, spoil) as line:
            self.store.line = line
            try:
                yield line
            finally:
                self.store.line = None


@contextlib.asynccontextmanager
async def scene_of(folder: Path, kind: type[DirectoryImageStore] = FarStore, **config: Any) -> AsyncIterator[Scene]:
    # A fast clock, so that pauses between tries are short.
    with clock.using(clock.ScaledClock(clock.time(), clock.time(), 5.0)):
        scene = Scene(folder, kind, **config)
        await scene.start_store()
        consumer = ModuleRuntime(Consumer, site=scene.site, bus=scene.hub.bus(Address("consumer")))
        await consumer.start()
        scene.consumer = consumer.module
        try:
            yield scene
        finally:
            await consumer.stop()
            await scene.stop_store()


def write(path: Path) -> Written:
    return write_fits(path, PIXELS, {}, created=CREATED)


def write_large(path: Path) -> Written:
    return write_fits(path, np.tile(PIXELS, (4, 4)), {}, created=CREATED)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.part"))


async def test_on_another_host_images_go_and_come_over_http(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        images = scene.consumer.images
        ref = await images.put(write)
        assert ref.store == "store"
        assert [stored.id for stored in scene.store.files.list()] == [ref.id]
        image = await images.get(ref)
        assert image.pixels.dtype == np.uint16
        assert (image.pixels == PIXELS).all()
        assert image.header["NAXIS1"] == 800
        path = await images.path(ref)
        assert path.parent != scene.store.files.path
        assert sha256(await in_thread(path.read_bytes)) == ref.sha256
        before = path.stat().st_mtime_ns
        assert (await images.path(ref)).stat().st_mtime_ns == before
        assert files_below(tmp_path) == []


async def test_on_the_same_host_its_file_is_used(tmp_path: Path) -> None:
    async with scene_of(tmp_path, DirectoryImageStore) as scene:
        ref = await scene.consumer.images.put(write)
        async with Line(scene.port, lambda chunk, before: chunk) as line:
            path = await scene.consumer.images.path(ref)
            assert path == scene.store.files.get(ref.id).path
            assert (await scene.consumer.images.get(ref)).pixels.sum() == PIXELS.sum()
            assert line.connections == 0


async def test_a_changed_file_on_the_same_host_is_no_image(tmp_path: Path) -> None:
    async with scene_of(tmp_path, DirectoryImageStore) as scene:
        ref = await scene.consumer.images.put(write)
        path = scene.store.files.get(ref.id).path
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(content)
        scene.consumer.images._verified.clear()
        with pytest.raises(ChecksumError):
            await scene.consumer.images.get(ref)
        with pytest.raises(ChecksumError):
            await scene.consumer.images.path(ref)


@pytest.mark.parametrize("place", [100, 2880 + 4711, -2, -2880 - 1])
async def test_a_byte_that_a_disk_changed_is_noticed_although_nobody_wrote(tmp_path: Path, place: int) -> None:
    async with scene_of(tmp_path, DirectoryImageStore) as scene:
        ref = await scene.consumer.images.put(write)
        path = scene.store.files.get(ref.id).path
        content, status = bytearray(path.read_bytes()), path.stat()
        content[place] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        scene.consumer.images._verified.clear()
        with pytest.raises(ChecksumError):
            await scene.consumer.images.get(ref)
        with pytest.raises(ChecksumError):
            await scene.consumer.images.path(ref)


async def test_what_was_changed_between_writing_and_committing_is_refused(tmp_path: Path) -> None:
    def write_and_change(path: Path) -> Written:
        written = write(path)
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(b"!")
        return written

    async with scene_of(tmp_path, DirectoryImageStore) as scene:
        with pytest.raises(ChecksumError):
            await scene.consumer.images.put(write_and_change)
        assert scene.store.files.list() == []
        assert files_below(tmp_path) == []


async def test_an_image_of_another_writer_is_hashed_and_read(tmp_path: Path) -> None:
    def plainly(path: Path) -> tuple[int, str]:
        content = bytes(frame_bytes()).replace(b"CHECKSUM", b"CHECKED_")
        path.write_bytes(content)
        return len(content), sha256(content)

    async with scene_of(tmp_path, DirectoryImageStore) as scene:
        ref = await scene.consumer.images.put(plainly)
        scene.consumer.images._verified.clear()
        assert (await scene.consumer.images.get(ref)).pixels.shape == (64, 48)


async def test_a_store_that_has_moved_on_this_host_is_found(tmp_path: Path) -> None:
    async with scene_of(tmp_path, DirectoryImageStore, directory="first") as scene:
        await scene.consumer.images.put(write)
        await scene.stop_store()
        scene.config["directory"] = "second"
        await scene.start_store()
        ref = await scene.consumer.images.put(write)
        assert (await scene.consumer.images.path(ref)).parent.name == "second"
        assert files_below(tmp_path) == []


async def test_the_store_tells_where_it_is_but_its_token_to_modules_alone(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        capabilities = await scene.consumer.capabilities_of(ImageStoreCapabilities)
        access = await scene.store.access()
        assert capabilities.urls == [access.url]
        assert access.token not in str(scene._store.describe())


@pytest.mark.slow
@pytest.mark.parametrize("to_file", [True, False])
async def test_a_line_that_breaks_again_and_again_is_resumed(tmp_path: Path, to_file: bool) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)

        def breaks(chunk: bytes, before: int) -> bytes | None:
            return chunk if before < 500_000 else None

        async with scene.line(breaks) as line:
            if to_file:
                assert sha256((await scene.consumer.images.path(ref)).read_bytes()) == ref.sha256
            else:
                assert ((await scene.consumer.images.get(ref)).pixels == PIXELS).all()
            assert 4 <= line.connections <= 8
            assert line.sent.lower().count(b"\r\nrange: bytes=") == line.connections - 1


async def test_a_byte_that_changes_on_the_way_is_noticed_and_fetched_again(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        lies = [1]

        def lie(chunk: bytes, before: int) -> bytes | None:
            if lies and before > 100_000:
                lies.pop()
                return bytes([chunk[0] ^ 1]) + chunk[1:]
            return chunk

        async with scene.line(lie) as line:
            assert ((await scene.consumer.images.get(ref)).pixels == PIXELS).all()
            assert line.connections == 2


async def test_a_line_that_always_lies_is_a_checksum_error(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        async with scene.line(lambda chunk, before: chunk if before < 50_000 else bytes([chunk[0] ^ 1]) + chunk[1:]):
            with pytest.raises(ChecksumError):
                await scene.consumer.images.get(ref)
            with pytest.raises(ChecksumError):
                await scene.consumer.images.path(ref)
        assert files_below(tmp_path) == []


async def test_a_byte_that_changes_on_the_stores_disk_is_a_checksum_error(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        path = scene.store.files.get(ref.id).path
        content = bytearray(path.read_bytes())
        content[70_000] ^= 4
        path.write_bytes(content)
        with pytest.raises(ChecksumError):
            await scene.consumer.images.get(ref)


async def test_an_answer_that_is_lost_gives_one_image(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        lost = [1]

        def lose(chunk: bytes, before: int) -> bytes | None:
            # What asks to go on with the body may pass.
            if lost and b"201 Created" in chunk:
                lost.pop()
                return None
            return chunk

        async with scene.line(lose) as line:
            ref = await scene.consumer.images.put(write)
            assert line.connections == 2
        assert [stored.id for stored in scene.store.files.list()] == [ref.id]


async def test_an_upload_that_is_cut_in_the_middle_is_sent_again_and_leaves_nothing(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene, scene.line(lambda chunk, before: chunk) as line:
        line.cuts = iter([500_000, 1_000_000])
        ref = await scene.consumer.images.put(write)
        assert line.connections == 3
        assert [image.id for image in scene.store.files.list()] == [ref.id]
        await until(lambda: files_below(tmp_path) == [])
        assert (await scene.consumer.images.get(ref)).pixels.sum() == PIXELS.sum()


async def test_an_upload_that_comes_further_each_time_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every try takes longer than the time in which something must go on.
    monkeypatch.setattr("pytel.services.patience.patient", lambda seconds, real=0.0: 0.01)
    async with scene_of(tmp_path) as scene, scene.line(lambda chunk, before: chunk) as line:
        # Farther apart than what sockets hold.
        line.cuts = iter([2**20, 10 * 2**20, 19 * 2**20])
        ref = await scene.consumer.images.put(write_large)
        assert line.connections == 4
        assert [image.id for image in scene.store.files.list()] == [ref.id]


async def test_an_upload_that_is_always_cut_is_given_up_in_time_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytel.services.patience.patient", lambda seconds, real=0.0: 5.0 if seconds > 10 else 0.2)
    async with scene_of(tmp_path) as scene, scene.line(lambda chunk, before: chunk) as line:
        line.cuts = itertools.repeat(500_000)
        with pytest.raises(ConnectionLost):
            await scene.consumer.images.put(write)
        assert line.connections > 2
        assert scene.store.files.list() == []
        await until(lambda: files_below(tmp_path) == [])


async def test_a_store_that_restarts_with_another_token_and_port_is_found_again(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        async with scene.line(lambda chunk, before: chunk if before < 300_000 else None) as line:
            reading = asyncio.ensure_future(scene.consumer.images.get(ref))
            await until(lambda: line.connections)
            await scene.crash_store()
            await scene.start_store()
        assert ((await reading).pixels == PIXELS).all()


async def test_a_full_store_is_told_and_nothing_stays(tmp_path: Path) -> None:
    async with scene_of(tmp_path, capacity=2**20) as scene:
        with pytest.raises(StorageFull):
            await scene.consumer.images.put(write)
        assert scene.store.files.list() == []
        assert files_below(tmp_path) == []


async def test_an_image_that_is_gone_is_told(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        await in_thread(scene.store.files.release, ref.id)
        await in_thread(scene.store.files.make_room, scene.store.files.capacity)
        with pytest.raises(NotFound):
            await scene.consumer.images.get(ref)
        with pytest.raises(NotFound):
            await scene.consumer.images.path(ImageRef(id="../../x", sha256=ref.sha256, size=1, store="store"))


async def test_a_store_without_http_cannot_be_reached_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytel.services.patience.patient", lambda seconds, real=0.0: 0.01)
    async with scene_of(tmp_path, http=None) as scene:
        with pytest.raises(NotReady, match="does not serve HTTP"):
            await scene.consumer.images.put(write)


async def test_a_store_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene_of(tmp_path) as scene:
        ref = await scene.consumer.images.put(write)
        monkeypatch.setattr("pytel.services.images_http._SILENCE", 0.2)
        monkeypatch.setattr("pytel.services.patience.PATIENCE", 1.0)
        monkeypatch.setattr("pytel.services.patience.patient", lambda seconds, real=0.0: min(seconds, 0.1))
        async with scene.line(lambda chunk, before: b""):
            with pytest.raises(Timeout, match="said nothing"):
                await scene.consumer.images.get(ref)


async def test_a_taken_port_is_an_alarm_and_the_store_serves_this_host(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    try:
        settings = HttpSettings(listen=f"127.0.0.1:{port}")
        async with scene_of(tmp_path, DirectoryImageStore, http=settings) as scene:
            assert scene._store.lifecycle.status == "error"
            assert "taken" in scene._store.lifecycle.explanation
            ref = await scene.consumer.images.put(write)
            assert (await scene.consumer.images.get(ref)).pixels.sum() == PIXELS.sum()
            taken.close()
            await taken.wait_closed()
            await scene.store.report()
            assert scene._store.lifecycle.status == "ready"
            assert scene.port == port
    finally:
        taken.close()


async def test_beyond_this_host_it_takes_tls_and_its_certificate_comes_over_the_bus(tmp_path: Path) -> None:
    certificate, key = await in_thread(ensure_certificates, tmp_path, "localhost", tmp_path / "ca.crt")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = HttpSettings(
        listen=f"0.0.0.0:{port}", url=f"https://localhost:{port}", certificate=str(certificate), key=str(key)
    )
    async with scene_of(tmp_path / "site", http=settings) as scene:
        ref = await scene.consumer.images.put(write)
        assert ((await scene.consumer.images.get(ref)).pixels == PIXELS).all()
        access = await scene.store.access()
        strange = StoreAccess(url=access.url, token=access.token, certificate=None)

        async def without_certificate() -> StoreAccess:
            return strange

        with pytest.raises((ConnectionLost, ConfigError)):
            await HttpImages(without_certificate, lambda: tmp_path)._receive(ref, Received.into_memory(ref.size))


async def test_beyond_this_host_nothing_is_served_in_clear(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificate"):
        async with scene_of(tmp_path, http=HttpSettings(listen="0.0.0.0:0")):
            pass


async def test_released_images_go_when_they_are_old(tmp_path: Path) -> None:
    async with scene_of(tmp_path, DirectoryImageStore, keep=0.001) as scene:
        kept = await scene.consumer.images.put(write)
        archived = await scene.consumer.images.put(write)
        await scene.store.release(archived.id)
        await clock.sleep(0.1)
        await scene.store.report()
        assert [image.id for image in scene.store.files.list()] == [kept.id]
