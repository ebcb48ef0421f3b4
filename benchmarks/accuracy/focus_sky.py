"""Focus frames whose truth is known, by the simulated world's own renderer: field, seeing, clouds and defocus."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytel.devices.simulated.world.config import CameraConfig, TelescopeConfig, WorldConfig
from pytel.devices.simulated.world.render import Renderer
from pytel.devices.simulated.world.state import Exposure, Sample

WAVELENGTH = 0.55e-3  # mm
TOLERANCE = 10.0  # percent
SIZE = 1024
EXPOSURE_TIME = 5.0
SEEING_JITTER = 0.03
"""Relative rms of the seeing from frame to frame: 5 s average it less than well."""
_ZERO_POINT = 22.3
_SKY = 20.5
_BLUR = 0.7


@dataclass(frozen=True)
class Optics:
    """A telescope, with the world's camera behind it."""

    focal_length: float = 1056.0
    aperture: float = 300.0

    @property
    def ratio(self) -> float:
        """Focal ratio."""
        return self.focal_length / self.aperture

    @property
    def zone(self) -> float:
        """Critical focus zone of diffraction, whole width in mm: 4.88 λ N² (2.44 λ N to each side, times N)."""
        return 4.88 * WAVELENGTH * self.ratio**2

    def seeing_zone(self, seeing: float) -> float:
        """The "new critical focus zone" (Goldman and Megdal 2010), whole width in mm: 0.00225 θ √τ A N² micrometres."""
        return 0.00225e-3 * seeing * math.sqrt(TOLERANCE) * self.aperture * self.ratio**2


@dataclass(frozen=True)
class Circumstances:
    """What a run meets: `seeing` in arcsec, `clouds` as (frame in the middle, width in frames, magnitudes)."""

    seed: int
    best: float
    seeing: float
    place: tuple[float, float] = (225.0, -30.0)

    clouds: tuple[tuple[float, float, float], ...] = ()
    optics: Optics = field(default_factory=Optics)


class FocusSky:
    """Takes one frame after the other; clouds pass by the number of the frame."""

    def __init__(self, circumstances: Circumstances) -> None:
        self.circumstances = circumstances
        optics = circumstances.optics
        self._config = WorldConfig(
            telescope=TelescopeConfig(focal_length=optics.focal_length, aperture=optics.aperture),
            camera=CameraConfig(width=SIZE, height=SIZE),
        )
        self._renderer = Renderer(self._config, circumstances.seed)
        self._chance = np.random.default_rng(circumstances.seed)
        self.taken = 0
        self.paused = 0.0

    def frame(self, position: float) -> NDArray[np.uint16]:
        """A frame at a focuser position (mm)."""
        told = self.circumstances
        optics, scale = told.optics, self._config.pixel_scale
        blur = _BLUR * abs(position - told.best) / optics.ratio / optics.focal_length * 206264.806
        seeing = told.seeing * math.exp(SEEING_JITTER * float(self._chance.standard_normal()))
        light = 10 ** (0.4 * (_ZERO_POINT - 0.15 - self.extinction(self.taken + self.paused)))
        when = self.taken + self.paused
        drift = 0.3 * when / 3600  # degrees: the mount drifts by 0.3 arcsec from frame to frame
        sample = Sample(
            start=0.0,
            end=EXPOSURE_TIME,
            ra=told.place[0] + drift,
            dec=told.place[1],
            stars=EXPOSURE_TIME * light,
            sky=EXPOSURE_TIME * 10 ** (0.4 * (_ZERO_POINT - _SKY)) * scale**2,
            fwhm=math.hypot(seeing, blur),
        )
        self.taken += 1
        exposure = Exposure(
            number=1000 * told.seed + self.taken, exposure_time=EXPOSURE_TIME, shutter=True, binning=1, x=0, y=0,
            width=SIZE, height=SIZE, site_start=0.0, local_start=0.0, temperature=-20.0, samples=[sample],
            local_end=EXPOSURE_TIME,
        )  # fmt: skip
        return self._renderer.render(exposure)

    def extinction(self, when: float) -> float:
        """Magnitudes that clouds take; `when` counts frames."""
        return sum(
            magnitudes * math.exp(-0.5 * ((when - middle) / width) ** 2)
            for middle, width, magnitudes in self.circumstances.clouds
        )

    def pause(self, frames: float) -> None:
        """Let the time of some frames pass."""
        self.paused += frames
