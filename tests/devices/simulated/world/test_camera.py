"""The simulated camera and the sky in its frames."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
import sep
from numpy.typing import NDArray

from pytel.base.errors import Busy, DeviceError, InvalidParams
from pytel.devices.simulated.world.config import CameraConfig, WeatherConfig
from pytel.sky.catalogue import cone
from pytel.sky.coordinates import project
from world_kit import SMALL, Lab, exact_telescope, sharp_focuser, small_world

BIAS, GAIN = 500.0, 1.5
Pixels = NDArray[np.uint16]


def found(frame: Pixels) -> NDArray[np.void]:
    """Stars by another hand than ours."""
    data = frame.astype(np.float32)
    background = sep.Background(data)
    stars: NDArray[np.void] = sep.extract(data - background, 8.0, err=background.globalrms, minarea=4)
    return stars


def half_flux_diameter(frame: Pixels) -> float:
    """The median over the stars of a frame, pixels."""
    data = frame.astype(np.float32)
    data -= sep.Background(data)
    stars = found(frame)
    radius, _ = sep.flux_radius(data, stars["x"], stars["y"], np.full(len(stars), 15.0), 0.5)
    return 2 * float(np.median(radius))


@pytest.mark.parametrize(("rotation", "flip"), [(0.0, False), (33.0, False), (120.0, True)])
def test_stars_stand_where_the_catalogue_says(tmp_path: Path, rotation: float, flip: bool) -> None:
    camera = CameraConfig(width=600, height=500, rotation=rotation, flip=flip, hot_pixels=0, bad_columns=0)
    lab = Lab(small_world(camera=camera, focuser=sharp_focuser(), star_limit=15.0), tmp_path)
    lab.open()
    frame = lab.expose(60.0)
    truth = lab.truth()[-1]
    stars = cone(truth["ra"], truth["dec"], 0.25, 13.5)
    x, y = expected(truth, np.asarray(stars.ra), np.asarray(stars.dec), camera)
    inside = (x > 10) & (x < 590) & (y > 10) & (y < 490)
    seen = found(frame)
    distance = np.hypot(seen["x"][None, :] - x[inside][:, None], seen["y"][None, :] - y[inside][:, None]).min(axis=1)
    assert inside.sum() >= 8
    assert np.median(distance) < 0.05
    assert np.mean(distance < 0.1) > 0.8  # the others have a neighbour or are saturated


def expected(
    truth: dict[str, float], ra: NDArray[np.float64], dec: NDArray[np.float64], camera: CameraConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels by the FITS rules for CROTA2 (Calabretta and Greisen 2002, section 6)."""
    xi, eta = project(ra, dec, truth["ra"], truth["dec"])
    turn, scale = math.radians(camera.rotation), truth["pixel_scale"] / 3600
    step = scale if camera.flip else -scale
    matrix = np.array(
        [[step * math.cos(turn), -scale * math.sin(turn)], [step * math.sin(turn), scale * math.cos(turn)]]
    )
    x, y = np.linalg.solve(matrix, np.array([xi, eta]))
    return x + (camera.width - 1) / 2, y + (camera.height - 1) / 2


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def frames(seed: int) -> list[bytes]:
        lab = Lab(small_world(), seed=seed)
        lab.open()
        return [lab.expose(30.0).tobytes() for _ in range(2)]

    first, again, other = frames(1), frames(1), frames(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_a_frame_in_hand_outlives_the_world(tmp_path: Path) -> None:
    lab = Lab(small_world(), tmp_path)
    lab.open()
    frame = lab.expose(30.0)
    lab.restart()
    assert np.array_equal(lab("camera", "read"), frame)
    assert lab.status("camera")["exposure_number"] == 1
    assert len(lab.truth()) == 1


def test_an_exposure_goes_on_while_the_world_is_dead(tmp_path: Path) -> None:
    lab = Lab(small_world(), tmp_path)
    lab.open()
    lab("camera", "start", exposure_time=60.0)
    lab.wait(20.0)
    lab.restart()
    assert lab.status("camera")["phase"] == "exposing"
    assert lab.status("camera")["elapsed"] == pytest.approx(20.0)
    lab.wait(60.0)
    lab.restart()
    assert lab.status("camera")["phase"] == "ready"
    assert len(found(lab("camera", "read"))) > 3


def test_phases_of_an_exposure() -> None:
    lab = Lab(small_world())
    with pytest.raises(DeviceError, match="no frame"):
        lab("camera", "read")
    lab("camera", "start", exposure_time=10.0, shutter=False)
    with pytest.raises(Busy):
        lab("camera", "start", exposure_time=1.0)
    lab.wait(10.01)
    assert lab.status("camera")["phase"] == "reading"
    with pytest.raises(DeviceError, match="reading"):
        lab("camera", "read")
    lab.wait(3.0)
    assert lab.status("camera")["phase"] == "ready"
    lab("camera", "start", exposure_time=10.0)
    lab("camera", "abort")
    assert lab.status("camera")["phase"] == "idle"


def test_a_stopped_exposure_keeps_what_it_has() -> None:
    lab = Lab(small_world())
    lab.open()
    whole = lab.expose(20.0)
    lab("camera", "start", exposure_time=200.0)
    lab.wait(20.0)
    lab("camera", "stop")
    lab.wait(3.0)
    assert lab.status("camera")["exposure_time"] == pytest.approx(20.0)
    assert float(np.median(lab("camera", "read"))) == pytest.approx(float(np.median(whole)), rel=0.02)


def test_bias_and_dark_frames_have_the_right_level_and_noise() -> None:
    lab = Lab(small_world())
    bias = lab.expose(0.0, shutter=False).astype(float)
    assert bias.mean() == pytest.approx(BIAS, abs=2.0)
    assert (bias - lab.expose(0.0, shutter=False)).std() / math.sqrt(2) == pytest.approx(6.0 / GAIN, rel=0.03)
    dark = lab.expose(600.0, shutter=False).astype(float)
    temperature = lab.status("camera")["temperature"]
    electrons = 600.0 * 2 ** ((temperature - 20.0) / 6.0)
    assert (dark - bias).mean() * GAIN == pytest.approx(electrons, rel=0.05)


def test_photon_noise_fits_the_gain() -> None:
    lab = Lab(small_world(star_limit=2.0))
    lab.open()
    one, two = lab.expose(300.0).astype(float), lab.expose(300.0).astype(float)
    variance = (one - two).var() / 2
    signal = (one + two).mean() / 2 - BIAS
    assert variance == pytest.approx(signal / GAIN + (6.0 / GAIN) ** 2, rel=0.05)


def test_a_closed_roof_lets_nothing_in() -> None:
    lab = Lab(small_world())
    lab.open()
    lab("roof", "close")
    lab.wait(60.0)
    assert float(np.median(lab.expose(60.0))) == pytest.approx(BIAS, abs=2.0)


def test_a_roof_that_closes_ends_the_light() -> None:
    lab = Lab(small_world())
    lab.open()
    whole = float(np.median(lab.expose(120.0))) - BIAS
    lab("camera", "start", exposure_time=120.0)
    lab.wait(45.0)
    lab("roof", "close")
    lab.wait(90.0)
    half = float(np.median(lab("camera", "read"))) - BIAS
    assert half / whole == pytest.approx(0.5, abs=0.03)  # 45 s open and 30 s on the way


def test_windows_and_bins_show_the_same_sky() -> None:
    lab = Lab(small_world(telescope=exact_telescope(), focuser=sharp_focuser()))
    lab.open()
    whole = found(lab.expose(60.0))
    brightest = whole[np.argmax(np.where(inner(whole), whole["flux"], 0))]
    part = found(lab.expose(60.0, x=20, y=30, width=280, height=200))
    assert np.hypot(part["x"] + 20 - brightest["x"], part["y"] + 30 - brightest["y"]).min() < 0.1
    binned_frame = lab.expose(60.0, binning=2)
    assert binned_frame.shape == (128, 160)
    binned = found(binned_frame)
    x, y = (brightest["x"] - 0.5) / 2, (brightest["y"] - 0.5) / 2
    nearest = np.argmin(np.hypot(binned["x"] - x, binned["y"] - y))
    assert math.hypot(binned["x"][nearest] - x, binned["y"][nearest] - y) < 0.15
    assert binned["flux"][nearest] == pytest.approx(brightest["flux"], rel=0.1)


def inner(stars: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which stars are far from the border and not saturated."""
    mask: NDArray[np.bool_] = (
        (stars["x"] > 40) & (stars["x"] < 280) & (stars["y"] > 50) & (stars["y"] < 210) & (stars["peak"] < 3e4)
    )
    return mask


def test_a_window_beyond_the_detector_is_refused() -> None:
    with pytest.raises(InvalidParams, match="320 x 256"):
        Lab(small_world())("camera", "start", exposure_time=1.0, x=200, width=200)


@pytest.mark.parametrize("pixels", ["full", "stamp"])
def test_stars_are_smallest_in_focus_and_grow_linearly_off_it(pixels: str) -> None:
    lab = Lab(small_world(pixels=pixels, focuser=sharp_focuser(), star_limit=13.0))
    lab.open()
    positions = (24.6, 24.8, 25.0, 25.2, 25.4)
    sizes = []
    for position in positions:
        lab("focuser", "move", position=position)
        lab.wait(5.0)
        sizes.append(half_flux_diameter(lab.expose(20.0)))
    assert sizes.index(min(sizes)) == 2
    assert sizes[0] == pytest.approx(sizes[4], rel=0.15)
    assert 1.5 < sizes[0] / sizes[1] < 2.3


def test_the_focus_follows_the_temperature() -> None:
    cold = Lab(small_world(weather=WeatherConfig(mode="clear", temperature=-5.0), pixels="stamp"))
    warm = Lab(small_world(weather=WeatherConfig(mode="clear", temperature=25.0), pixels="stamp"))
    best = []
    for lab in (cold, warm):
        lab.open()
        peaks = {}
        for step in range(-12, 13):
            position = 25.0 + step * 0.05
            lab("focuser", "move", position=position)
            lab.wait(2.0)
            peaks[position] = int(lab.expose(1.0).max())
        best.append(max(peaks, key=lambda position: peaks[position]))
    assert best[0] - best[1] == pytest.approx(0.02 * 30, abs=0.16)


def test_the_cooler_reaches_its_setpoint_and_no_further_than_it_can() -> None:
    lab = Lab(small_world())
    ambient = lab.status("weather")["temperature"]
    lab("camera", "cool", setpoint=-10.0)
    lab.wait(10.0)
    assert lab.status("camera")["cooler_power"] == 100.0
    lab.wait(1200.0)
    assert lab.status("camera")["temperature"] == pytest.approx(-10.0, abs=0.05)
    lab("camera", "cool", setpoint=-90.0)
    lab.wait(1200.0)
    assert lab.status("camera")["temperature"] == pytest.approx(ambient - 45.0, abs=2.0)
    lab("camera", "cool", setpoint=None)
    lab.wait(1200.0)
    assert lab.status("camera")["temperature"] == pytest.approx(ambient, abs=2.0)


def test_clouds_take_starlight() -> None:
    lab = Lab(small_world())
    lab.open()
    clear = len(found(lab.expose(60.0)))
    lab("faults", "inject", device="weather", kind="weather", value={"cloud_extinction": 4.0, "cloud_cover": 1.0})
    assert len(found(lab.expose(60.0))) < clear / 2


def test_a_moving_telescope_leaves_no_sharp_stars() -> None:
    lab = Lab(small_world(telescope=exact_telescope()))
    lab.open()
    still = found(lab.expose(30.0))
    lab("camera", "start", exposure_time=60.0)
    lab.wait(30.0)
    lab("mount", "offset", d_ra=60.0, d_dec=0.0)
    lab.wait(40.0)
    doubled = found(lab("camera", "read"))
    assert len(doubled) > 1.4 * len(still)


def test_a_frame_cannot_be_spoilt_by_its_reader() -> None:
    lab = Lab(small_world())
    frame = lab.expose(0.0, shutter=False)
    assert frame.dtype == np.uint16
    with pytest.raises(ValueError, match="read-only"):
        frame[0, 0] = 1


def test_stamps_cost_next_to_nothing() -> None:
    lab = Lab(small_world(pixels="stamp", camera=SMALL))
    lab.open()
    assert lab.expose(60.0).shape == (64, 64)
    begun = time.process_time()
    for _ in range(50):
        lab.expose(60.0)
    assert (time.process_time() - begun) / 50 < 0.01  # about 0.002 on a quiet machine
