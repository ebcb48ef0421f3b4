"""The way of the light: through clouds and air, roof, cover, tube and filter, to the detector."""

from __future__ import annotations

import math

from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.device import Site
from pytel.devices.simulated.world.focuser import FilterWheel, Focuser
from pytel.devices.simulated.world.mount import Mount
from pytel.devices.simulated.world.roof import Cover, Roof
from pytel.devices.simulated.world.skyglow import SkyGlow
from pytel.devices.simulated.world.state import Sample
from pytel.sky.coordinates import airmass, project, radec_to_altaz

_MOST_SAMPLES = 8
_SAME_PLACE = 0.2  # pixels


class Optics:
    """Collects what falls on the detector."""

    def __init__(
        self,
        site: Site,
        mount: Mount,
        focuser: Focuser,
        filters: FilterWheel,
        roof: Roof,
        cover: Cover,
        climate: Climate,
        glow: SkyGlow,
    ) -> None:
        self.site = site
        self.mount = mount
        self.focuser = focuser
        self.filters = filters
        self.roof = roof
        self.cover = cover
        self.climate = climate
        self.glow = glow
        self._brightest = max(slot.zero_point for slot in filters.slots)

    def collect(self, start: float, end: float) -> list[Sample]:
        """The light between two site times during which no command came."""
        count = 1 if self.site.config.pixels == "stamp" else self._parts(start, end)
        step = (end - start) / count
        return [self._sample(start + i * step, start + (i + 1) * step) for i in range(count)]

    def shift(self, a: Sample, b: Sample) -> float:
        """How far two pointings are apart, in pixels."""
        return _distance((a.ra, a.dec), (b.ra, b.dec)) / self.site.config.pixel_scale

    def cloud_extinction(self, when: float) -> float:
        """Magnitudes that clouds take."""
        return self.climate.cloud_extinction(when)

    def blur(self, defocus: float) -> float:
        """The full width at half maximum that a defocus in mm adds, arcsec."""
        tube = self.site.config.telescope
        disc = abs(defocus) * tube.aperture / tube.focal_length  # mm across in the focal plane
        return 0.7 * disc / tube.focal_length * 206264.806

    def _parts(self, start: float, end: float) -> int:
        middle = (start + end) / 2
        places = [self.mount.true_radec(when) for when in (start, middle, end)]
        moved = max(_distance(places[0], places[1]), _distance(places[1], places[2])) / self.site.config.pixel_scale
        steady = all(thing.fraction(start) == thing.fraction(end) for thing in (self.roof, self.cover))
        return min(_MOST_SAMPLES, max(1 if steady else 4, math.ceil(moved / _SAME_PLACE)))

    def _sample(self, start: float, end: float) -> Sample:
        when = (start + end) / 2
        ra, dec = self.mount.true_radec(when)
        mass = airmass(radec_to_altaz(ra, dec, when, self.site.location)[0])
        slot = self.filters.in_beam(when)
        opening = self.roof.fraction(when) * self.cover.fraction(when)
        sample = Sample(start=start, end=end, ra=ra, dec=dec, stars=0.0, sky=0.0, fwhm=self._fwhm(when, mass or 10.0))
        if slot is None:
            return sample
        seconds, zero = end - start, slot.zero_point
        if mass is not None and opening > 0:
            lost = slot.extinction * mass + self.climate.cloud_extinction(when)
            sample.stars = opening * seconds * 10 ** (0.4 * (zero - lost))
            surface = self.glow.at(ra, dec, when)
            sample.sky = opening * seconds * 10 ** (0.4 * (zero - surface)) * self.site.config.pixel_scale**2
        sample.sky += seconds * self._panel(when) * 10 ** (0.4 * (zero - self._brightest))
        return sample

    def _fwhm(self, when: float, mass: float) -> float:
        slot = self.filters.in_beam(when)
        defocus = self.focuser.defocus(when, slot.focus_offset if slot else 0.0)
        return math.hypot(self.climate.seeing(when) * mass**0.6, self.blur(defocus))

    def _panel(self, when: float) -> float:
        """Electrons per second and pixel from the light in the closed cover."""
        return self.site.config.cover.brightness * self.site.state.cover.light * (1 - self.cover.fraction(when))


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Arcseconds between two places; far apart counts as very far."""
    xi, eta = project(*a, *b)
    apart = math.hypot(xi, eta) * 3600
    return apart if math.isfinite(apart) else 1e6
