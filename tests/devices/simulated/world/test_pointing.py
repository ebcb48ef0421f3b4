"""How the simulated mount misses: hidden from its encoders, told by the truth alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytel.devices.simulated.world.config import TelescopeConfig
from pytel.sky.coordinates import altaz_to_radec, project
from world_kit import SITE, Lab, exact_telescope, small_world

Place = tuple[float, float]


def pointed(directory: Path, telescope: TelescopeConfig) -> Lab:
    lab = Lab(small_world(telescope=telescope, pixels="stamp"), directory)
    lab.open()
    return lab


def miss(lab: Lab) -> Place:
    """Where it really points, seen from where it believes: arcseconds east and north."""
    believed = lab.status("mount")
    lab.expose(0.01)
    true = lab.truth()[-1]
    east, north = project(true["ra"], true["dec"], believed["ra"], believed["dec"])
    return east * 3600, north * 3600


def rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.sum(np.square(values), axis=-1))))


def test_a_perfect_mount_does_not_miss(tmp_path: Path) -> None:
    assert miss(pointed(tmp_path, exact_telescope())) == pytest.approx((0.0, 0.0), abs=1e-3)


def test_the_error_is_hidden_bounded_and_smooth(tmp_path: Path) -> None:
    lab = pointed(tmp_path, exact_telescope(pointing_error=15.0))
    misses = []
    for alt in (25.0, 45.0, 65.0, 85.0):
        for az in range(0, 360, 40):
            ra, dec = altaz_to_radec(alt, az, lab.now, SITE)
            lab("mount", "slew", ra=ra, dec=dec)
            lab.wait(80.0)
            status = lab.status("mount")
            assert (status["ra"], status["dec"]) == pytest.approx((ra, dec))
            misses.append(miss(lab))
    # sqrt(2): the figure is that of each axis
    assert 5.0 < rms(misses) < 15.0 * math.sqrt(2) * 1.6
    here = miss(lab)
    lab("mount", "offset", d_ra=600.0, d_dec=0.0)
    lab.wait(20.0)
    assert rms([np.subtract(miss(lab), here)]) < 0.5


def test_slews_to_one_place_scatter(tmp_path: Path) -> None:
    lab = pointed(tmp_path, exact_telescope(pointing_scatter=3.0))
    misses = []
    for _ in range(60):
        lab("mount", "slew", ra=95.0, dec=25.0)
        lab.wait(10.0)
        misses.append(miss(lab))
    assert rms(misses) == pytest.approx(3.0, rel=0.3)
    assert abs(np.mean(misses)) < 1.0
    assert miss(lab) == pytest.approx(misses[-1], abs=1e-3)  # what does not move does not scatter


def test_the_worm_turns_with_its_period(tmp_path: Path) -> None:
    lab = pointed(tmp_path, exact_telescope(periodic_error=5.0, worm_period=480.0))
    east, north = [], []
    for _ in range(48):
        begun = lab.now
        error = miss(lab)
        east.append(error[0])
        north.append(error[1])
        lab.wait(20.0 - (lab.now - begun))
    assert np.ptp(north) < 0.01
    assert (min(east), max(east)) == pytest.approx((-5.0, 5.0), abs=0.1)
    assert east[:24] == pytest.approx(east[24:], abs=0.05)


def test_it_drifts_since_the_last_slew(tmp_path: Path) -> None:
    lab = pointed(tmp_path, exact_telescope(drift=36.0))
    lab("mount", "slew", ra=95.0, dec=25.0)
    lab.wait(30.0)
    start = np.array(miss(lab))
    lab.wait(1000.0)
    assert rms([np.array(miss(lab)) - start]) == pytest.approx(10.0, abs=0.1)
    lab("mount", "slew", ra=95.0, dec=25.0)
    lab.wait(1.0)
    assert rms([miss(lab)]) < 0.2


def test_a_standing_mount_has_neither_worm_nor_drift(tmp_path: Path) -> None:
    lab = pointed(tmp_path, exact_telescope(periodic_error=5.0, drift=36.0))
    lab("mount", "track", enabled=False)
    for _ in range(3):
        lab.wait(333.0)
        lab.expose(0.01)
        true, middle = lab.truth()[-1], lab.now
        lab.now = (true["start"] + true["end"]) / 2
        believed = lab.status("mount")
        lab.now = middle
        assert project(true["ra"], true["dec"], believed["ra"], believed["dec"]) == pytest.approx((0, 0), abs=1e-7)


def test_each_seed_has_a_mount_of_its_own(tmp_path: Path) -> None:
    misses: list[Place] = []
    for seed in (1, 2, 1):
        directory = tmp_path / str(len(misses))
        directory.mkdir()
        lab = Lab(small_world(telescope=TelescopeConfig(), pixels="stamp"), directory, seed=seed)
        lab.open()
        misses.append(miss(lab))
    assert misses[0] == misses[2] != misses[1]


def test_the_truth_of_a_trailed_frame_is_its_middle(tmp_path: Path) -> None:
    lab = Lab(small_world(telescope=exact_telescope()), tmp_path)
    lab.open()
    lab("mount", "track", enabled=False)
    start = lab.status("mount")["ra"]
    lab.expose(60.0)
    assert lab.truth()[-1]["ra"] == pytest.approx(start + 30.0 * 15.041 / 3600, abs=1e-3)
