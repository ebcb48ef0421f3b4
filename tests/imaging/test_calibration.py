"""Raw frames to electrons, and calibration frames to masters."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.imaging.calibration import Masters, calibrate, fill, section, without_overscan
from pytel.imaging.calibration_file import Column, write_calibrated
from pytel.imaging.fits import read_fits, write_fits
from pytel.imaging.headers import HeaderCard
from pytel.imaging.masters import (
    FramesDiffer,
    bad_pixels,
    clipped_mean,
    combine,
    master_bias,
    master_dark,
    master_flat,
    middle_counts,
)

CREATED = datetime(2026, 11, 22, 20, tzinfo=UTC)
HEADER = {"GAIN": 2.0, "RDNOISE": 5.0, "EXPTIME": 10.0, "SATURATE": 60000}


def frames(directory: Path, stack: list[np.ndarray]) -> list[Path]:
    paths = [directory / f"{number}.fits" for number in range(len(stack))]
    for path, pixels in zip(paths, stack, strict=True):
        write_fits(path, pixels.astype(np.uint16), {}, created=CREATED)
    return paths


def test_a_frame_comes_in_electrons_without_bias_and_dark_at_even_response() -> None:
    shape = (40, 50)
    flat = np.linspace(0.8, 1.2, 50, dtype=np.float32)[None, :] * np.ones(shape, np.float32)
    bias, dark = np.full(shape, 500, np.float32), np.full(shape, 0.5, np.float32)
    raw = np.round(500 + 5 + 1000 * flat).astype(np.uint16)
    found = calibrate(raw, HEADER, Masters(bias=bias, dark=dark, flat=flat))
    assert found.pixels.dtype == np.float32
    assert np.abs(found.pixels - 2000).max() < 2.0
    assert found.saturation == (60000 - 500) * 2.0


def test_masters_of_another_shape_and_headers_without_gain_are_refused() -> None:
    raw = np.zeros((20, 20), np.uint16)
    with pytest.raises(InvalidParams, match="does not fit"):
        calibrate(raw, HEADER, Masters(bias=np.zeros((20, 21), np.float32)))
    with pytest.raises(InvalidParams, match="GAIN"):
        calibrate(raw, {"EXPTIME": 1.0}, Masters())


def test_overscan_is_taken_off_row_by_row_and_cut_away() -> None:
    raw = np.zeros((10, 30), np.uint16) + np.arange(100, 110, dtype=np.uint16)[:, None]
    raw[:, :20] += 7
    header = {"BIASSEC": "[21:30,1:10]", "TRIMSEC": "[1:20,1:10]"}
    found = without_overscan(raw, header)
    assert found.shape == (10, 20)
    assert np.all(found == 7)
    with pytest.raises(InvalidParams, match="outside"):
        without_overscan(raw, {"BIASSEC": "[21:31,1:10]"})


@given(st.text(max_size=30))
def test_a_section_is_understood_or_refused(text: str) -> None:
    try:
        found = section({"TRIMSEC": text}, "TRIMSEC")
    except InvalidParams:
        return
    assert found is None or all(0 <= part.start < part.stop for part in found)


def test_bad_pixels_are_filled_from_their_row() -> None:
    pixels = np.tile(np.arange(10, dtype=np.float32), (3, 1))
    bad = np.zeros(pixels.shape, np.bool_)
    bad[0, 4:6], bad[1, 0], bad[2, :] = True, True, True
    pixels[bad] = 1e6
    fill(pixels, bad)
    assert pixels[0, 4] == pytest.approx(4.5)
    assert pixels[1, 0] == 1.0
    assert np.all(pixels[2] == 0.0)


def test_the_clipped_mean_leaves_hits_out() -> None:
    source = np.random.default_rng(1)
    stack = source.normal(100.0, 5.0, (9, 64, 64)).astype(np.float32)
    clean = clipped_mean(stack.copy())
    stack[3, 10, 10] = 5000.0
    assert abs(clipped_mean(stack)[10, 10] - clean[10, 10]) < 5.0
    assert abs(float(clean.mean()) - 100.0) < 0.1
    assert float(clean.std()) == pytest.approx(5.0 / 3, rel=0.1)


def test_masters_are_what_the_frames_have_in_common(tmp_path: Path) -> None:
    source = np.random.default_rng(2)
    shape = (64, 80)
    response = 1.0 - 0.2 * np.linspace(-1, 1, 80)[None, :] ** 2 * np.ones(shape)
    bias = 500.0 + np.arange(64)[:, None] * np.ones(shape) / 8
    dark = np.full(shape, 0.4)
    dark[5, 5] = 50.0

    def noisy(level: np.ndarray) -> np.ndarray:
        return np.clip(np.round(level + source.normal(0, 3, shape)), 0, 65535)

    for name in ("b", "d", "f"):
        (tmp_path / name).mkdir()
    made_bias = master_bias(frames(tmp_path / "b", [noisy(bias) for _ in range(9)]))
    assert np.abs(made_bias - bias).max() < 6.0
    times = [100.0, 200.0, 100.0, 200.0, 100.0]
    made_dark = master_dark(frames(tmp_path / "d", [noisy(bias + dark * t) for t in times]), times, made_bias)
    assert made_dark[5, 5] == pytest.approx(50.0, rel=0.01)
    assert float(np.median(made_dark)) == pytest.approx(0.4, abs=0.02)
    lights = [noisy(bias + dark * 2 + light * response) for light in (10_000.0, 20_000.0, 15_000.0)]
    made_flat = master_flat(frames(tmp_path / "f", lights), [2.0] * 3, made_bias, made_dark)
    assert np.abs(made_flat - response / response[32, 40]).max() < 0.01
    bad = bad_pixels(made_dark, made_flat, noise=5.0, exposure_time=60.0)
    assert bad[5, 5]
    assert bad.sum() == 1


def test_a_saturated_flat_shows_by_its_middle(tmp_path: Path) -> None:
    (full, fine) = frames(tmp_path, [np.full((64, 80), 65535.0), np.full((64, 80), 30000.0)])
    assert middle_counts(full) == 65535.0
    assert middle_counts(fine) == 30000.0


def test_frames_of_other_shapes_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParams):
        combine([])
    paths = frames(tmp_path, [np.zeros((20, 20)), np.zeros((20, 30))])
    with pytest.raises(FramesDiffer):
        combine(paths)
    with pytest.raises(InvalidParams, match="EXPTIME"):
        master_dark(paths[:1], [0.0], None)
    with pytest.raises(InvalidParams, match="no light"):
        master_flat(paths[:1], [1.0], None, None)


def test_a_calibrated_file_is_valid_fits_with_its_tables(tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).normal(0, 100, (33, 47)).astype(np.float32)
    x = np.arange(5, dtype=np.float64)
    flags = np.arange(5, dtype=np.int16)
    path = tmp_path / "reduced.fits"
    tables = {"CAT": [Column("X", "pix", x), Column("FLAGS", "", flags)], "MASK": [Column("X", "pix", flags[:0])]}
    written = write_calibrated(path, pixels, {"OBJECT": HeaderCard("M 8", "target")}, tables, created=CREATED)
    assert written.size == path.stat().st_size
    with fits.open(path, checksum=True) as units:
        units.verify("exception")
        assert np.array_equal(units[0].data, pixels)
        assert np.array_equal(units["CAT"].data["X"], x)
        assert np.array_equal(units["CAT"].data["FLAGS"], flags)
        assert units["CAT"].columns["X"].unit == "pix"
        assert len(units["MASK"].data) == 0
    read, header = read_fits(path)
    assert np.array_equal(read, pixels)
    assert header["OBJECT"] == "M 8"
    again = tmp_path / "again.fits"
    assert write_calibrated(again, pixels, {"OBJECT": HeaderCard("M 8", "target")}, tables, created=CREATED) == written
