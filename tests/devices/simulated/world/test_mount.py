"""The simulated mount: how long it takes, where it ends, what it refuses, and how it misses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import DeviceError, InvalidParams, LimitExceeded, MethodNotFound
from pytel.devices.simulated.world.config import TelescopeConfig
from pytel.devices.simulated.world.pointing import PointingErrors
from pytel.sky.coordinates import altaz_to_radec, offset_by, radec_to_altaz, separation
from world_kit import MIDNIGHT, SITE, Lab, exact_telescope, small_world


@pytest.fixture
def lab() -> Lab:
    """A mount at work."""
    made = Lab(small_world(telescope=exact_telescope()))
    made("mount", "unpark")
    made("mount", "slew", ra=made.overhead()[0], dec=30.0)
    made.wait(200.0)
    return made


def test_a_slew_takes_the_time_of_its_speed_and_settles(lab: Lab) -> None:
    start = lab.status("mount")
    lab("mount", "slew", ra=start["ra"], dec=start["dec"] - 20.0)
    needed = 20.0 / 4.0 + 4.0 / 2.0 + 2.0  # the way, speeding up and slowing down, settling
    lab.wait(needed - 0.1)
    assert lab.status("mount")["slewing"]
    lab.wait(0.2)
    end = lab.status("mount")
    assert not end["slewing"]
    assert end["tracking"]
    assert end["dec"] == pytest.approx(start["dec"] - 20.0)


def test_half_of_the_way_is_half_of_the_time(lab: Lab) -> None:
    start = lab.status("mount")
    lab("mount", "slew", ra=start["ra"], dec=start["dec"] - 20.0)
    lab.wait(3.5)
    assert lab.status("mount")["dec"] == pytest.approx(start["dec"] - 10.0)


def test_it_follows_the_sky(lab: Lab) -> None:
    before = lab.status("mount")
    lab.wait(3600.0)
    after = lab.status("mount")
    assert (after["ra"], after["dec"]) == (before["ra"], before["dec"])
    assert (after["alt"], after["az"]) == pytest.approx(radec_to_altaz(after["ra"], after["dec"], lab.now, SITE))
    assert abs(after["az"] - before["az"]) > 5


def test_without_tracking_the_sky_moves_on(lab: Lab) -> None:
    lab("mount", "slew_altaz", alt=60.0, az=120.0)
    lab.wait(100.0)
    before = lab.status("mount")
    lab.wait(240.0)
    after = lab.status("mount")
    assert not after["tracking"]
    assert (after["alt"], after["az"]) == pytest.approx((60.0, 120.0))
    assert after["ra"] - before["ra"] == pytest.approx(1.0027, abs=0.01)


def test_tracking_ends_at_the_limit_of_altitude(lab: Lab) -> None:
    ra, dec = altaz_to_radec(12.0, 260.0, lab.now, SITE)
    lab("mount", "slew", ra=ra, dec=dec)
    lab.wait(4 * 3600.0)
    status = lab.status("mount")
    assert not status["tracking"]
    assert status["alt"] == pytest.approx(10.0, abs=0.2)


def test_a_target_below_the_limit_is_refused(lab: Lab) -> None:
    ra, dec = altaz_to_radec(5.0, 180.0, lab.now, SITE)
    with pytest.raises(LimitExceeded, match="10°") as caught:
        lab("mount", "slew", ra=ra, dec=dec)
    assert caught.value.data["device"] == "mount"


def test_an_offset_moves_by_arcseconds_on_the_sky(lab: Lab) -> None:
    before = lab.status("mount")
    lab("mount", "offset", d_ra=30.0, d_dec=-40.0)
    lab.wait(5.0)
    after = lab.status("mount")
    assert (after["ra"], after["dec"]) == pytest.approx(offset_by(before["ra"], before["dec"], 30.0, -40.0), abs=1e-9)


def test_two_offsets_in_one_breath_add_up(lab: Lab) -> None:
    before = lab.status("mount")
    lab("mount", "offset", d_ra=30.0, d_dec=0.0)
    lab.wait(0.01)
    lab("mount", "offset", d_ra=0.0, d_dec=30.0)
    lab.wait(10.0)
    after = lab.status("mount")
    apart = separation(before["ra"], before["dec"], after["ra"], after["dec"]) * 3600
    assert apart == pytest.approx(math.hypot(30, 30), abs=0.01)


def test_a_stopped_slew_stands_between_start_and_target(lab: Lab) -> None:
    start = lab.status("mount")
    lab("mount", "slew", ra=start["ra"], dec=start["dec"] - 20.0)
    lab.wait(3.0)
    lab("mount", "stop")
    status = lab.status("mount")
    assert not status["slewing"]
    assert start["dec"] - 20 < status["dec"] < start["dec"]


def test_a_parked_mount_wants_to_be_unparked(lab: Lab) -> None:
    lab("mount", "park")
    assert not lab.status("mount")["parked"]
    lab.wait(120.0)
    assert lab.status("mount")["parked"]
    for command, params in (("slew", {"ra": 10.0, "dec": 80.0}), ("track", {"enabled": True})):
        with pytest.raises(DeviceError, match="unpark"):
            lab("mount", command, **params)
    lab("mount", "unpark")
    assert not lab.status("mount")["parked"]


def test_wrong_calls_are_named(lab: Lab) -> None:
    with pytest.raises(MethodNotFound, match="fly"):
        lab("mount", "fly")
    with pytest.raises(MethodNotFound, match="execute"):
        lab("mount", "execute")
    with pytest.raises(MethodNotFound, match="spectrograph"):
        lab("spectrograph", "status")
    with pytest.raises(InvalidParams, match="dec"):
        lab("mount", "slew", ra=1.0)
    with pytest.raises(InvalidParams, match="speed"):
        lab("mount", "slew", ra=1.0, dec=80.0, speed=2)
    with pytest.raises(InvalidParams, match="<= 90"):
        lab("mount", "slew", ra=1.0, dec=95.0)


def test_a_synchronised_mount_points_better(tmp_path: Path) -> None:
    lab = Lab(small_world(telescope=TelescopeConfig(pointing_error=60.0, drift=0.0, periodic_error=0.0)), tmp_path)
    lab.open()
    lab.expose(1.0)
    true = lab.truth()[-1]
    lab("mount", "sync", ra=true["ra"], dec=true["dec"])
    lab.expose(1.0)
    again, believed = lab.truth()[-1], lab.status("mount")
    assert separation(true["ra"], true["dec"], again["ra"], again["dec"]) * 3600 < 0.1
    assert separation(believed["ra"], believed["dec"], again["ra"], again["dec"]) * 3600 < 0.1


def test_the_pointing_error_has_the_size_that_was_asked_for() -> None:
    model = PointingErrors(TelescopeConfig(pointing_error=15.0), 5)
    squares = [
        east**2 + north**2 for h in range(-90, 90, 7) for d in range(-90, 90, 7) for east, north in [model.smooth(h, d)]
    ]
    assert math.sqrt(sum(squares) / len(squares)) == pytest.approx(15.0, rel=0.35)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.floats(15, 85), st.floats(0, 359), st.floats(0.01, 40.0), st.booleans()), min_size=1, max_size=6
    )
)
def test_it_never_jumps(steps: list[tuple[float, float, float, bool]]) -> None:
    """Whatever is commanded in mid-flight, the mount is next where it was, and never faster than it can."""
    lab = Lab(small_world(telescope=exact_telescope()), start=MIDNIGHT)
    lab("mount", "unpark")
    for alt, az, pause, track in steps:
        before = lab.status("mount")
        if track:
            ra, dec = altaz_to_radec(alt, az, lab.now, SITE)
            lab("mount", "slew", ra=ra, dec=dec)
        else:
            lab("mount", "slew_altaz", alt=alt, az=az)
        after = lab.status("mount")
        assert separation(before["ra"], before["dec"], after["ra"], after["dec"]) < 1e-6
        lab.wait(pause)
        moved = lab.status("mount")
        # Two axes at full speed, and the sky.
        assert (
            separation(after["ra"], after["dec"], moved["ra"], moved["dec"])
            <= pause * (4.0 * math.sqrt(2) + 0.01) + 1e-6
        )
