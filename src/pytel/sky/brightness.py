"""How bright the sky is: night glow, twilight, moonlight."""

from __future__ import annotations

import math

import numpy as np

from pytel.base.location import Location
from pytel.sky.almanac import moon_phase_angle, moon_position, sun_altitude
from pytel.sky.coordinates import radec_to_altaz
from pytel.sky.sphere import separation

DARK_SKY = 21.7
"""V in mag/arcsec2 at the zenith of a good site without Moon."""

# Twilight alone, V in mag/arcsec2 near the zenith, by the Sun's altitude. From -5 to -16: Patat, Ugolnikov and
# Postylyakov (2006, A&A 455, 385), with the night sky taken off; the ends are set by hand to a clear day and to none.
_SUN_ALTITUDES = (-25.0, -18.0, -16.0, -14.0, -12.0, -10.0, -8.0, -5.0, 0.0, 10.0, 90.0)
_TWILIGHT = (35.0, 26.0, 23.6, 21.5, 19.85, 18.05, 15.9, 11.84, 7.0, 4.5, 3.5)


def sky_brightness(
    ra: float, dec: float, when: float, location: Location, *, extinction: float = 0.15, dark: float = DARK_SKY
) -> float:
    """Brightness of the sky at an ICRS place, V in mag/arcsec2 (a smaller number is a brighter sky).

    `extinction` is in magnitudes for each air mass, `dark` the moonless zenith. See `surface_brightness`.
    """
    moon = moon_position(when, location)
    return surface_brightness(
        radec_to_altaz(ra, dec, when, location)[0],
        sun_altitude=sun_altitude(when, location),
        moon_altitude=radec_to_altaz(*moon, when, location)[0],
        moon_separation=separation(ra, dec, *moon),
        moon_phase_angle=moon_phase_angle(when),
        extinction=extinction,
        dark=dark,
    )


def surface_brightness(
    altitude: float,
    *,
    sun_altitude: float,
    moon_altitude: float,
    moon_separation: float,
    moon_phase_angle: float,
    extinction: float = 0.15,
    dark: float = DARK_SKY,
) -> float:
    """Brightness of a cloudless sky in V, mag/arcsec2, from angles in degrees.

    Night glow and moonlight: Krisciunas and Schaefer (1991, PASP 103, 1033), good to a quarter of the moonlight;
    twilight: see `twilight_brightness`. A direction below the horizon counts as the horizon.
    """
    airmass = scattering_airmass(altitude)
    glow = _nanolamberts(dark) * airmass * 10 ** (-0.4 * extinction * (airmass - 1))
    moonlight = _moonlight(airmass, moon_altitude, moon_separation, moon_phase_angle, extinction)
    return _magnitude(glow + moonlight + _nanolamberts(twilight_brightness(sun_altitude)))


def twilight_brightness(sun_altitude: float) -> float:
    """V in mag/arcsec2 of the twilight alone; grows steadily with the Sun's altitude, the same all over the sky."""
    return float(np.interp(sun_altitude, _SUN_ALTITUDES, _TWILIGHT))


def scattering_airmass(altitude: float) -> float:
    """Air mass of the glowing layer (Krisciunas and Schaefer 1991, equation 3): 1 at the zenith, 5 at the horizon."""
    return float((1.0 - 0.96 * math.cos(math.radians(max(0.0, altitude))) ** 2) ** -0.5)


def _moonlight(airmass: float, altitude: float, apart: float, phase_angle: float, extinction: float) -> float:
    """Nanolamberts of scattered moonlight (equations 15, 20 and 21)."""
    if altitude <= 0:
        return 0.0
    illuminance = 10 ** (-0.4 * (3.84 + 0.026 * phase_angle + 4e-9 * phase_angle**4))
    rayleigh = 10**5.36 * (1.06 + math.cos(math.radians(apart)) ** 2)
    # Close to the Moon the aureole replaces the law for more than 10 degrees.
    mie = 10 ** (6.15 - apart / 40.0) if apart >= 10.0 else 6.2e7 / max(apart, 0.25) ** 2
    dimmed = 10 ** (-0.4 * extinction * scattering_airmass(altitude))
    return float(illuminance * (rayleigh + mie) * dimmed * (1.0 - 10 ** (-0.4 * extinction * airmass)))


def _nanolamberts(magnitude: float) -> float:
    return float(34.08 * math.exp(20.7233 - 0.92104 * magnitude))


def _magnitude(nanolamberts: float) -> float:
    return (20.7233 - math.log(nanolamberts / 34.08)) / 0.92104
