"""Sun, Moon and nights, against astropy and by themselves."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.location import Location
from pytel.sky.almanac import (
    Night,
    moon,
    moon_altitude,
    moon_illumination,
    next_crossing,
    next_night,
    night_of,
    sun,
    sun_altitude,
)
from pytel.sky.coordinates import separation

SUTHERLAND = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
HAWAII = Location(latitude=19.82, longitude=-155.47, elevation=4200.0)
TROMSO = Location(latitude=69.65, longitude=18.96)
WHEN = 1_795_370_400.0  # 2026-11-22T18:00:00 UTC
TIMES = WHEN + np.linspace(-16, -3, 60) * 365.25 * 86400  # years that every IERS table covers
whens = st.floats(1_600_000_000, 2_000_000_000)


def unix(text: str) -> float:
    return datetime.datetime.fromisoformat(text + "+00:00").timestamp()


def astropy_body(name: str, times: Any, location: Location | None) -> Any:
    from astropy import units as u
    from astropy.coordinates import AltAz, EarthLocation, get_body
    from astropy.time import Time

    time = Time(times, format="unix", scale="utc")
    time.delta_ut1_utc = np.zeros(time.shape)
    if location is None:
        body = get_body(name, time)
        return body.ra.deg, body.dec.deg
    place = EarthLocation(
        lat=location.latitude * u.deg, lon=location.longitude * u.deg, height=location.elevation * u.m
    )
    return get_body(name, time, place).transform_to(AltAz(obstime=time, location=place)).alt.deg


def test_sun_agrees_with_astropy() -> None:
    # Astropy's place has aberration in it (20.5 arcsec), which is ours to add when the horizon is asked for.
    assert np.max(separation(*sun(TIMES), *astropy_body("sun", TIMES, None))) * 3600 < 22
    assert np.max(np.abs(sun_altitude(TIMES, SUTHERLAND) - astropy_body("sun", TIMES, SUTHERLAND))) * 3600 < 2


def test_moon_agrees_with_astropy() -> None:
    assert np.max(separation(*moon(TIMES), *astropy_body("moon", TIMES, None))) * 3600 < 30
    assert np.max(np.abs(moon_altitude(TIMES, HAWAII) - astropy_body("moon", TIMES, HAWAII))) * 3600 < 45


def test_phases_of_the_moon() -> None:
    assert moon_illumination(unix("2026-11-24T14:54")) > 0.998  # full
    assert moon_illumination(unix("2026-11-09T07:02")) < 0.002  # new
    assert moon_illumination(unix("2026-11-17T11:48")) == pytest.approx(0.5, abs=0.01)  # first quarter


def test_the_edges_of_a_night_by_astropy() -> None:
    night = night_of(unix("2023-03-20T22:00"), SUTHERLAND)
    edges = np.array([night.sunset, night.dusk, night.dark_start, night.dark_end, night.dawn, night.sunrise])
    expected = [-0.833, -12, -18, -18, -12, -0.833]
    assert astropy_body("sun", edges, SUTHERLAND) == pytest.approx(expected, abs=2 / 3600)


def test_a_night_has_the_date_of_its_evening() -> None:
    evening = night_of(unix("2026-11-23T06:00"), HAWAII)  # 20 h on the 22nd in Hawaii
    assert evening.date == datetime.date(2026, 11, 22)
    assert night_of(unix("2026-11-23T15:00"), HAWAII) == evening  # 5 h in the morning
    east = Location(latitude=19.82, longitude=204.53, elevation=4200.0)
    assert night_of(unix("2026-11-23T15:00"), east).date == datetime.date(2026, 11, 22)


@pytest.mark.slow
@settings(max_examples=25)
@given(whens, st.floats(-60, 60), st.floats(-180, 180))
def test_a_night_is_in_order(when: float, latitude: float, longitude: float) -> None:
    location = Location(latitude=latitude, longitude=longitude)
    night = night_of(when, location)
    assert night.start <= when < night.end
    assert night.end - night.start == 86400
    assert (night_of(night.start, location), night_of(night.end, location).start) == (night, night.end)
    order = [t for t in night[1:] if t is not None]
    assert order == sorted(order)
    for time, altitude in ((night.sunset, -0.833), (night.dusk, -12.0), (night.dark_end, -18.0)):
        if time is not None:
            assert sun_altitude(time, location) == pytest.approx(altitude, abs=1e-4)


def test_twilight_is_a_choice() -> None:
    night = night_of(WHEN, SUTHERLAND, twilight=-6.0)
    assert night.dusk is not None
    assert sun_altitude(night.dusk, SUTHERLAND) == pytest.approx(-6.0, abs=1e-4)


def test_polar_summer_and_winter() -> None:
    summer = night_of(unix("2026-06-21T22:00"), TROMSO)
    assert {summer.sunset, summer.dusk, summer.dark_start, summer.dark_end, summer.dawn, summer.sunrise} == {None}
    winter = night_of(unix("2026-12-21T22:00"), TROMSO)
    assert winter.sunset is None
    assert winter.dark_start is not None


def test_next_night_looks_ahead_in_the_morning() -> None:
    night = night_of(WHEN, SUTHERLAND)
    assert night.sunrise is not None
    assert next_night(night.sunrise - 60, SUTHERLAND) == night
    assert night_of(night.sunrise + 60, SUTHERLAND) == night
    assert next_night(night.sunrise + 60, SUTHERLAND).date == night.date + datetime.timedelta(days=1)
    assert next_night(night.start + 60, SUTHERLAND) == night


@settings(max_examples=25)
@given(whens, st.floats(-20, 30), st.booleans())
def test_crossings_cross(when: float, altitude: float, rising: bool) -> None:
    crossing = next_crossing(altitude, when, SUTHERLAND, rising)
    assert crossing is not None
    assert when <= crossing <= when + 1.05 * 86400
    assert sun_altitude(crossing, SUTHERLAND) == pytest.approx(altitude, abs=1e-3)
    assert (sun_altitude(crossing + 60, SUTHERLAND) > altitude) == rising


def test_no_crossing_where_the_sun_does_not_go() -> None:
    assert next_crossing(89.0, WHEN, SUTHERLAND, rising=True) is None
    assert next_crossing(-0.833, unix("2026-12-21T22:00"), TROMSO, rising=True) is None
    back = next_crossing(-0.833, unix("2026-12-21T22:00"), TROMSO, rising=True, within=60 * 86400)
    assert back == pytest.approx(unix("2027-01-15T10:30"), abs=3 * 86400)


def test_a_night_is_a_tuple() -> None:
    assert Night._fields[:2] == ("date", "start")
