"""Exposures: the file, its header, and what happens when the camera, a provider or the store fails."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytel.archive.store import DirectoryImageStore
from pytel.base import clock, virtual
from pytel.base.errors import (
    Cancelled,
    ChecksumError,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    LimitExceeded,
    NotFound,
    StorageFull,
)
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Topic
from pytel.bus.local import LocalHub
from pytel.imaging.fits import read_fits
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus, Window
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.images import FrameType, ImageRef
from pytel.module.config import ModuleConfig
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module, in_thread
from pytel.services.camera import BaseCamera, CameraPhase, CameraReading, ExposureSettings

START = datetime(2026, 1, 10, 20, tzinfo=UTC)


class Electronics:
    """A camera that does what it should, or `hangs`, `loses` its exposure, or does not `answer`."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.begun: float | None = None
        self.settings: ExposureSettings | None = None
        self.aborted = 0
        self.reconnected = 0

    def phase(self) -> CameraPhase:
        if self.begun is None or self.settings is None:
            return CameraPhase.IDLE
        elapsed = clock.time() - self.begun
        if self.fault == "hangs" or elapsed < self.settings.exposure_time:
            return CameraPhase.EXPOSING
        return CameraPhase.READING if elapsed < self.settings.exposure_time + 3.0 else CameraPhase.READY


class BenchCamera(BaseCamera):
    """The driver under test."""

    electronics: Electronics

    async def read_camera(self) -> CameraReading:
        if self.electronics.fault == "answer":
            await asyncio.Event().wait()
        return CameraReading(self.electronics.phase(), -10.0, -10.0, 40.0)

    async def begin_exposure(self, settings: ExposureSettings) -> None:
        if self.electronics.fault == "refuses":
            raise DeviceError("the bench camera refuses", device="camera")
        self.electronics.begun, self.electronics.settings = clock.time(), settings

    async def end_exposure(self) -> None:
        assert self.electronics.settings is not None
        assert self.electronics.begun is not None
        elapsed = clock.time() - self.electronics.begun
        self.electronics.settings = self.electronics.settings._replace(exposure_time=elapsed)

    async def abort(self) -> None:
        self.electronics.aborted += 1
        if self.electronics.fault != "hangs":
            self.electronics.begun = None

    async def read_frame(self) -> NDArray[np.uint16]:
        settings = self.electronics.settings
        assert settings is not None
        shape = (settings.window.height // settings.binning, settings.window.width // settings.binning)
        self.electronics.begun = None
        return np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)

    async def reconnect(self) -> None:
        self.electronics.reconnected += 1


class Provider(Module, FitsHeaderProvider):
    """Gives cards, slowly if told so."""

    cards: dict[str, Any]
    at_end: dict[str, Any]
    pause = 0.0
    error: Exception | None = None

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        await clock.sleep(self.pause)
        if self.error is not None:
            raise self.error
        values = self.cards if moment is ExposureMoment.START else self.cards | self.at_end
        return {keyword: Card(value=value, comment="test") for keyword, value in values.items()}


class Client(Module):
    """Whoever takes images."""


class Bench:
    """A camera, a store and header providers on a local bus."""

    def __init__(self, path: Path) -> None:
        self.hub = LocalHub()
        self.path = path
        self.electronics = Electronics()
        self.events: list[dict[str, Any]] = []
        self._running: list[ModuleRuntime] = []

    async def start(self, kind: type[Module], name: str, **config: Any) -> ModuleRuntime:
        site = SiteInfo(name="bench", location=Location(latitude=50, longitude=10), state_dir=self.path)
        options: ModuleConfig = kind.Config(**config)
        runtime = ModuleRuntime(kind, config=options, site=site, bus=self.hub.bus(Address(name)))
        if isinstance(runtime.module, BenchCamera):
            runtime.module.electronics = self.electronics
        if isinstance(runtime.module, Provider):
            runtime.module.cards, runtime.module.at_end = {}, {}
        self._running.append(runtime)
        await runtime.start()
        return runtime

    async def set_up(self, **config: Any) -> None:
        self.client = (await self.start(Client, "client")).module
        self.store = await self.start(DirectoryImageStore, "store")
        self.runtime = await self.start(BenchCamera, "camera", **({"width": 64, "height": 48} | config))
        topic = Topic.parse("urn:pytel:event:NewImage:1")
        self.client._runtime.bus.subscribe(topic, lambda publication: self.events.append(publication.data))

    async def provider(self, name: str, **cards: Any) -> Provider:
        module = (await self.start(Provider, name)).module
        assert isinstance(module, Provider)
        module.cards = cards
        return module

    async def telescope(self) -> Provider:
        pointing = {"RA": 83.8, "DEC": -5.4, "AIRMASS": 1.5, "FOCALLEN": 1000.0}
        return await self.provider("telescope", **pointing)

    def camera(self) -> Camera:
        return self.client.find(Camera)

    def state(self) -> CameraState:
        state = self.client.latest(CameraState)
        assert state is not None
        return state

    async def file(self, ref: ImageRef) -> Path:
        images: Any = self.client
        path: Path = await images.images.path(ref)
        return path

    async def header(self, ref: ImageRef) -> dict[str, Any]:
        return (await in_thread(read_fits, await self.file(ref)))[1]

    async def take_down(self) -> None:
        for runtime in reversed(self._running):
            await runtime.stop()


Scenario = Callable[[Bench], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    async def staged(scenario: Scenario, config: dict[str, Any]) -> None:
        bench = Bench(tmp_path)
        await bench.set_up(**config)
        try:
            await scenario(bench)
        finally:
            await bench.take_down()

    def perform(scenario: Scenario, **config: Any) -> None:
        virtual.run(staged(scenario, config), start=START, seed=1)

    return perform


async def awaited(job: Awaitable[Any]) -> Any:
    return await job


@pytest.mark.parametrize("compress", [False, True])
def test_an_exposure_ends_in_the_store_with_a_complete_header(play: Play, compress: bool) -> None:
    async def scenario(bench: Bench) -> None:
        telescope = await bench.telescope()
        telescope.at_end = {"AIRMASS": 1.4}
        await bench.provider("observer", OBJECT="ζ Öri", TASKID="task-1", FILTER="V")
        ref = await bench.camera().expose(60.0)
        path = await bench.file(ref)
        content = await in_thread(path.read_bytes)
        assert (ref.size, ref.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        pixels, header = await in_thread(read_fits, path)
        assert pixels.shape == (48, 64)
        assert pixels[1, 0] == 64
        expected = {
            "EXPTIME": 60.0,
            "IMAGETYP": "object",
            "DATE-OBS": "2026-01-10T20:00:00.000",
            "DATE-END": "2026-01-10T20:01:00.000",
            "INSTRUME": "camera",
            "CCD-TEMP": -10.0,
            "OBJECT": "? Ori",
            "AIRMASS": 1.5,
            "AM-END": 1.4,
            "CRVAL1": 83.8,
            "CRPIX1": 32.5,
            "CTYPE1": "RA---TAN",
        }
        assert {keyword: header.get(keyword) for keyword in expected} == expected
        assert "HDRMISS" not in header
        assert bench.events[0]["task"] == "task-1"
        assert bench.events[0]["filter"] == "V"
        assert bench.events[0]["image"]["id"] == ref.id
        assert bench.state().last_image == ref
        assert bench.state().status is CameraStatus.IDLE

    play(scenario, compress=compress)


def test_a_slow_or_failing_provider_costs_its_own_cards_only(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.telescope()
        slow, broken = await bench.provider("slow", SLOW=1), await bench.provider("broken", BROKEN=1)
        slow.pause, broken.error = 100.0, ValueError("a fault in its code")
        begun = clock.time()
        ref = await bench.camera().expose(1.0)
        assert clock.time() - begun < 1.0 + 3.0 + 6.0
        header = await bench.header(ref)
        assert header["HDRMISS"] == "broken, slow"
        assert header["RA"] == 83.8

    play(scenario)


def test_what_providers_say_cannot_spoil_the_file(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.provider("a", OBJECT="first", EXPTIME=999.0, NAXIS=7, lower=1)
        await bench.provider("b", OBJECT="second", TOOLONGKEY=1, NAXIS1=5, GOOD=True)
        header = await bench.header(await bench.camera().expose(2.0))
        assert (header["OBJECT"], header["EXPTIME"], header["GOOD"]) == ("first", 2.0, True)

    play(scenario)


def test_binning_and_window_move_the_reference_pixel(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.telescope()
        window = Window(x=16, y=8, width=32, height=32)
        header = await bench.header(await bench.camera().expose(1.0, binning=2, window=window))
        assert (header["NAXIS1"], header["NAXIS2"]) == (16, 16)
        assert (header["CRPIX1"], header["CRPIX2"]) == (8.5, 8.5)
        assert header["XBINNING"] == 2

    play(scenario)


def test_dark_frames_keep_the_shutter_closed_and_have_no_place_on_the_sky(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.telescope()
        header = await bench.header(await bench.camera().expose(0.0, FrameType.BIAS))
        assert "CRVAL1" not in header
        assert bench.electronics.settings is not None
        assert not bench.electronics.settings.shutter

    play(scenario)


def test_impossible_exposures_are_refused(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        camera = bench.camera()
        with pytest.raises(LimitExceeded):
            await camera.expose(1e6)
        with pytest.raises(InvalidParams):
            await camera.expose(1.0, binning=7)
        with pytest.raises(LimitExceeded):
            await camera.expose(1.0, window=Window(x=60, y=0, width=10, height=10))
        assert bench.electronics.begun is None

    play(scenario)


def test_a_camera_that_hangs_is_named_and_the_next_exposure_works(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.electronics.fault = "hangs"
        begun = clock.time()
        with pytest.raises(DeviceTimeout, match="camera") as failure:
            await bench.camera().expose(30.0)
        assert failure.value.data["device"] == "camera"
        assert clock.time() - begun < 30 + 20
        assert bench.electronics.aborted
        assert bench.electronics.reconnected
        bench.electronics.fault = None
        bench.electronics.begun = None
        await bench.camera().expose(1.0)
        assert bench.state().status is CameraStatus.IDLE
        assert bench.runtime.lifecycle.healthy

    play(scenario)


def test_a_lost_exposure_is_noticed_before_its_end(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        job = asyncio.ensure_future(awaited(bench.camera().expose(600.0)))
        await clock.sleep(100)
        bench.electronics.begun = None
        await clock.sleep(15)
        assert job.done()
        with pytest.raises(DeviceError, match="camera"):
            await job

    play(scenario)


@pytest.mark.parametrize("how", ["cancel", "abort"])
def test_an_exposure_that_is_cancelled_ends_in_the_hardware(play: Play, how: str) -> None:
    async def scenario(bench: Bench) -> None:
        job = asyncio.ensure_future(awaited(bench.camera().expose(600.0)))
        await clock.sleep(100)
        assert bench.state().status is CameraStatus.EXPOSING
        assert 0.1 < (bench.state().progress or 0.0) < 0.2
        if how == "cancel":
            job.cancel()
            await asyncio.wait([job])
        else:
            await bench.camera().abort_exposure()
            with pytest.raises(Cancelled):
                await job
        assert bench.electronics.begun is None
        assert not bench.events
        assert bench.state().status is CameraStatus.IDLE

    play(scenario)


def test_an_exposure_that_is_stopped_is_kept_with_its_true_time(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        job = asyncio.ensure_future(awaited(bench.camera().expose(600.0)))
        await clock.sleep(100)
        await bench.camera().stop_exposure()
        header = await bench.header(await job)
        assert header["EXPTIME"] == pytest.approx(100.0)

    play(scenario)


def test_a_full_store_is_told_and_the_camera_goes_on(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        files: Any = bench.store.module
        files.files.capacity = 1000
        with pytest.raises(StorageFull):
            await bench.camera().expose(1.0)
        assert not await in_thread(os.listdir, files.files.incoming)
        files.files.capacity = 2**30
        await bench.camera().expose(1.0)

    play(scenario)


def test_a_store_that_crashes_and_comes_back_gets_the_image_once(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        job = asyncio.ensure_future(awaited(bench.camera().expose(10.0)))
        await clock.sleep(5)
        await bench.store.crash()
        await clock.sleep(25)
        store: Any = (await bench.start(DirectoryImageStore, "store")).module
        ref = await job
        assert [image.id for image in store.files.list()] == [ref.id]

    play(scenario)


def test_an_image_that_was_changed_or_is_gone_is_not_read(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        ref = await bench.camera().expose(1.0)
        path = await bench.file(ref)
        client: Any = (await bench.start(Client, "other")).module
        await in_thread(path.write_bytes, b"x" * ref.size)
        with pytest.raises(ChecksumError):
            await client.images.get(ref)
        await in_thread(path.unlink)
        with pytest.raises(NotFound):
            await client.images.get(ref)

    play(scenario)


def test_the_detector_is_told_as_data(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        capabilities = await bench.client.capabilities_of(CameraCapabilities)
        assert (capabilities.width, capabilities.height) == (64, 48)

    play(scenario)
