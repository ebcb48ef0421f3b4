"""What reaches the simulated detector: stars of the right brightness at the right place, on a sky that is lit."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytel.devices.simulated.world.config import CameraConfig, FocuserConfig, WeatherConfig
from pytel.imaging.sources import find_sources
from pytel.imaging.wcs import sky_to_pixel, wcs_cards
from pytel.sky.catalogue import cone
from pytel.sky.coordinates import airmass, radec_to_altaz
from world_kit import MIDNIGHT, SITE, Lab, exact_telescope, sharp_focuser, small_world

FULL_MOON = datetime(2026, 2, 2, 0, tzinfo=UTC).timestamp()
WIDE = CameraConfig(width=600, height=500, hot_pixels=0, bad_columns=0, cosmic_rays=0.0, vignetting=0.0)
Values = NDArray[np.float64]


def observatory(directory: Path | None = None, start: float = MIDNIGHT, **parts: Any) -> Lab:
    """Wide open under a clear sky, well focused and pointed."""
    usual = {"camera": WIDE, "focuser": sharp_focuser(), "telescope": exact_telescope(), "star_limit": 14.0}
    lab = Lab(small_world(**usual | parts), directory, start=start)
    lab.open()
    return lab


def matched(lab: Lab, frame: NDArray[np.uint16]) -> tuple[Values, Values, Values]:
    """Catalogue magnitudes, fluxes (adu) and distances from where the catalogue has them (pixels), of lone stars."""
    truth, camera = lab.truth()[-1], lab.config.camera
    header = wcs_cards(
        truth["ra"],
        truth["dec"],
        pixel_scale=truth["pixel_scale"],
        rotation=-truth["rotation"],
        flipped=truth["flip"],
        reference_pixel=((camera.width + 1) / 2, (camera.height + 1) / 2),
    )
    stars = cone(truth["ra"], truth["dec"], 0.25, 13.5)
    places = np.array([sky_to_pixel(header, *star) for star in zip(stars.ra, stars.dec, strict=True)]) - 1.0
    sources = find_sources(frame, saturation=60_000)
    rows = []
    for (x, y), magnitude in zip(places, np.asarray(stars.mag, dtype=float), strict=True):
        if 15 < x < camera.width - 15 and 15 < y < camera.height - 15:
            apart = np.hypot(sources.x - x, sources.y - y)
            best = int(np.argmin(apart))
            if (apart < 12).sum() == 1 and not sources.flags[best]:
                rows.append((magnitude, sources.flux[best], apart[best]))
    magnitudes, fluxes, apart = np.array(rows).T
    return magnitudes, fluxes, apart


def zero_point(lab: Lab, exposure_time: float = 8.0) -> float:
    """The magnitude that gives one electron per second, by what is in a frame."""
    magnitudes, fluxes, _ = matched(lab, lab.expose(exposure_time))
    return float(np.median(magnitudes + 2.5 * np.log10(fluxes * lab.config.camera.gain / exposure_time)))


@pytest.mark.parametrize(("rotation", "flip"), [(0.0, False), (-27.0, False), (200.0, True)])
def test_stars_are_found_where_the_header_would_have_them(tmp_path: Path, rotation: float, flip: bool) -> None:
    camera = CameraConfig(width=600, height=500, rotation=rotation, flip=flip, hot_pixels=0, bad_columns=0)
    lab = observatory(tmp_path, camera=camera)
    _, _, apart = matched(lab, lab.expose(10.0))
    assert len(apart) >= 8
    assert np.median(apart) < 0.05
    assert np.mean(apart < 0.1) > 0.8


def test_stars_have_the_brightness_of_their_magnitude(tmp_path: Path) -> None:
    lab = observatory(tmp_path)
    assert zero_point(lab) == pytest.approx(22.3 - 0.15 * mass(lab) - 0.01, abs=0.04)


def mass(lab: Lab) -> float:
    truth = lab.truth()[-1] if lab.truth() else lab.status("mount")
    value = airmass(radec_to_altaz(truth["ra"], truth["dec"], lab.now, SITE)[0])
    assert value is not None
    return value


def test_a_low_star_is_fainter(tmp_path: Path) -> None:
    lab = observatory(tmp_path)
    lab("filters", "move", name="B")
    lab.wait(5.0)
    high, thin = zero_point(lab), mass(lab)
    lab.now += 3.5 * 3600  # the mount follows the field down
    low, thick = zero_point(lab, 16.0), mass(lab)
    assert thick > thin + 0.8
    assert high - low == pytest.approx(0.25 * (thick - thin), abs=0.06)


def test_clouds_dim_stars_by_their_magnitudes(tmp_path: Path) -> None:
    lab = observatory(tmp_path)
    clear = zero_point(lab)
    lab("faults", "inject", device="weather", kind="weather", value={"cloud_extinction": 1.51, "cloud_cover": 0.5})
    assert clear - zero_point(lab, 16.0) == pytest.approx(1.5, abs=0.05)


def test_filters_have_their_throughput(tmp_path: Path) -> None:
    lab = observatory(tmp_path)
    clear = zero_point(lab)
    lab("filters", "move", name="V")
    lab.wait(5.0)
    assert clear - zero_point(lab) == pytest.approx(22.3 - 21.2, abs=0.04)


def test_no_light_passes_a_turning_filter_wheel() -> None:
    lab = observatory()
    whole = sky_level(lab, 100.0)
    lab("camera", "start", exposure_time=100.0)
    lab.wait(50.0)
    lab("faults", "inject", device="filters", kind="hang", start=lab.now + 0.1)
    lab("filters", "move", name="I")
    lab.wait(53.0)
    half = float(np.median(lab("camera", "read"))) - 500
    assert half / whole == pytest.approx(0.5, abs=0.03)


def sky_level(lab: Lab, exposure_time: float = 60.0) -> float:
    return float(np.median(lab.expose(exposure_time))) - 500


def test_the_moon_and_twilight_light_up_the_sky() -> None:
    dark = sky_level(observatory())
    moonlit = sky_level(observatory(start=FULL_MOON))
    assert 2 < moonlit / dark < 60
    dawn = observatory()
    dawn.now += 5 * 3600
    levels = []
    for _ in range(8):
        dawn("mount", "slew_altaz", alt=80.0, az=180.0)
        dawn.wait(60.0)
        levels.append(sky_level(dawn, 1.0))
        dawn.wait(540.0)
    assert levels[-1] > 30 * max(levels[0], 1.0)
    assert all(later >= earlier - 3.0 for earlier, later in itertools.pairwise(levels))


def test_the_sky_grows_with_time_and_with_clouds() -> None:
    lab = observatory()
    one, two = sky_level(lab, 30.0), sky_level(lab, 60.0)
    assert two / one == pytest.approx(2.0, rel=0.05)
    lab("faults", "inject", device="weather", kind="weather", value={"cloud_cover": 1.0})
    assert sky_level(lab, 60.0) / two == pytest.approx(10 ** (0.4 * 0.6), rel=0.06)


def sharpest(lab: Lab) -> float:
    """The position of the narrowest stars, mm: the minimum of a parabola through the squares of their widths."""
    positions = [24.0 + 0.1 * step for step in range(21)]
    for position in positions:
        lab("focuser", "move", position=position)
        lab.wait(5.0)
        lab.expose(0.1)
    widths = [line["fwhm"] ** 2 for line in lab.truth()[-len(positions) :]]
    assert [line["focus"] for line in lab.truth()[-len(positions) :]] == pytest.approx(positions)
    square, line, _ = np.polyfit(np.array(positions) - 25, widths, 2)
    return float(25 - line / (2 * square))


@pytest.mark.parametrize(("name", "offset"), [("Clear", 0.0), ("B", 0.03), ("I", -0.01)])
@pytest.mark.parametrize("temperature", [-8.0, 24.0])
def test_the_best_focus_depends_on_tube_and_filter(
    tmp_path: Path, name: str, offset: float, temperature: float
) -> None:
    weather = WeatherConfig(mode="clear", temperature=temperature)
    lab = observatory(tmp_path, weather=weather, pixels="stamp", focuser=FocuserConfig())
    lab("filters", "move", name=name)
    lab.wait(10.0)
    tube = lab.status("focuser")["temperature"]
    assert sharpest(lab) == pytest.approx(25.0 - 0.02 * (tube - 10.0) + offset, abs=0.015)


def test_backlash_is_lost_when_the_focuser_turns(tmp_path: Path) -> None:
    focuser = FocuserConfig(initial=25.0, temperature_coefficient=0.0, backlash=0.2)
    lab = observatory(tmp_path, focuser=focuser, pixels="stamp")
    widths = []
    for start in (23.0, 27.0):
        for position in (start, 25.1):
            lab("focuser", "move", position=position)
            lab.wait(10.0)
        lab.expose(1.0)
        widths.append(lab.truth()[-1]["fwhm"])
    focused, beyond = widths
    defocused = 0.7 * 0.2 * 300.0 / 1056.0 / 1056.0 * 206264.8
    assert beyond == pytest.approx(math.hypot(focused, defocused), rel=0.1)


def test_each_light_frame_has_a_line_of_truth_and_no_other(tmp_path: Path) -> None:
    lab = observatory(tmp_path, pixels="stamp")
    lab.expose(10.0)
    lab.expose(10.0, shutter=False)
    lab("camera", "start", exposure_time=10.0)
    lab.wait(3.0)
    lab("camera", "abort")
    lab.expose(20.0)
    lines = lab.truth()
    assert [line["exposure_number"] for line in lines] == [1, 4]
    assert [line["end"] - line["start"] for line in lines] == pytest.approx([10.0, 20.0])
    assert {line["filter"] for line in lines} == {"Clear"}
    assert all(line["roof"] == 1.0 for line in lines)


def test_a_stamp_is_a_star_that_vanishes_with_the_light() -> None:
    lab = observatory(pixels="stamp")
    frame = lab.expose(60.0)
    assert frame.shape == (64, 64)
    assert frame.dtype == np.uint16
    stars = find_sources(frame)
    assert len(stars) == 1
    assert (stars.x[0], stars.y[0]) == pytest.approx((31.5, 31.5), abs=0.1)
    lab("roof", "close")
    lab.wait(60.0)
    assert lab.expose(60.0).max() < 600
