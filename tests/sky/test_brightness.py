"""The brightness of the sky: what it must do, and values of the paper that the moonlight comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.location import Location
from pytel.sky.almanac import night_of
from pytel.sky.brightness import DARK_SKY, sky_brightness, surface_brightness, twilight_brightness

SUTHERLAND = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
NIGHT = {"sun_altitude": -40.0, "moon_altitude": -20.0, "moon_separation": 90.0, "moon_phase_angle": 60.0}


def test_a_dark_zenith_is_dark() -> None:
    assert surface_brightness(90.0, **NIGHT) == pytest.approx(DARK_SKY, abs=1e-4)
    assert surface_brightness(90.0, **NIGHT, dark=20.0) == pytest.approx(20.0, abs=1e-4)


def test_the_sky_brightens_towards_the_horizon() -> None:
    levels = [surface_brightness(altitude, **NIGHT) for altitude in (90.0, 60.0, 40.0, 20.0)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] > DARK_SKY - 1.2


@given(st.floats(-30, 90), st.floats(-30, 90))
def test_twilight_grows_with_the_sun(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert twilight_brightness(high) <= twilight_brightness(low)
    at_low, at_high = (surface_brightness(70.0, **{**NIGHT, "sun_altitude": sun}) for sun in (low, high))
    assert at_high <= at_low


def test_twilight_levels() -> None:
    def zenith(sun: float) -> float:
        return surface_brightness(90.0, **{**NIGHT, "sun_altitude": sun})

    assert zenith(-18.0) > DARK_SKY - 0.05
    assert zenith(-15.0) == pytest.approx(21.3, abs=0.25)  # Patat et al. (2006)
    assert zenith(-10.0) == pytest.approx(18.0, abs=0.2)
    assert zenith(-5.0) == pytest.approx(11.84, abs=0.1)


def test_moonlight_as_in_the_paper() -> None:
    # Equations 3, 15, 20 and 21 by hand: 1389 nL of moonlight over 89 nL of night glow.
    moonlit = surface_brightness(
        60.0,
        sun_altitude=-40.0,
        moon_altitude=60.0,
        moon_separation=60.0,
        moon_phase_angle=0.0,
        extinction=0.172,
        dark=21.587,
    )
    dark = surface_brightness(60.0, **NIGHT, extinction=0.172, dark=21.587)
    assert dark - moonlit == pytest.approx(3.05, abs=0.03)


@given(st.floats(5, 90), st.floats(0, 150), st.floats(0, 180), st.floats(0.05, 0.6))
def test_the_moon_only_brightens(altitude: float, apart: float, phase: float, extinction: float) -> None:
    level = surface_brightness(
        altitude,
        sun_altitude=-40.0,
        moon_altitude=45.0,
        moon_separation=apart,
        moon_phase_angle=phase,
        extinction=extinction,
    )
    without = surface_brightness(altitude, **NIGHT, extinction=extinction)
    assert 5.0 < level <= without


def test_a_bright_night_of_a_site() -> None:
    night = night_of(1_795_370_400.0, SUTHERLAND)  # two days before full Moon
    assert night.dark_start is not None
    assert night.dusk is not None
    moonlit = sky_brightness(83.82, -5.39, night.dark_start + 7200, SUTHERLAND)
    assert 17.0 < moonlit < 20.5
    assert sky_brightness(83.82, -5.39, night.dusk - 1800, SUTHERLAND) < moonlit
