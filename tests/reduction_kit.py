"""Frames of a simulated camera with known truth, and a site that takes and reduces them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pytel.archive.archive import DirectoryArchive
from pytel.archive.reduction.frame import reduce_frame
from pytel.archive.reduction.jobs import FrameJob, Product, Source
from pytel.archive.reduction.module import NightReduction
from pytel.archive.store import DirectoryImageStore
from pytel.base import clock, ids
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.devices.simulated.world.config import CameraConfig, FilterConfig, WorldConfig
from pytel.devices.simulated.world.render import Renderer
from pytel.devices.simulated.world.state import Exposure, Sample
from pytel.imaging.fits import Written, write_fits
from pytel.imaging.headers import HeaderCard, detector_cards, exposure_cards
from pytel.imaging.wcs import wcs_cards
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive
from pytel.interfaces.images import FrameType, ImageRef, NewImage, ReductionLevel
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module

START = datetime(2026, 6, 15, 20, 0, tzinfo=UTC)
SKY = 20.5
"""Brightness of the sky, mag/arcsec2."""


class Truth(NamedTuple):
    """What a light frame was made with."""

    ra: float = 83.8
    dec: float = 20.0
    filter: str = "V"
    airmass: float = 1.2
    fwhm: float = 3.0
    cloud: float = 0.0


class SimulatedFrames:
    """Makes frames; the same calls give the same bytes."""

    def __init__(self, size: int = 256, *, cosmic_rays: float = 0.08, seed: int = 1) -> None:
        camera = CameraConfig(width=size, height=size, hot_pixels=20, bad_columns=1, cosmic_rays=cosmic_rays)
        self.config = WorldConfig(camera=camera)
        self.size = size
        self.renderer = Renderer(self.config, seed)
        self._number = 0

    def filter(self, name: str) -> FilterConfig:
        """A filter of the world."""
        return next(slot for slot in self.config.filters.filters if slot.name == name)

    def write(
        self, path: Path, kind: FrameType, seconds: float, start: datetime, truth: Truth | None = None
    ) -> Written:
        """Write a frame; `truth` for those that see the sky."""
        self._number += 1
        samples: list[Sample] = []
        cards: dict[str, HeaderCard] = {}
        if kind is FrameType.FLAT:
            samples = [Sample(start=0, end=seconds, ra=0, dec=0, stars=0, sky=30_000.0, fwhm=2.0)]
            cards["FILTER"] = HeaderCard("V")
        if truth is not None:
            samples = [self._light(truth, seconds)]
            cards |= self._pointing(truth)
        exposure = Exposure(
            number=self._number, exposure_time=seconds, shutter=True, binning=1, x=0, y=0, width=self.size,
            height=self.size, site_start=0.0, local_start=0.0, temperature=-20.0, samples=samples, local_end=seconds,
        )  # fmt: skip
        end = start + timedelta(seconds=seconds)
        cards |= exposure_cards(frame_type=kind.value, start=start, end=end, exposure_time=seconds)
        cards |= detector_cards(
            camera="camera", gain=1.5, read_noise=6.0, saturation=65535, temperature=-20.0, set_temperature=-20.0,
            pixel_size=9.0,
        )  # fmt: skip
        return write_fits(path, self.renderer.render(exposure), cards, created=start)

    def _light(self, truth: Truth, seconds: float) -> Sample:
        slot = self.filter(truth.filter)
        lost = slot.extinction * truth.airmass + truth.cloud
        stars = seconds * 10 ** (0.4 * (slot.zero_point - lost))
        sky = seconds * 10 ** (0.4 * (slot.zero_point - SKY)) * self.config.pixel_scale**2
        return Sample(start=0, end=seconds, ra=truth.ra, dec=truth.dec, stars=stars, sky=sky, fwhm=truth.fwhm)

    def _pointing(self, truth: Truth) -> dict[str, HeaderCard]:
        """The coordinates that the telescope believes in: 20 arcsec off."""
        middle = ((self.size + 1) / 2, (self.size + 1) / 2)
        return wcs_cards(
            truth.ra + 0.004,
            truth.dec - 0.004,
            pixel_scale=self.config.pixel_scale,
            rotation=0.0,
            reference_pixel=middle,
        ) | {"AIRMASS": HeaderCard(truth.airmass), "FILTER": HeaderCard(truth.filter)}

    def source(
        self, directory: Path, kind: FrameType, seconds: float, truth: Truth | None = None, start: datetime = START
    ) -> Source:
        """Write a frame into a directory, for a worker."""
        path = directory / f"raw{self._number:04d}.fits"
        written = self.write(path, kind, seconds, start, truth)
        return Source(id=f"{self._number:026d}", sha256=written.sha256, size=written.size, path=str(path))


class Photographer(Module):
    """Puts simulated frames into the store."""

    async def on_start(self) -> None:
        self.frames = SimulatedFrames()

    async def take(self, kind: FrameType, seconds: float, truth: Truth | None = None) -> ImageRef:
        start = clock.now()

        def write(path: Path) -> tuple[int, str]:
            written = self.frames.write(path, kind, seconds, start, truth)
            return written.size, written.sha256

        ref = await self.images.put(write)
        self.publish(NewImage(image=ref, camera="camera", frame_type=kind, exposure_time=seconds, start=clock.now()))
        await clock.sleep(10.0)
        return ref

    async def take_calibrations(self, count: int = 5) -> None:
        for kind, seconds in ((FrameType.BIAS, 0.0), (FrameType.DARK, 60.0), (FrameType.FLAT, 5.0)):
            for _ in range(count):
                await self.take(kind, seconds)


class ReductionSite:
    """Store, archive, reduction, and somebody who takes frames."""

    def __init__(self, directory: Path, **config: Any) -> None:
        self.directory = directory
        self.hub = LocalHub()
        self.config = NightReduction.Config(**config)
        self.runtimes: dict[str, ModuleRuntime] = {}

    async def start(self, *names: str) -> None:
        kinds: dict[str, Any] = {
            "store": (DirectoryImageStore, DirectoryImageStore.Config(http=None)),
            "archive": (DirectoryArchive, DirectoryArchive.Config()),
            "reduction": (NightReduction, self.config),
            "photographer": (Photographer, Photographer.Config()),
        }
        site = SiteInfo(
            name="test",
            location=Location(latitude=-32.0, longitude=20.8),
            seed=1,
            state_dir=self.directory,
            simulation=None,
        )
        for name in names or kinds:
            kind, config = kinds[name]
            runtime = ModuleRuntime(kind, config=config, site=site, bus=self.hub.bus(Address(name)))
            await runtime.start()
            self.runtimes[name] = runtime

    async def __aenter__(self) -> ReductionSite:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in ("photographer", "reduction", "archive", "store"):
            if name in self.runtimes:
                await self.runtimes[name].stop()

    @property
    def photographer(self) -> Photographer:
        module = self.runtimes["photographer"].module
        assert isinstance(module, Photographer)
        return module

    @property
    def reduction(self) -> NightReduction:
        module = self.runtimes["reduction"].module
        assert isinstance(module, NightReduction)
        return module

    async def found(self, level: ReductionLevel | None) -> list[ArchivedImage]:
        """What the archive has of a level."""
        return await self.photographer.find(ImageArchive).find_images(reduction_level=level)

    def path(self, image: ArchivedImage) -> Path:
        return self.directory / "archive" / image.path


def new_id() -> str:
    """An id of an image."""
    return ids.new_id()


def difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """The largest difference of two arrays."""
    return float(np.abs(a.astype(np.float64) - b).max())


def slowly(job: FrameJob) -> Product:
    """A frame that takes a while, so that a kill strikes in the middle of one."""
    time.sleep(1.0)
    return reduce_frame(job)
