"""Flats on the twilight sky."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from pytel.automation.flat_light import FlatLight
from pytel.automation.flats import BaseFlatField
from pytel.base import clock
from pytel.base.errors import LimitExceeded
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Adu, Altitude, Arcsec, Degrees, Magnitude, Seconds
from pytel.interfaces.flatfield import FlatFieldFailed
from pytel.interfaces.telescope import Telescope

_SLEW: Seconds = 600.0
_HALF: Seconds = 30.0
_MAGNITUDE = 0.4 * math.log(10.0)
_GOLDEN = math.pi * (3.0 - math.sqrt(5.0))


class TwilightFlatField(BaseFlatField):
    """Takes flats on the sky opposite the Sun, dithered so that no star stays on its pixel.

    Exposure times follow the light that the frames measure; how the twilight changes is taken from the Sun's altitude
    until the frames tell better. What it learns of each filter's sensitivity gives the order: in the evening the
    least sensitive first, in the morning last (compare Chromey and Hasselbacher 1996, PASP 108, 944, on where the
    twilight is flattest).
    """

    class Config(BaseFlatField.Config, frozen=True, kw_only=True):
        """Where on the sky, and how far flats are apart."""

        altitude: Altitude = 75.0
        """Of the field, opposite the Sun."""
        dither: Arcsec = 20.0
        """Distance from one flat to the next; 0 for none."""

    config: Config

    async def on_start(self) -> None:
        """Read what is known of the filters."""
        self._sensitivity: dict[str, Magnitude] = await in_thread(_read, self._file)
        self._dithers = 0
        await super().on_start()

    # the light

    def slope(self, when: float) -> float:
        """From the model of the twilight."""
        return -_MAGNITUDE * (self._sky(when + _HALF) - self._sky(when - _HALF)) / (2 * _HALF)

    def _sky(self, when: float) -> Magnitude:
        from pytel.sky.brightness import sky_brightness

        return sky_brightness(*self._field(when), when, self.site.location)

    def _field(self, when: float) -> tuple[Degrees, Degrees]:
        """ICRS place opposite the Sun at the altitude of the flats."""
        from pytel.sky.almanac import sun
        from pytel.sky.coordinates import altaz_to_radec, radec_to_altaz

        _, azimuth = radec_to_altaz(*sun(when), when, self.site.location)
        return altaz_to_radec(self.config.altitude, (azimuth + 180.0) % 360.0, when, self.site.location)

    async def light_up(self) -> None:
        """Point opposite the Sun. Raises `FlatFieldFailed` in daylight and in the night."""
        altitude = self._sun_altitude()
        if not -16.0 < altitude < 3.0:
            raise FlatFieldFailed(f"there is no twilight: the Sun is at {altitude:.0f} deg", taken=0)
        self._dithers = 0
        telescope = self.find(Telescope, deadline=_SLEW)
        await telescope.unpark()
        try:
            await telescope.move_radec(*self._field(clock.time()))
        except LimitExceeded as error:
            raise FlatFieldFailed(f"the telescope cannot point to the flat field: {error.message}", taken=0) from error

    def _sun_altitude(self) -> Degrees:
        from pytel.sky.almanac import sun_altitude

        return sun_altitude(clock.time(), self.site.location)

    async def moved_on(self) -> None:
        """Dither along a spiral, so that no two flats are at one place."""
        if self.config.dither <= 0:
            return
        there, here = _spiral(self._dithers + 1), _spiral(self._dithers)
        self._dithers += 1
        step = self.config.dither
        await self.find(Telescope, deadline=_SLEW).offset_radec(
            step * (there[0] - here[0]), step * (there[1] - here[1])
        )

    async def put_out(self) -> None:
        """Keep what was learned; the telescope stays where it is."""
        await in_thread(write_atomically, self._file, [msgspec.json.encode(self._sensitivity)])

    async def adjust(self, light: FlatLight, wanted: Adu) -> Seconds:
        """Wait while the light comes nearer. Raises `FlatFieldFailed` when it goes away."""
        now = clock.time()
        wait = light.wait(wanted, now)
        if not math.isfinite(wait) or wait > self.config.patience:
            bright = light.rate(now) > wanted
            raise FlatFieldFailed(
                f"the sky is too {'bright' if bright else 'dark'} for a flat"
                + (f", and not {'darker' if bright else 'brighter'} for {self.config.patience:.0f} s"),
                taken=0,
            )
        return max(1.0, 0.8 * wait)

    # filters

    def to_gauge(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        """Filters that were never used for flats."""
        return tuple(name for name in filters if name not in self._sensitivity)

    def gauged(self, filter_name: str | None, rate: float, when: float) -> None:
        """Remember the surface brightness that gives one count per second."""
        if filter_name is not None and rate > 1.0:
            self._sensitivity[filter_name] = round(self._sky(when) + 2.5 * math.log10(rate), 2)

    def in_order(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        """Least sensitive first while it gets darker."""
        darkens = self.slope(clock.time()) < 0
        ordered = sorted(filters, key=lambda name: self._sensitivity.get(name, 0.0))
        return tuple(ordered if darkens else reversed(ordered))

    @property
    def _file(self) -> Path:
        return self.directory / "filters.json"


def _spiral(index: int) -> tuple[float, float]:
    """Place of a point on a sunflower's spiral with neighbours about 1.8 apart (Vogel 1979)."""
    radius = math.sqrt(index)
    return radius * math.cos(index * _GOLDEN), radius * math.sin(index * _GOLDEN)


def _read(path: Path) -> dict[str, Magnitude]:
    """What is known of the filters; a file that is broken costs one evening's order, no more."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
