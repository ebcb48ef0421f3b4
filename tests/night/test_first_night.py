"""The night that `make demo` observes: enough frames, true to the sky, with headers that every reader accepts."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from night_kit import Night, observe, read_night

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("night"), pytest.mark.timeout(900)]
SIMULATED_POINTING_ERROR = 60.0
"""Arcsec: four times the rms of the default mount."""


def separation(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Arcseconds between two nearby places."""
    return float(3600 * np.hypot((ra1 - ra2) * np.cos(np.radians(dec1)), dec1 - dec2))


def test_the_night_leaves_at_least_thirty_science_frames(night: Night) -> None:
    assert len(night.science_frames()) >= 30


def test_the_shutter_is_open_for_most_of_the_clear_dark_time(night: Night) -> None:
    assert night.report["clear_dark_time"] > 3 * 3600
    assert night.report["open_shutter_fraction"] > 0.6
    assert night.report["open_shutter_fraction"] <= 1.0
    told = sum(entry["exposure_time"] for entry in night.report["exposures"])
    assert night.report["open_shutter"] <= told + 1


def test_the_report_tells_tasks_and_lost_time(night: Night) -> None:
    assert {task["status"] for task in night.report["tasks"]} <= {"pending", "running", "done", "failed", "cancelled"}
    assert sum(task["exposures_done"] for task in night.report["tasks"]) == len(night.science_frames())
    assert all(entry["reason"] and entry["seconds"] >= 0 for entry in night.report["lost"])


def test_every_frame_is_sound_to_the_letter_of_the_standard(night: Night) -> None:
    for path in night.files():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path, checksum=True) as hdus:
                hdus.verify("exception")
                assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus if hdu.data is not None)


def test_fitscheck_finds_no_error(night: Night) -> None:
    fitscheck = Path(sys.executable).with_name("fitscheck")
    done = subprocess.run([fitscheck, *night.files()], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def wcs_of(header: Any) -> WCS:
    """The WCS of a header; astropy tells that it derives the geodetic place from the geocentric one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(header)


def sky_at(wcs: WCS, x: float, y: float) -> tuple[float, float]:
    """Right ascension and declination of a pixel counted from 0."""
    ra, dec = wcs.pixel_to_world_values(x, y)
    return float(ra), float(dec)


def solve(path: Path, directory: Path) -> WCS | None:
    """Solve a frame blindly with astrometry.net."""
    solver = shutil.which("solve-field")
    assert solver is not None, "astrometry.net is missing; 'make test' installs it"
    copy = directory / path.name
    shutil.copy(path, copy)
    arguments = ["--no-plots", "--overwrite", "--downsample", "2", "--no-remove-lines", "--uniformize", "0"]
    limits = ["--scale-units", "arcsecperpix", "--scale-low", "1.5", "--scale-high", "2.0", "--cpulimit", "30"]
    extra = ["--new-fits", "none", "--solved", "none", "--match", "none", "--rdls", "none", "--corr", "none"]
    command = [solver, *arguments, *limits, *extra, "--index-xyls", "none", "--dir", str(directory), str(copy)]
    subprocess.run(command, capture_output=True, timeout=120, check=False)
    solution = copy.with_suffix(".wcs")
    if not solution.exists():
        return None
    with fits.open(solution) as hdus:
        return wcs_of(hdus[0].header)


def test_astrometry_net_finds_the_field_where_the_truth_says(night: Night, tmp_path: Path) -> None:
    truth = night.truth()
    frames = night.science_frames()
    chosen = [frames[int(index)] for index in np.linspace(0, len(frames) - 1, 20)]
    good, misses = 0, []
    for path in chosen:
        header: Any = fits.getheader(path)
        centre = (header["NAXIS1"] / 2 - 0.5, header["NAXIS2"] / 2 - 0.5)
        begun = datetime.fromisoformat(header["DATE-OBS"]).replace(tzinfo=UTC).timestamp()
        true = min(truth, key=lambda entry: abs(float(entry["start"]) - begun))
        assert abs(true["start"] - begun) < 1.0
        claimed = sky_at(wcs_of(header), *centre)
        assert separation(*claimed, true["ra"], true["dec"]) < SIMULATED_POINTING_ERROR
        solution = solve(path, tmp_path)
        if solution is None:
            misses.append(f"{path.name}: not solved")
            continue
        found = sky_at(solution, *centre)
        if separation(*found, true["ra"], true["dec"]) < 2.0:
            good += 1
        else:
            misses.append(f"{path.name}: {separation(*found, true['ra'], true['dec']):.2f} arcsec off")
    assert good >= 19, misses


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_night_byte_for_byte(night: Night, tmp_path: Path) -> None:
    again = read_night(observe(tmp_path / "again", "--nights", "1", "--seed", "1"))
    assert (again.directory / "night.json").read_bytes() == (night.directory / "night.json").read_bytes()
    assert [path.name for path in again.files()] == [path.name for path in night.files()]
    for one, other in zip(again.files(), night.files(), strict=True):
        assert digest(one) == digest(other), one.name


def test_another_seed_gives_another_night_and_rice_saves_room(night: Night, tmp_path: Path) -> None:
    other = read_night(observe(tmp_path / "other", "--nights", "1", "--seed", "2", "--compress"))
    assert other.report["seed"] == 2
    assert other.report["exposures"] != night.report["exposures"]
    frame = other.files()[len(other.files()) // 2]
    assert frame.name.endswith(".fits.fz")
    with fits.open(frame, checksum=True) as hdus:
        assert hdus[1].data.shape in {(2048, 2048), (1024, 1024), (512, 512)}
