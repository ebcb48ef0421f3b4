"""The faults of the simulated detector: what calibration frames are there to remove."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from pytel.base.threads import in_thread
from pytel.devices.simulated.world.config import CameraConfig, CoverConfig
from pytel.devices.simulated.world.shot_noise import ShotNoise
from world_kit import Lab, small_world

SIZE = {"width": 320, "height": 256}
PERFECT = {"hot_pixels": 0, "bad_columns": 0, "cosmic_rays": 0.0}
Values = NDArray[np.float64]


def bench(level: float = 0.0, **camera: object) -> Lab:
    """A camera behind a closed cover whose lamp gives `level` electrons per second and pixel."""
    settings = SIZE | PERFECT | camera
    lab = Lab(small_world(camera=CameraConfig(**settings), cover=CoverConfig(present=True, brightness=10_000.0)))  # type: ignore[arg-type]
    lab("cover", "light", level=level / 10_000.0)
    return lab


def mean_of(lab: Lab, count: int, exposure_time: float, **params: object) -> Values:
    frames = [lab.expose(exposure_time, **params).astype(np.float64) for _ in range(count)]
    return np.asarray(np.mean(frames, axis=0), dtype=np.float64)


def test_each_frame_has_noise_of_its_own() -> None:
    lab = bench(1000.0)
    one, two = (lab.expose(10.0).astype(np.float64) for _ in range(2))
    noise = (one - two) / math.sqrt(2)
    assert np.mean(noise**2) == pytest.approx(10_000 / 1.5**2 * flat_mean(one) + (6.0 / 1.5) ** 2, rel=0.03)
    noise = (noise - noise.mean()) / noise.std()
    for shift, axis in ((1, 0), (1, 1), (4, 1), (64, 0)):  # 64 rows are drawn at a time
        assert abs(np.mean(noise * np.roll(noise, shift, axis))) < 0.015
    assert np.mean(noise**4) == pytest.approx(3.0, abs=0.15)
    assert abs(np.mean(noise**3)) < 0.05


def flat_mean(frame: Values) -> float:
    return float((frame.mean() - 500.0) * 1.5 / 10_000)


def test_deviates_are_normal_however_many_are_asked_for() -> None:
    drawn = np.empty(400_003, dtype=np.float32)
    ShotNoise(7).fill(drawn)
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1.0, abs=0.01)
    for sigmas, beyond in ((1.0, 0.3173), (2.0, 0.0455), (3.0, 0.0027)):
        assert np.mean(np.abs(drawn) > sigmas) == pytest.approx(beyond, rel=0.15)
    again = np.empty(400_003, dtype=np.float32)
    ShotNoise(7).fill(again)
    assert np.array_equal(drawn, again)


def test_hot_pixels_stand_where_they_always_do() -> None:
    lab = bench(hot_pixels=150)
    bias = mean_of(lab, 3, 0.0, shutter=False)
    dark, again = (lab.expose(300.0, shutter=False) - bias for _ in range(2))
    hot, hot_again = dark > 3000, again > 3000
    assert 30 < hot.sum() <= 150
    assert np.mean(hot == hot_again) > 0.9999
    assert np.median(dark) * 1.5 == pytest.approx(300 * 2 ** ((lab.status("camera")["temperature"] - 20) / 6), rel=0.05)


def test_hot_pixels_fade_in_the_cold() -> None:
    lab = bench(hot_pixels=150)
    warm = lab.expose(60.0, shutter=False)
    lab("camera", "cool", setpoint=-20.0)
    lab.wait(1800.0)
    cold = lab.expose(60.0, shutter=False)
    assert (cold > 1000).sum() < (warm > 1000).sum() / 1.5


def test_bad_columns_and_vignetting_show_in_flats() -> None:
    lab = bench(2000.0, bad_columns=3)
    flat = mean_of(lab, 4, 10.0) - mean_of(lab, 4, 0.0, shutter=False)
    profile = flat.mean(axis=0)
    assert 1 <= (profile < 0.5 * np.median(profile)).sum() <= 3
    flat = flat[:, profile > 0.5 * np.median(profile)]
    centre, corner = flat[112:144, 140:180].mean(), flat[:16, :16].mean()
    assert corner / centre == pytest.approx(1 - 0.12, abs=0.02)


def test_pixels_differ_in_response_as_configured() -> None:
    lab = bench(3000.0, vignetting=0.0, pixel_response=0.02)
    flat = mean_of(lab, 8, 20.0)
    shot = math.sqrt(60_000 / 8) / 60_000
    assert flat.std() / (flat.mean() - 500) == pytest.approx(math.hypot(0.02, shot), rel=0.05)


def test_bright_light_saturates_the_converter_or_fills_the_well() -> None:
    assert np.all(bench(10_000.0).expose(60.0) == 65_535)
    assert np.all(bench(10_000.0, saturation=4095).expose(60.0) == 4095)
    full = bench(10_000.0, gain=3.0).expose(60.0)
    assert np.median(full) == pytest.approx(500 + 100_000 / 3.0, rel=0.01)
    assert full.max() < 65_535


def test_a_camera_without_a_shutter_has_no_dark_frames() -> None:
    frame = bench(1000.0, shutter=False).expose(10.0, shutter=False)
    assert np.median(frame) == pytest.approx(500 + 10_000 / 1.5, rel=0.15)
    assert np.median(bench(1000.0).expose(10.0, shutter=False)) < 600


def test_cosmic_rays_come_at_their_rate_and_never_twice_to_a_place() -> None:
    lab = bench(cosmic_rays=0.5)
    one, two = (lab.expose(100.0, shutter=False).astype(np.float64) for _ in range(2))
    hits = one - np.median(one) > 150
    assert 50 < hits.sum() < 2000
    assert (hits & (two - np.median(two) > 150)).sum() < hits.sum() / 5


@pytest.mark.parametrize("binning", [2, 4])
def test_bins_add_the_light_and_are_read_but_once(binning: int) -> None:
    lab = bench(100.0, vignetting=0.0)
    whole, binned = (lab.expose(10.0, binning=n).astype(np.float64) for n in (1, binning))
    assert binned.shape == (256 // binning, 320 // binning)
    assert binned.mean() - 500 == pytest.approx(binning**2 * (whole.mean() - 500), rel=0.02)
    bias = lab.expose(0.0, shutter=False, binning=binning).astype(np.float64)
    again = lab.expose(0.0, shutter=False, binning=binning)
    assert (bias - again).std() / math.sqrt(2) == pytest.approx(6.0 / 1.5, rel=0.06)


def test_a_window_is_a_part_of_the_whole() -> None:
    lab = bench(3000.0, bad_columns=3, pixel_response=0.05)
    whole = mean_of(lab, 6, 10.0)
    part = mean_of(lab, 6, 10.0, x=100, y=60, width=120, height=90)
    assert part.shape == (90, 120)
    cut = whole[60:150, 100:220]
    expected = math.sqrt(2 / 6 * (30_000 / 1.5**2 + 16))
    assert (part - cut).std() < 1.2 * expected < 0.3 * cut.std()


def test_it_cools_down_exponentially() -> None:
    lab = bench()
    start = lab.status("camera")["temperature"]
    lab("camera", "cool", setpoint=-10.0)
    for passed in (30.0, 60.0, 90.0, 180.0):
        lab.wait(30.0 if passed < 100 else 90.0)
        fitting = -10.0 + (start + 10.0) * math.exp(-passed / 90.0)
        assert lab.status("camera")["temperature"] == pytest.approx(fitting, abs=0.05)


_ELSEWHERE = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from world_kit import Lab, small_world
lab = Lab(small_world(), seed=5)
lab.open()
print(hashlib.sha256(lab.expose(45.0, x=10, y=20, width=200, height=150).tobytes()).hexdigest())
"""


@pytest.mark.slow
async def test_another_process_makes_the_same_bytes(request: pytest.FixtureRequest) -> None:
    lab = Lab(small_world(), seed=5)
    lab.open()
    here = hashlib.sha256(lab.expose(45.0, x=10, y=20, width=200, height=150).tobytes()).hexdigest()
    tests = str(request.config.rootpath / "tests")
    for hashing in ("0", "77"):
        done = await in_thread(
            subprocess.run,
            [sys.executable, "-c", _ELSEWHERE, tests],
            env={"PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.strip() == here, done.stderr


def test_the_bias_has_a_structure_that_stays() -> None:
    lab = bench()
    whole = mean_of(lab, 30, 0.0, shutter=False)
    columns = whole.mean(axis=0)
    assert 0.2 < columns.std() < 1.5
    part = mean_of(lab, 30, 0.0, shutter=False, x=150, y=0, width=160, height=256).mean(axis=0)
    assert (part - columns[150:310]).std() < 0.15


def test_a_smaller_window_is_read_sooner() -> None:
    lab = bench()
    ready = []
    for window in ({}, {"width": 160, "height": 128}, {"width": 16, "height": 16}):
        lab("camera", "start", exposure_time=1.0, **window)
        lab.wait(1.0)
        seconds = 0.0
        while lab.status("camera")["phase"] == "reading":
            lab.wait(0.01)
            seconds += 0.01
        ready.append(seconds)
    assert ready == pytest.approx([3.0, 0.75, 0.3], abs=0.02)
