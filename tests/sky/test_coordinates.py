"""Coordinates against astropy, and the properties that they must have by themselves."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.location import Location
from pytel.sky.coordinates import (
    airmass,
    altaz_to_radec,
    deproject,
    hour_angle,
    local_sidereal_time,
    offset_by,
    parallactic_angle,
    project,
    radec_to_altaz,
    separation,
)

SUTHERLAND = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
WHEN = 1_795_370_400.0  # 2026-11-22T18:00:00 UTC
ras = st.floats(0, 360, exclude_max=True)
decs = st.floats(-90, 90)
whens = st.floats(0, 2_500_000_000)  # 1970 to 2049: no warning about far years either
locations = st.builds(
    Location,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 360),
    elevation=st.floats(-400, 6000),
)


@pytest.fixture(scope="module")
def astropy_altaz() -> Any:
    """Astropy's own (alt, az) in degrees, with UT1 = UTC as in `pytel.sky`."""
    from astropy import units as u
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time

    def compute(ra: Any, dec: Any, when: Any, location: Location) -> Any:
        time = Time(when, format="unix", scale="utc")
        time.delta_ut1_utc = np.zeros(time.shape)
        place = EarthLocation(
            lat=location.latitude * u.deg, lon=location.longitude * u.deg, height=location.elevation * u.m
        )
        observed = SkyCoord(ra, dec, unit="deg").transform_to(AltAz(obstime=time, location=place))
        return observed.alt.deg, observed.az.deg

    return compute


@pytest.fixture(scope="module")
def places() -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    return rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))


def test_altaz_agrees_with_astropy(astropy_altaz: Any, places: tuple[Any, Any]) -> None:
    # Years that every IERS table covers.
    times = WHEN + np.linspace(-16, -3, 5) * 365.25 * 86400
    for when in times:
        expected = astropy_altaz(*places, when, SUTHERLAND)
        found = radec_to_altaz(*places, float(when), SUTHERLAND)
        # What is left is polar motion, which the bundled IERS tables have and `pytel.sky` leaves out.
        assert np.max(separation(found[1], found[0], expected[1], expected[0])) * 3600 < 0.7


@given(ras, decs, whens, locations)
def test_altaz_comes_back(ra: float, dec: float, when: float, location: Location) -> None:
    back = altaz_to_radec(*radec_to_altaz(ra, dec, when, location), when, location)
    assert separation(ra, dec, *back) * 3600 < 0.001
    assert 0 <= back[0] < 360


@given(ras, st.floats(-89, 89), whens)
def test_hour_angle_is_positive_in_the_west(ra: float, dec: float, when: float) -> None:
    angle = hour_angle(ra, dec, when, SUTHERLAND)
    azimuth = radec_to_altaz(ra, dec, when, SUTHERLAND)[1]
    assert -180 <= angle <= 180
    if 0.01 < abs(angle) < 179.99:
        assert (angle > 0) == (azimuth > 180)
        assert (parallactic_angle(ra, dec, when, SUTHERLAND) > 0) == (angle > 0)


def test_sidereal_time_agrees_with_astropy() -> None:
    from astropy import units as u
    from astropy.time import Time

    time = Time(WHEN, format="unix", scale="utc")
    time.delta_ut1_utc = 0.0
    expected = time.sidereal_time("apparent", longitude=SUTHERLAND.longitude * u.deg).deg
    assert local_sidereal_time(WHEN, SUTHERLAND) == pytest.approx(expected, abs=1e-6)


def test_hour_angle_is_sidereal_time_less_right_ascension_of_date() -> None:
    # On the equator of date precession moves a star by 0.0128 degrees a year in right ascension.
    angle = hour_angle(100.0, 0.0, WHEN, SUTHERLAND)
    expected = (local_sidereal_time(WHEN, SUTHERLAND) - 100.0 - 26.9 * 0.0128 + 180) % 360 - 180
    assert angle == pytest.approx(expected, abs=0.02)


def test_arrays_and_floats_give_the_same(places: tuple[Any, Any]) -> None:
    ra, dec = places
    alt, az = radec_to_altaz(ra, dec, WHEN, SUTHERLAND)
    one = radec_to_altaz(float(ra[3]), float(dec[3]), WHEN, SUTHERLAND)
    assert one == (alt[3], az[3])
    assert isinstance(one[0], float)
    many = radec_to_altaz(float(ra[3]), float(dec[3]), np.array([WHEN, WHEN + 60]), SUTHERLAND)
    assert many[0].shape == (2,)
    assert many[0][0] == pytest.approx(one[0], abs=1e-9)


@given(ras, decs, ras, decs)
def test_separation_is_the_angle_between_vectors(ra1: float, dec1: float, ra2: float, dec2: float) -> None:
    def vector(ra: float, dec: float) -> Any:
        a, d = math.radians(ra), math.radians(dec)
        return np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])

    one, two = vector(ra1, dec1), vector(ra2, dec2)
    expected = math.degrees(math.atan2(float(np.linalg.norm(np.cross(one, two))), float(one @ two)))
    assert separation(ra1, dec1, ra2, dec2) == pytest.approx(expected, abs=1e-9)
    assert separation(ra1, dec1, ra2, dec2) == pytest.approx(separation(ra2, dec2, ra1, dec1), abs=1e-12)


@given(ras, decs, st.floats(-30, 30), st.floats(-30, 30))
def test_projection_comes_back(ra0: float, dec0: float, xi: float, eta: float) -> None:
    ra, dec = deproject(xi, eta, ra0, dec0)
    assert 0 <= ra < 360
    assert project(ra, dec, ra0, dec0) == pytest.approx((xi, eta), abs=1e-6)


def test_projection_agrees_with_fits_tan() -> None:
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [350.0, -70.0]
    wcs.wcs.crpix = [0.0, 0.0]
    wcs.wcs.cdelt = [1.0, 1.0]
    expected = wcs.wcs_world2pix([[10.0, -60.0], [340.0, -75.0]], 0)
    found = project(np.array([10.0, 340.0]), np.array([-60.0, -75.0]), 350.0, -70.0)
    assert np.transpose(found) == pytest.approx(expected + 1.0, abs=1e-9)


def test_the_far_side_has_no_image() -> None:
    assert math.isnan(project(180.0, 0.0, 0.0, 0.0)[0])


@given(ras, decs, st.floats(-3600, 3600), st.floats(-3600, 3600))
def test_offset_has_its_length(ra: float, dec: float, east: float, north: float) -> None:
    length = math.degrees(math.atan(math.radians(math.hypot(east, north) / 3600)))
    assert separation(ra, dec, *offset_by(ra, dec, east, north)) == pytest.approx(length, abs=1e-9)


def test_offsets_point_north_and_east() -> None:
    assert offset_by(10.0, 20.0, 0.0, 36.0) == pytest.approx((10.0, 20.01), abs=1e-7)
    assert offset_by(359.999, 60.0, 36.0, 0.0) == pytest.approx((0.019, 60.0), abs=1e-5)


def test_airmass() -> None:
    assert airmass(90.0) == pytest.approx(1.0, abs=1e-6)
    assert airmass(30.0) == pytest.approx(1.993, abs=0.001)
    assert airmass(0.0) == pytest.approx(38.75, abs=0.1)
    assert airmass(-0.1) is None
    many = airmass(np.array([60.0, -5.0]))
    assert many[0] == pytest.approx(1.154, abs=0.001)
    assert np.isnan(many[1])
    assert np.all(np.diff(airmass(np.linspace(0, 90, 500))) < 0)
