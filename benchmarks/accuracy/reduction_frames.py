"""Raw frames and masters of the simulated camera with known truth, for the figures of photometry and reduction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytel.archive.reduction.combining import make_master
from pytel.archive.reduction.jobs import MasterJob, Source
from pytel.devices.simulated.world.config import CameraConfig, FilterConfig, TelescopeConfig, WorldConfig
from pytel.devices.simulated.world.render import Renderer
from pytel.devices.simulated.world.state import Exposure, Sample
from pytel.imaging.fits import write_fits
from pytel.imaging.headers import HeaderCard, detector_cards, exposure_cards
from pytel.imaging.wcs import wcs_cards
from pytel.interfaces.images import FrameType

START = datetime(2026, 11, 22, 20, tzinfo=UTC)
_SKY = 20.8
_OFF = 0.005


@dataclass(frozen=True)
class Light:
    """What a frame of the sky was made with: degrees, arcsec, seconds."""

    ra: float
    dec: float
    filter: str = "V"
    airmass: float = 1.2
    fwhm: float = 2.0
    seconds: float = 60.0


class Scene:
    """A camera of `size` pixels squared at `focal_length` mm, in a directory; takes masters as it is made."""

    def __init__(self, directory: Path, size: int, focal_length: float, *, frames: int = 7) -> None:
        self.directory = directory
        self.config = WorldConfig(
            telescope=TelescopeConfig(focal_length=focal_length), camera=CameraConfig(width=size, height=size)
        )
        self._size = size
        self._renderer = Renderer(self.config, 1)
        self._number = 0
        self.masters: dict[FrameType, Source] = {}
        for kind, seconds in ((FrameType.BIAS, 0.0), (FrameType.DARK, 120.0), (FrameType.FLAT, 5.0)):
            raws = [self._written(kind, seconds) for _ in range(frames)]
            self.masters[kind] = self._combined(kind, raws)

    def filter(self, name: str) -> FilterConfig:
        """A filter of the world."""
        return next(slot for slot in self.config.filters.filters if slot.name == name)

    def light(self, truth: Light) -> Source:
        """A raw frame of the sky."""
        return self._written(FrameType.OBJECT, truth.seconds, truth)

    def _combined(self, kind: FrameType, raws: list[Source]) -> Source:
        path = self.directory / f"master-{kind.value}.fits"
        job = MasterJob(frame_type=kind, raws=raws, masters=dict(self.masters), created=START, output=str(path))
        made = make_master(job)
        return Source(id=kind.value.upper().ljust(26, "0"), sha256=made.sha256, size=made.size, path=str(path))

    def _written(self, kind: FrameType, seconds: float, truth: Light | None = None) -> Source:
        self._number += 1
        samples = [Sample(start=0, end=seconds, ra=0, dec=0, stars=0, sky=30_000.0, fwhm=2.0)]
        cards = exposure_cards(
            frame_type=kind.value, start=START, end=START + timedelta(seconds=seconds), exposure_time=seconds
        )
        cards |= detector_cards(
            camera="camera", gain=1.5, read_noise=6.0, saturation=65535, temperature=-20.0, set_temperature=-20.0
        )
        if truth is not None:
            samples = [self._sample(truth)]
            cards |= self._pointing(truth)
        exposure = Exposure(
            number=self._number, exposure_time=seconds, shutter=True, binning=1, x=0, y=0, width=self._size,
            height=self._size, site_start=0.0, local_start=0.0, temperature=-20.0,
            samples=samples if kind in (FrameType.FLAT, FrameType.OBJECT) else [], local_end=seconds,
        )  # fmt: skip
        path = self.directory / f"raw{self._number:04d}.fits"
        written = write_fits(path, self._renderer.render(exposure), cards, created=START)
        return Source(id=f"{self._number:026d}", sha256=written.sha256, size=written.size, path=str(path))

    def _sample(self, truth: Light) -> Sample:
        slot, t = self.filter(truth.filter), truth.seconds
        stars = t * 10 ** (0.4 * (slot.zero_point - slot.extinction * truth.airmass))
        sky = t * 10 ** (0.4 * (slot.zero_point - _SKY)) * self.config.pixel_scale**2
        return Sample(start=0, end=t, ra=truth.ra, dec=truth.dec, stars=stars, sky=sky, fwhm=truth.fwhm)

    def _pointing(self, truth: Light) -> dict[str, HeaderCard]:
        middle = ((self._size + 1) / 2, (self._size + 1) / 2)
        off = _OFF / math.cos(math.radians(truth.dec))
        believed = wcs_cards(
            truth.ra + off, truth.dec - _OFF, pixel_scale=self.config.pixel_scale, rotation=0.0, reference_pixel=middle
        )
        return believed | {"AIRMASS": HeaderCard(truth.airmass), "FILTER": HeaderCard(truth.filter)}
