"""The light of the sky at the site: night glow, twilight, Moon, and what clouds make of it."""

from __future__ import annotations

import functools
import math

from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.device import Site
from pytel.sky.brightness import sky_brightness
from pytel.sky.coordinates import altaz_to_radec

_STEP = 300.0


class SkyGlow:
    """Surface brightness in V."""

    def __init__(self, site: Site, climate: Climate) -> None:
        self.site = site
        self.climate = climate
        self._cloudless = functools.lru_cache(maxsize=8)(self._cloudless_zenith)

    def at(self, ra: float, dec: float, when: float) -> float:
        """Towards an ICRS place, mag/arcsec2."""
        return sky_brightness(ra, dec, when, self.site.location) - self._lit_clouds(when)

    def zenith(self, when: float) -> float:
        """Overhead, mag/arcsec2: what a sky quality meter reads."""
        index = math.floor(when / _STEP)
        now, then = self._cloudless(index), self._cloudless(index + 1)
        return now + (then - now) * (when / _STEP - index) - self._lit_clouds(when)

    def _cloudless_zenith(self, index: int) -> float:
        when = index * _STEP
        ra, dec = altaz_to_radec(89.9, 0.0, when, self.site.location)
        return sky_brightness(ra, dec, when, self.site.location)

    def _lit_clouds(self, when: float) -> float:
        """Magnitudes by which clouds brighten the sky (they throw back the light of the ground)."""
        return 0.6 * self.climate.cloud_cover(when)
