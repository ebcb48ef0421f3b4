"""From an exposure's recipe to pixels: stars true to the sky, photon and read noise, and the detector's faults."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from pytel.base.ids import derived_seed
from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.detector import Detector, Image
from pytel.devices.simulated.world.psf import MARGIN, REACH, Profile
from pytel.devices.simulated.world.shot_noise import ShotNoise
from pytel.devices.simulated.world.state import Exposure, Sample
from pytel.sky.catalogue import cone
from pytel.sky.coordinates import project

Frame = NDArray[np.uint16]
Values = NDArray[np.float64]
STAMP = 64
"""Width and height of the frames of `pixels: stamp`."""
_GRID = 0.1  # degrees: fields of one cell share a look into the catalogue
_STAMP_STAR = 5e4  # electrons
_ROWS = 64


class Renderer:
    """Renders frames; the same recipe gives the same bytes."""

    def __init__(self, config: WorldConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self._stars = functools.lru_cache(maxsize=4)(self._looked_up)

    @functools.cached_property
    def detector(self) -> Detector:
        """The detector's maps, made when the first frame needs them."""
        return Detector(self.config.camera, self.seed)

    def render(self, exposure: Exposure) -> Frame:
        """Make the frame (rows from south to north where the rotation is 0), uint16 ADU."""
        source = np.random.default_rng(derived_seed(self.seed, "frame", exposure.number))
        if self.config.pixels == "stamp":
            return self._stamp(exposure, source)
        electrons = self._electrons(exposure, source)
        return self._digitised(_binned(electrons, exposure.binning), exposure)

    def pixels_of(self, ra: Values, dec: Values, centre: tuple[float, float]) -> tuple[Values, Values]:
        """Where stars fall on the detector, in pixels from 0 (the middle of the first)."""
        xi, eta = project(ra, dec, *centre)
        camera, scale = self.config.camera, self.config.pixel_scale / 3600
        angle, sign = math.radians(camera.rotation), 1.0 if camera.flip else -1.0
        x = sign * (xi * math.cos(angle) + eta * math.sin(angle)) / scale
        y = (-xi * math.sin(angle) + eta * math.cos(angle)) / scale
        return x + (camera.width - 1) / 2, y + (camera.height - 1) / 2

    def _electrons(self, exposure: Exposure, source: np.random.Generator) -> Image:
        """Expected electrons in every unbinned pixel of the window, and the hits of cosmic rays."""
        window = (slice(exposure.y, exposure.y + exposure.height), slice(exposure.x, exposure.x + exposure.width))
        canvas = np.full(
            (exposure.height + 2 * MARGIN, exposure.width + 2 * MARGIN),
            sum(s.sky for s in exposure.samples),
            dtype=np.float32,
        )
        self._add_stars(canvas, exposure)
        electrons = canvas[MARGIN:-MARGIN, MARGIN:-MARGIN]
        electrons *= self.detector.flat[window]
        seconds = exposure.local_end - exposure.local_start
        dark = self.detector.dark_current(exposure.temperature) * seconds
        electrons += np.float32(dark)
        self._add_hot_pixels(electrons, exposure, dark)
        self._add_cosmic_rays(electrons, seconds, source)
        return np.minimum(electrons, np.float32(self.config.camera.full_well), out=electrons)

    def _add_stars(self, canvas: Image, exposure: Exposure) -> None:
        lit = [sample for sample in exposure.samples if sample.stars > 0]
        if not lit:
            return
        total = sum(sample.stars for sample in lit)
        fwhm = sum(sample.fwhm * sample.stars for sample in lit) / total
        profile = Profile(fwhm / self.config.pixel_scale)
        level = 0.3 * math.sqrt(sum(s.sky for s in exposure.samples) + self.config.camera.read_noise**2)
        for sample in lit:
            profile.add(canvas, *self._star_places(sample, exposure), level * sample.stars / total)

    def _star_places(self, sample: Sample, exposure: Exposure) -> tuple[Values, Values, Values]:
        ra, dec, mag = self._stars(round(sample.ra / _GRID), round(sample.dec / _GRID))
        x, y = self.pixels_of(ra, dec, (sample.ra, sample.dec))
        x, y = x - exposure.x, y - exposure.y
        near = (x > -REACH) & (x < exposure.width + REACH) & (y > -REACH) & (y < exposure.height + REACH)
        flux = sample.stars * 10 ** (-0.4 * mag[near])
        return x[near] + MARGIN, y[near] + MARGIN, flux

    def _looked_up(self, ra: int, dec: int) -> tuple[Values, Values, Values]:
        camera = self.config.camera
        radius = (math.hypot(camera.width, camera.height) / 2 + REACH) * self.config.pixel_scale / 3600
        stars = cone(
            ra * _GRID % 360, max(-90.0, min(90.0, dec * _GRID)), radius + _GRID, self.config.star_limit, invent=True
        )
        right, declination, magnitude = (
            np.asarray(part, dtype=np.float64) for part in (stars.ra, stars.dec, stars.mag)
        )
        return right, declination, magnitude

    def _add_hot_pixels(self, electrons: Image, exposure: Exposure, dark: float) -> None:
        detector = self.detector
        x, y = detector.hot_x - exposure.x, detector.hot_y - exposure.y
        inside = (x >= 0) & (x < exposure.width) & (y >= 0) & (y < exposure.height)
        electrons[y[inside], x[inside]] += detector.hot_dark[inside] * np.float32(dark)

    def _add_cosmic_rays(self, electrons: Image, seconds: float, source: np.random.Generator) -> None:
        height, width = electrons.shape
        camera = self.config.camera
        rate = camera.cosmic_rays * height * width / (camera.height * camera.width)
        for _ in range(source.poisson(rate * max(seconds, 0.0))):
            x, y, angle = source.uniform(0, width), source.uniform(0, height), source.uniform(0, math.pi)
            along = np.arange(0, 1 + source.exponential(6.0), 0.7)
            xs, ys = (x + along * math.cos(angle)).astype(int), (y + along * math.sin(angle)).astype(int)
            inside = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
            electrons[ys[inside], xs[inside]] += np.float32(source.uniform(300, 5000))

    def _digitised(self, electrons: Image, exposure: Exposure) -> Frame:
        """Photon and read noise, gain, bias. The noise is normal: from ten electrons on that is near enough."""
        camera, step = self.config.camera, exposure.binning
        bias_rows = self.detector.bias_rows[exposure.y : exposure.y + exposure.height : step]
        bias_rows = bias_rows + np.float32(camera.bias + 0.5)
        bias_columns = self.detector.bias_columns[:, exposure.x : exposure.x + exposure.width : step]
        shot = ShotNoise(derived_seed(self.seed, "noise", exposure.number))
        frame = np.empty(electrons.shape, dtype=np.uint16)
        for first in range(0, len(electrons), _ROWS):  # few enough rows to stay in the processor's cache
            rows = slice(first, first + _ROWS)
            light = electrons[rows]
            noise = np.empty(light.shape, dtype=np.float32)
            shot.fill(noise)
            sigma = light + np.float32(camera.read_noise**2)
            noise *= np.sqrt(sigma, out=sigma)
            noise += light
            noise *= np.float32(1 / camera.gain)
            noise += bias_rows[rows]
            noise += bias_columns
            np.clip(noise, 0, camera.saturation, out=noise)
            np.copyto(frame[rows], noise, casting="unsafe")
        return frame

    def _stamp(self, exposure: Exposure, source: np.random.Generator) -> Frame:
        """One well exposed star of the present width, if any light came in."""
        electrons = np.full((STAMP, STAMP), min(2000.0, sum(s.sky for s in exposure.samples)), dtype=np.float32)
        lit = [sample for sample in exposure.samples if sample.stars > 0]
        if lit:
            fwhm = sum(sample.fwhm for sample in lit) / len(lit) / self.config.pixel_scale
            electrons += _centred_star(fwhm)
        sigma = np.sqrt(electrons + np.float32(self.config.camera.read_noise**2))
        electrons += sigma * source.standard_normal(electrons.shape, dtype=np.float32)
        electrons *= np.float32(1 / self.config.camera.gain)
        electrons += np.float32(self.config.camera.bias)
        return np.clip(electrons, 0, self.config.camera.saturation).astype(np.uint16)


def _binned(electrons: Image, step: int) -> Image:
    if step == 1:
        return electrons
    height, width = electrons.shape
    binned: Image = electrons.reshape(height // step, step, width // step, step).sum(axis=(1, 3), dtype=np.float32)
    return binned


def _centred_star(fwhm: float) -> Image:
    """A star in the middle of a stamp, each pixel from 3 x 3 points."""
    alpha_squared = (fwhm / 2) ** 2 / (2 ** (1 / 3) - 1)
    points = (np.arange(3 * STAMP, dtype=np.float32) + 0.5) / 3 - STAMP / 2
    squared = points**2
    inverse = 1 / (1 + (squared[:, None] + squared[None, :]) / np.float32(alpha_squared))
    fine = inverse * inverse * inverse * np.float32(_STAMP_STAR * 2 / (math.pi * alpha_squared) / 9)
    star: Image = fine.reshape(STAMP, 3, STAMP, 3).sum(axis=(1, 3), dtype=np.float32)
    return star
