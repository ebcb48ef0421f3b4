"""Altitudes in bulk and the stretches of time in which a target is up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.location import Location
from pytel.sky.almanac import moon, moon_position, night_of, sun_altitude
from pytel.sky.coordinates import radec_to_altaz, separation
from pytel.sky.visibility import altitudes, moon_separation, visible_intervals

SUTHERLAND = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
WHEN = 1_795_370_400.0  # 2026-11-22T18:00:00 UTC
NIGHT = night_of(WHEN, SUTHERLAND)


def test_altitudes_in_bulk_are_those_one_by_one() -> None:
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))
    times = WHEN + np.arange(0, 86400, 7200.0)
    found = altitudes(ra, dec, times, SUTHERLAND)
    assert found.shape == (12, 300)
    expected = radec_to_altaz(ra[None], dec[None], times[:, None], SUTHERLAND)[0]
    assert np.max(np.abs(found - expected)) * 3600 < 0.5  # next to the Sun; the median is far below
    assert np.median(np.abs(found - expected)) * 3600 < 0.01


@settings(max_examples=25)
@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.floats(5, 80))
@pytest.mark.slow
def test_a_target_is_up_inside_and_down_outside(ra: float, dec: float, limit: float) -> None:
    found = visible_intervals(ra, dec, NIGHT.start, NIGHT.end, SUTHERLAND, limit)
    times = np.linspace(NIGHT.start, NIGHT.end, 700)
    inside = np.zeros(len(times), dtype=bool)
    for start, end in found:
        assert NIGHT.start <= start <= end <= NIGHT.end
        inside |= (start <= times) & (times <= end)
    altitude = radec_to_altaz(ra, dec, times, SUTHERLAND)[0]
    assert np.all(altitude[inside] > limit - 0.02)
    assert np.all(altitude[~inside] < limit + 0.02)


def test_all_limits_hold_together() -> None:
    limits = {"max_altitude": 60.0, "max_sun_altitude": -12.0, "min_moon_separation": 50.0}
    found = visible_intervals(83.82, -5.39, NIGHT.start, NIGHT.end, SUTHERLAND, 30.0, **limits)
    assert found
    for start, end in found:
        times = np.linspace(start, end, 20)
        altitude = radec_to_altaz(83.82, -5.39, times, SUTHERLAND)[0]
        assert np.all((altitude > 29.98) & (altitude < 60.02))
        assert np.all(sun_altitude(times, SUTHERLAND) < -11.98)
        assert np.all(moon_separation(83.82, -5.39, times, SUTHERLAND) > 49.9)


def test_never_up_and_always_up() -> None:
    assert visible_intervals(0.0, 85.0, NIGHT.start, NIGHT.end, SUTHERLAND, 10.0) == []
    assert visible_intervals(0.0, -89.0, NIGHT.start, NIGHT.end, SUTHERLAND, 20.0) == [(NIGHT.start, NIGHT.end)]
    assert visible_intervals(0.0, -89.0, NIGHT.end, NIGHT.start, SUTHERLAND, 20.0) == []


def test_the_moon_stands_elsewhere_for_a_site() -> None:
    geocentric, topocentric = moon(WHEN), moon_position(WHEN, SUTHERLAND)
    assert 0.1 < separation(*geocentric, *topocentric) < 1.05
    assert moon_separation(*topocentric, WHEN, SUTHERLAND) == pytest.approx(0, abs=1e-6)
    assert moon_separation(*geocentric, WHEN) == pytest.approx(0, abs=1e-6)
