from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.scripts import fitscheck
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams, StorageFull
from pytel.imaging.checksums import encode
from pytel.imaging.fits import ImageError, parse_fits, read_fits, render_fits, write_fits
from pytel.imaging.headers import HeaderCard, detector_cards, exposure_cards

CREATED = datetime(2026, 11, 22, 21, 0, tzinfo=UTC)
CARDS = (
    exposure_cards(frame_type="object", start=CREATED, end=CREATED, exposure_time=60.0, object_name="O'Neill's star")
    | detector_cards(camera="main", gain=1.5, saturation=65535)
    | {"LONGTEXT": HeaderCard("it's " * 40, "a long one"), "UNKNOWN": HeaderCard(None, "[m]")}
)
SHAPES = [(1, 1), (1, 5), (3, 1), (100, 77), (300, 256)]


def frame(shape: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.random.default_rng(7).integers(0, 65536, shape, dtype=np.uint16)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_files_pass_strict_verification_and_come_back(tmp_path: Path, shape: tuple[int, int], compress: bool) -> None:
    path, pixels = tmp_path / "image.fits", frame(shape)
    written = write_fits(path, pixels, CARDS, compress=compress, created=CREATED)
    content = path.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == written
    for raw in (False, True):
        with fits.open(path, checksum=True, disable_image_compression=raw) as units:
            units.verify("exception")
            for unit in units:
                _ = unit.data
                assert raw is False or (unit.verify_checksum(), unit.verify_datasum()) == (1, 1)
    read, header = read_fits(path)
    assert read.dtype == np.uint16
    assert np.array_equal(read, pixels)
    assert header["OBJECT"] == "O'Neill's star"
    assert header["LONGTEXT"] == ("it's " * 40).rstrip()
    assert header["UNKNOWN"] is None
    assert header["DATE"] == "2026-11-22T21:00:00.000"
    assert os.listdir(tmp_path) == ["image.fits"]


def test_fitscheck_has_nothing_to_say(tmp_path: Path) -> None:
    write_fits(tmp_path / "image.fits", frame((100, 77)), CARDS, created=CREATED)
    assert fitscheck.main(["--compliance", str(tmp_path / "image.fits")]) == 0


@pytest.mark.parametrize("compress", [False, True])
def test_the_same_frame_gives_the_same_bytes(compress: bool) -> None:
    def render() -> bytes:
        return b"".join(render_fits(frame((130, 64)), CARDS, compress=compress, created=CREATED))

    first = render()
    assert first == render()
    assert datetime.now(UTC).strftime("%Y-%m-%dT%H:%M").encode() not in first


def test_frames_that_are_views_are_written_as_they_look(tmp_path: Path) -> None:
    pixels = frame((64, 64))[::2, ::-1].T
    write_fits(tmp_path / "a.fits", pixels, {}, created=CREATED)
    assert np.array_equal(read_fits(tmp_path / "a.fits")[0], pixels)


def test_compression_saves_room(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).normal(1000, 8, (512, 512)).astype(np.uint16)
    plain = write_fits(tmp_path / "a.fits", pixels, {}, created=CREATED)
    packed = write_fits(tmp_path / "a.fits.fz", pixels, {}, compress=True, created=CREATED)
    assert packed.size < 0.5 * plain.size


@pytest.mark.parametrize("value", [np.zeros((4, 4)), np.zeros(4, np.uint16), np.zeros((0, 4), np.uint16)])
def test_what_is_no_frame_is_refused(tmp_path: Path, value: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> None:
    with pytest.raises(InvalidParams, match="16-bit"):
        write_fits(tmp_path / "a.fits", value, {}, created=CREATED)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"before")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageFull, match=r"a\.fits"):
        write_fits(path, frame((10, 10)), {}, created=CREATED)
    assert os.listdir(tmp_path) == ["a.fits"]
    assert path.read_bytes() == b"before"


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, data[:1000]))
    write_fits(tmp_path / "a.fits", frame((50, 50)), {}, created=CREATED)
    monkeypatch.undo()
    assert np.array_equal(read_fits(tmp_path / "a.fits")[0], frame((50, 50)))


PLAIN = b"".join(render_fits(frame((20, 30)), CARDS, created=CREATED))
PACKED = b"".join(render_fits(frame((20, 30)), CARDS, compress=True, created=CREATED))
UNSIGNED = PLAIN.replace(b"CHECKSUM", b"CHECKSUX").replace(b"DATASUM", b"DATASUX")


@pytest.mark.parametrize("content", [PLAIN, PACKED], ids=["plain", "packed"])
def test_a_changed_or_shortened_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(content[:-2880])
    with pytest.raises(ImageError, match=r"a\.fits"):
        read_fits(path)
    changed = bytearray(content)
    changed[-2880] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ImageError, match="checksum"):
        read_fits(path)


def test_a_missing_file_and_no_fits_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not there"):
        read_fits(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_text("hello")
    with pytest.raises(ImageError, match="does not begin"):
        read_fits(tmp_path / "a.fits")


def test_a_huge_claim_is_refused_without_memory() -> None:
    claim = UNSIGNED.replace(b"NAXIS1  =                   30", b"NAXIS1  =         900000000000")
    with pytest.raises(ImageError):
        parse_fits(claim)


def _spoil(content: bytes) -> Callable[[list[tuple[int, int]], int], bytes]:
    def spoil(changes: list[tuple[int, int]], cut: int) -> bytes:
        spoiled = bytearray(content)
        for place, value in changes:
            spoiled[place % len(spoiled)] = value
        return bytes(spoiled[: len(spoiled) - cut])

    return spoil


@pytest.mark.filterwarnings("ignore")
@given(
    spoiled=st.builds(
        lambda content, changes, cut: _spoil(content)(changes, cut),
        st.sampled_from([PLAIN, PACKED, UNSIGNED]),
        st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
        st.sampled_from([0, 0, 0, 1, 2880, 4000]),
    )
    | st.binary(max_size=100).map(lambda tail: b"SIMPLE  =" + tail)
)
@settings(max_examples=100, deadline=None)
def test_hostile_bytes_give_an_image_or_a_typed_error(spoiled: bytes) -> None:
    try:
        pixels, _ = parse_fits(spoiled)
    except ImageError:
        return
    assert pixels.ndim == 2


@given(st.integers(0, 2**32 - 1))
def test_checksums_are_letters_and_digits(total: int) -> None:
    assert encode(total).isalnum()
