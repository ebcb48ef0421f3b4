"""Simulated frames with known truth, by the renderer of the simulated world.

    simulator = Simulator(WorldConfig(), seed=1)
    field = simulator.field(83.8, -5.4)
    reference = simulator.frame(1, field, exposure_time=30, fwhm=2.0)
    frame = simulator.frame(2, field, exposure_time=30, fwhm=2.0, dx=3.2, dy=-1.7)

The renderer places stars in steps of a twentieth of a pixel; here they are drawn where they are, unless it is not
`exact`, which is quicker.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.psf import MARGIN, Profile
from pytel.devices.simulated.world.render import Renderer
from pytel.devices.simulated.world.state import Exposure, Sample
from pytel.sky.catalogue import cone
from pytel.sky.sphere import project

Values = NDArray[np.float64]
Frame = NDArray[np.uint16]
SKY = 1.2
"""Electrons per second and square arcsecond of a dark sky on the 30 cm telescope of the simulated world."""
_NODES = np.array([-math.sqrt(0.15), 0.0, math.sqrt(0.15)])
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18
_LARGEST = 60


@dataclass(frozen=True)
class Field:
    """The stars of a field: where they are on the detector (pixels from 0), and their light (electrons per second)."""

    ra: float
    dec: float
    """Of the detector's middle (ICRS, degrees)."""
    x: Values
    y: Values
    rate: Values

    def select(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Field:
        """Some of the stars."""
        return replace(self, x=self.x[which], y=self.y[which], rate=self.rate[which])

    def moved(self, middle: tuple[float, float], dx: float, dy: float, rotation: float) -> Field:
        """Turned about a place (degrees, counter-clockwise with y up), then shifted."""
        turn = np.exp(1j * math.radians(rotation))
        z = (self.x - middle[0] + 1j * (self.y - middle[1])) * turn
        return replace(self, x=z.real + middle[0] + dx, y=z.imag + middle[1] + dy)


class Simulator:
    """Makes frames of a simulated camera; the same arguments give the same pixels."""

    def __init__(self, config: WorldConfig, seed: int = 1, *, temperature: float = -10.0, exact: bool = True) -> None:
        self.config, self.seed, self.temperature = config, seed, temperature
        self._renderer = _FieldRenderer(config, seed)
        self._renderer.exact = exact

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.config.camera.height, self.config.camera.width

    @property
    def middle(self) -> tuple[float, float]:
        """x and y of the frame's middle."""
        return (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2

    @functools.cached_property
    def diagonal(self) -> float:
        """Half of it, degrees."""
        return math.hypot(*self.shape) / 2 * self.config.pixel_scale / 3600

    def field(
        self, ra: float, dec: float, *, position_angle: float = 0.0, flipped: bool = False, limit: float | None = None
    ) -> Field:
        """The true sky (Tycho-2 and the invented stars) around a place, as bright as the first filter shows it."""
        found = cone(ra, dec, self.diagonal * 1.1 + 0.02, limit or self.config.star_limit)
        xi, eta = project(found.ra, found.dec, ra, dec)
        scale, angle = self.config.pixel_scale / 3600, math.radians(position_angle)
        sign = 1.0 if flipped else -1.0
        x = sign * (xi * math.cos(angle) - eta * math.sin(angle)) / scale
        y = (xi * math.sin(angle) + eta * math.cos(angle)) / scale
        zero_point = self.config.filters.filters[0].zero_point
        rate = 10 ** (-0.4 * (np.asarray(found.mag, dtype=np.float64) - zero_point))
        return Field(ra, dec, x + self.middle[0], y + self.middle[1], rate)

    def frame(
        self,
        number: int,
        field: Field,
        *,
        exposure_time: float = 30.0,
        fwhm: float = 2.0,
        sky: float | None = None,
        transparency: float | Values = 1.0,
        gradient: tuple[float, float] = (0.0, 0.0),
        dx: float = 0.0,
        dy: float = 0.0,
        rotation: float = 0.0,
    ) -> Frame:
        """A frame of a field that is turned about the middle and then shifted by (dx, dy) pixels.

        fwhm in arcsec; sky in electrons per second and pixel; transparency of the clouds, for all or for each star;
        gradient of the sky over the width and height of the frame, relative to it. `number` seeds noise and cosmics.
        """
        height, width = self.shape
        level = (SKY * self.config.pixel_scale**2 if sky is None else sky) * exposure_time
        sample = Sample(start=0, end=exposure_time, ra=0, dec=0, stars=exposure_time, sky=level, fwhm=fwhm)
        exposure = Exposure(
            number=number, exposure_time=exposure_time, shutter=True, binning=1, x=0, y=0, width=width, height=height,
            site_start=0.0, local_start=0.0, temperature=self.temperature, samples=[sample], local_end=exposure_time,
        )  # fmt: skip
        moved = field.moved(self.middle, dx, dy, rotation)
        self._renderer.light = replace(moved, rate=moved.rate * transparency)
        self._renderer.gradient = gradient
        return self._renderer.render(exposure)

    def signal_to_noise(self, field: Field, *, exposure_time: float = 30.0, fwhm: float = 2.0) -> Values:
        """Of the light of each star, under the best weights."""
        return np.sqrt(self._information(field, exposure_time, fwhm)[0])

    def photon_limit(self, field: Field, *, exposure_time: float = 30.0, fwhm: float = 2.0) -> float:
        """The least error (one standard deviation) of x and of y that photons and read noise allow all stars together.

        That is the Cramér-Rao bound for a known profile and no turn.
        """
        return float(1 / np.sqrt(self._information(field, exposure_time, fwhm)[1].sum()))

    def _information(self, field: Field, exposure_time: float, fwhm: float) -> tuple[Values, Values]:
        """Fisher information of each star's relative flux, and of its x."""
        steps = (np.arange(-60, 61) / 3).astype(np.float32)  # a grid of thirds of a pixel
        shape = Profile(fwhm / self.config.pixel_scale).values(steps[:, None] ** 2 + steps[None, :] ** 2)
        slope = np.gradient(shape, 1 / 3, axis=1)
        dark = SKY * self.config.pixel_scale**2 * exposure_time + self.config.camera.read_noise**2
        fluxes = np.geomspace(1, 1e9, 91)
        flux, place = np.array(
            [[(v**2 / (f * shape + dark)).sum() * f**2 / 9 for v in (shape, slope)] for f in fluxes]
        ).T
        light = np.clip(field.rate * exposure_time, 1, 1e9)
        return (
            np.exp(np.interp(np.log(light), np.log(fluxes), np.log(flux))),
            np.exp(np.interp(np.log(light), np.log(fluxes), np.log(place))),
        )


class _FieldRenderer(Renderer):
    exact: bool
    light: Field
    gradient: tuple[float, float]

    def _add_stars(self, canvas: NDArray[np.float32], exposure: Exposure) -> None:
        sample = exposure.samples[0]
        along, up = (np.linspace(-0.5, 0.5, size, dtype=np.float32) for size in canvas.shape[::-1])
        canvas *= 1 + self.gradient[0] * along + self.gradient[1] * up[:, None]
        profile = Profile(sample.fwhm / self.config.pixel_scale)
        flux = self.light.rate * sample.stars
        if not self.exact:
            near = (self.light.x > -MARGIN) & (self.light.x < canvas.shape[1] - MARGIN)
            near &= (self.light.y > -MARGIN) & (self.light.y < canvas.shape[0] - MARGIN)
            level = 0.3 * math.sqrt(sample.sky + self.config.camera.read_noise**2)
            profile.add(canvas, self.light.x[near] + MARGIN, self.light.y[near] + MARGIN, flux[near], level)
            return
        level = 0.1 * math.sqrt(sample.sky + self.config.camera.read_noise**2)
        radius = np.minimum(np.ceil(profile.radius(flux, level)) + 2, _LARGEST).astype(int)
        for star in zip(self.light.x + MARGIN, self.light.y + MARGIN, flux, radius, strict=True):
            _draw(canvas, profile, *star)


def _draw(canvas: NDArray[np.float32], profile: Profile, x: float, y: float, flux: float, radius: int) -> None:
    """Add a star, each pixel integrated by 3 x 3 points (Gauss-Legendre)."""
    left, right = max(0, round(x) - radius), min(canvas.shape[1], round(x) + radius + 1)
    low, high = max(0, round(y) - radius), min(canvas.shape[0], round(y) + radius + 1)
    if left >= right or low >= high:
        return
    dx = (np.arange(left, right)[:, None] - x + _NODES).reshape(-1).astype(np.float32) ** 2
    dy = (np.arange(low, high)[:, None] - y + _NODES).reshape(-1).astype(np.float32) ** 2
    fine = profile.values(dy[:, None] + dx[None, :]).reshape(high - low, 3, right - left, 3)
    stamp = np.einsum("iajb,a,b->ij", fine, _WEIGHTS, _WEIGHTS)
    canvas[low:high, left:right] += (flux * stamp).astype(np.float32)
