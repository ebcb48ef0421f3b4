"""Pixels for a viewer and previews."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pytel.base.errors import InvalidParams, LimitExceeded
from pytel.imaging.checksums import sum32
from pytel.imaging.fits import write_fits
from pytel.imaging.frames import Frame
from pytel.imaging.pixels import BLANK, Cutout, binned, compress, decode, encode, read_pixels, to_uint16
from pytel.imaging.preview import Picture, Stretch, display_limits, render_preview, stretched
from pytel.imaging.stored import from_stored, to_stored

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
U16 = np.dtype(np.uint16)


def frame_of(pixels: Any) -> Frame:
    return Frame([], pixels.shape, lambda first, end: pixels[first:end])


@given(arrays.arrays(U16, SHAPES))
@settings(deadline=None)
def test_what_is_encoded_is_decoded(values: Any) -> None:
    rows, columns = values.shape
    planes = encode(values)
    assert (decode(planes, columns, rows) == values).all()


def test_the_predictor_is_as_it_is_told() -> None:
    values = np.array([[1, 0, 65535, 300]], np.uint16)
    # 1 as it is; then -1, -1 (modulo 2**16) and +301, zig-zag: 2, 1, 1, 602
    assert bytes(encode(values)) == bytes([0, 0, 0, 602 >> 8, 2, 1, 1, 602 & 255])


def test_a_wrong_number_of_bytes_is_refused() -> None:
    with pytest.raises(InvalidParams):
        decode(b"123", 1, 1)


@pytest.mark.parametrize("coding", ["zstd", "gzip", "identity"])
def test_compression_is_undone_by_the_standard_libraries(coding: str) -> None:
    planes = encode(np.random.default_rng(1).normal(1000, 10, (50, 60)).astype(np.uint16))
    packed = bytes(compress(planes, coding))
    undo: Any = {"zstd": zstd.decompress, "gzip": gzip.decompress, "identity": bytes}[coding]
    assert undo(packed) == bytes(planes)


@given(pixels=arrays.arrays(U16, SHAPES), factor=st.sampled_from([1, 2, 4]), data=st.data())
@settings(deadline=None)
def test_a_bin_is_the_mean_of_its_pixels(pixels: Any, factor: int, data: st.DataObject) -> None:
    rows, columns = pixels.shape
    if min(rows, columns) < factor:
        with pytest.raises(InvalidParams):
            binned(frame_of(pixels), Cutout(factor))
        return
    x = data.draw(st.integers(0, columns - factor))
    y = data.draw(st.integers(0, rows - factor))
    width = data.draw(st.integers(factor, columns - x))
    height = data.draw(st.integers(factor, rows - y))
    found = binned(frame_of(pixels), Cutout(factor, x, y, width, height))
    cut = pixels[y : y + height // factor * factor, x : x + width // factor * factor].astype(float)
    blocks = cut.reshape(height // factor, factor, width // factor, factor)
    assert (abs(found - blocks.mean((1, 3))) <= 0.5).all()


@given(st.integers(-3, 20), st.integers(-3, 20), st.integers(-3, 20), st.integers(-3, 20))
@settings(deadline=None)
def test_only_what_lies_within_the_image_is_given(x: int, y: int, width: int, height: int) -> None:
    pixels = np.zeros((10, 12), np.uint16)
    inside = x >= 0 and y >= 0 and width >= 1 and height >= 1 and x + width <= 12 and y + height <= 10
    if inside:
        assert binned(frame_of(pixels), Cutout(1, x, y, width, height)).shape == (height, width)
    else:
        with pytest.raises(InvalidParams):
            binned(frame_of(pixels), Cutout(1, x, y, width, height))


def test_more_pixels_than_a_viewer_takes_are_refused() -> None:
    frame = Frame([], (2**13, 2**13), lambda first, end: np.zeros((end - first, 2**13), np.uint16))
    with pytest.raises(LimitExceeded, match="larger bin"):
        binned(frame, Cutout(1))


NUMBERS = arrays.arrays(
    np.float64, SHAPES, elements=st.one_of(st.floats(-1e300, 1e300), st.just(float("nan")), st.just(float("inf")))
)


@given(NUMBERS)
@settings(deadline=None)
def test_scaled_values_come_back_within_half_a_step(values: Any) -> None:
    pixels = to_uint16(values)
    known = np.isfinite(values)
    assert (pixels.values[~known] == BLANK).all()
    if known.any():
        step = pixels.scale
        back = pixels.scale * pixels.values[known] + pixels.zero
        size = float(abs(values[known]).max())
        assert (abs(back - values[known]) <= 0.51 * step + 1e-9 * size).all()


@given(arrays.arrays(np.int32, SHAPES, elements=st.integers(-(2**31), 2**31 - 1)))
@settings(deadline=None)
def test_whole_numbers_that_fit_stay_exact(values: Any) -> None:
    pixels = to_uint16(values)
    if int(values.max()) - int(values.min()) <= BLANK:
        assert pixels.scale == 1
        assert (pixels.values.astype(np.int64) + int(pixels.zero) == values).all()


def test_pixels_of_a_file(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    write_fits(tmp_path / "a.fits", values, {}, created=NOW)
    found = read_pixels(tmp_path / "a.fits", Cutout(1, 3, 5, 7, 9))
    assert (found.values == values[5:14, 3:10]).all()
    assert (found.scale, found.zero, found.has_blank) == (1.0, 0.0, False)


def picture(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.format, np.asarray(image.convert("L"))


@pytest.mark.parametrize(("kind", "name"), [(Picture.WEBP, "WEBP"), (Picture.JPEG, "JPEG")])
def test_a_preview_shows_the_first_row_below(tmp_path: Path, kind: Picture, name: str) -> None:
    values = np.full((300, 200), 100, np.uint16)
    values[:150] = 4000
    write_fits(tmp_path / "a.fits", values, {}, created=NOW)
    format_, shown = picture(render_preview(tmp_path / "a.fits", 100, Stretch.LINEAR, kind))
    assert format_ == name
    assert shown.shape == (100, 66)
    assert shown[:40].max() < 20
    assert shown[60:].min() > 235


def test_sizes_beyond_reason_are_refused(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", np.zeros((4, 4), np.uint16), {}, created=NOW)
    for size in (15, 2049):
        with pytest.raises(InvalidParams):
            render_preview(tmp_path / "a.fits", size)
    assert picture(render_preview(tmp_path / "a.fits", 16))[1].shape == (4, 4)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1)])
def test_odd_shapes_have_a_preview(tmp_path: Path, shape: tuple[int, int]) -> None:
    write_fits(tmp_path / "a.fits", np.zeros(shape, np.uint16), {}, created=NOW)
    assert max(picture(render_preview(tmp_path / "a.fits", 100))[1].shape) <= 100


@given(values=NUMBERS, stretch=st.sampled_from(list(Stretch)))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_values_can_be_shown(values: Any, stretch: Stretch) -> None:
    black, white = display_limits(values)
    assert white > black
    assert stretched(values, stretch).dtype == np.uint8


@given(arrays.arrays(U16, SHAPES), st.sampled_from(list(Stretch)))
@settings(deadline=None)
def test_brighter_pixels_are_shown_no_darker(values: Any, stretch: Stretch) -> None:
    order = np.argsort(values.reshape(-1), kind="stable")
    shown = stretched(values, stretch).reshape(-1)[order]
    assert (np.diff(shown.astype(int)) >= 0).all()


@given(
    arrays.arrays(U16, st.integers(1, 40)), st.sampled_from([0, 2**17 - 3, 2**17, 2**18 + 1, 2**21, 2**21 + 2**17 + 5])
)
@settings(max_examples=20, deadline=None)
def test_pixels_are_stored_as_fits_asks_and_come_back(values: Any, more: int) -> None:
    pixels = np.concatenate([values, np.arange(more, dtype=np.uint32).astype(np.uint16)])
    kept, total = to_stored(pixels)
    stored = bytes(kept)
    assert stored == (pixels.astype(np.int32) - 32768).astype(">i2").tobytes()
    assert total == sum32(stored + bytes(-len(stored) % 4))
    room = np.frombuffer(bytearray(stored), ">i2")
    for content, in_place in ((np.frombuffer(stored, ">i2"), False), (room, True)):
        back, summed = from_stored(content, in_place=in_place)
        assert (back == pixels).all()
        assert summed == total
    assert (room.view(np.uint16) == pixels).all()
