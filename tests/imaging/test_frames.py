"""FITS read piece by piece agrees with astropy, and nothing hostile gets further than a typed error."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytel.imaging.cardtext import Card, parse_card_images
from pytel.imaging.fits import ImageError, parse_fits, write_fits
from pytel.imaging.frames import open_frame
from pytel.imaging.headers import HeaderCard

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def frame_file(path: Path, pixels: Any, **cards: str | float | bool | None) -> Path:
    given_cards = {keyword: HeaderCard(value, "told") for keyword, value in cards.items()}
    write_fits(path, pixels, given_cards, created=NOW)
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_rows_and_cards_of_a_frame(tmp_path: Path, compress: bool) -> None:
    pixels = np.arange(130 * 40, dtype=np.uint16).reshape(130, 40) * 12
    write_fits(tmp_path / "a.fits", pixels, {"OBJECT": HeaderCard("M 8", "name")}, compress=compress, created=NOW)
    with open_frame(tmp_path / "a.fits") as frame:
        assert frame.shape == (130, 40)
        assert Card("OBJECT", "M 8", "name") in frame.cards
        band = frame.rows(60, 70)
        assert band.dtype == np.uint16
        assert (band == pixels[60:70]).all()


FORMS: list[Any] = ["u1", ">i2", ">i4", ">i8", ">f4", ">f8"]


@given(
    data=st.data(),
    form=st.sampled_from(FORMS),
    scaling=st.sampled_from([(1, 0), (2, 5), (0.5, -3.25), (1, 32768)]),
)
@same_folder
def test_every_kind_of_pixel_is_what_astropy_reads(
    tmp_path: Path, data: st.DataObject, form: str, scaling: tuple[float, float]
) -> None:
    stored = data.draw(arrays.arrays(np.dtype(form), (3, 5), elements={"allow_nan": False} if "f" in form else None))
    if "f" in form and (abs(stored) > 1e30).any():
        stored = np.zeros_like(stored)
    unit = fits.PrimaryHDU(stored)
    if scaling != (1, 0):
        unit.header["BSCALE"], unit.header["BZERO"] = scaling
    unit.writeto(tmp_path / "a.fits", overwrite=True)
    with fits.open(tmp_path / "a.fits", uint=True) as units:
        expected = np.asarray(units[0].data, np.float64)
    with open_frame(tmp_path / "a.fits") as frame:
        rows = frame.rows(0, 3)
    np.testing.assert_allclose(np.asarray(rows, np.float64), expected, rtol=2e-6)


def test_blank_pixels_become_nan(tmp_path: Path) -> None:
    unit = fits.PrimaryHDU(np.array([[1, -99], [3, 4]], np.int16))
    unit.header["BLANK"] = -99
    unit.writeto(tmp_path / "a.fits")
    with open_frame(tmp_path / "a.fits") as frame:
        assert np.isnan(frame.rows(0, 1)[0, 1])


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=120)
VALUES = st.one_of(
    PRINTABLE,
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100),
    st.none(),
)


@given(value=VALUES, comment=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
@settings(deadline=None)
def test_a_card_of_astropy_is_read_as_astropy_reads_it(value: Any, comment: str) -> None:
    header = fits.Header()
    text = value.strip() if isinstance(value, str) else value
    try:
        header["KEY"] = (text, comment if not isinstance(text, str) else "")
        block = header.tostring(sep="", endcard=True, padding=True).encode()
        there = fits.Header.fromstring(block.decode())["KEY"]
    except (ValueError, fits.VerifyError, fits.verify.VerifyWarning):
        return
    (card,) = [card for card in parse_card_images(block) if card.keyword == "KEY"]
    expected = None if isinstance(there, fits.card.Undefined) else there
    assert card.value == (expected.rstrip() if isinstance(expected, str) else expected)
    assert type(card.value) is type(expected)


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_cards_of_some_kind(header: bytes) -> None:
    for card in parse_card_images(header):
        assert isinstance(card.keyword, str)


@given(st.binary(max_size=200), st.integers(0, 5759), st.booleans())
@same_folder
def test_any_change_of_a_file_is_read_or_a_typed_error(tmp_path: Path, change: bytes, place: int, cut: bool) -> None:
    path = frame_file(tmp_path / "a.fits", np.arange(1000, dtype=np.uint16).reshape(20, 50), OBJECT="x")
    content = bytearray(path.read_bytes())
    content[place : place + len(change)] = change
    path.write_bytes(content[:place] if cut else content)
    for read in (lambda: parse_fits(bytes(path.read_bytes())), lambda: read_all(path)):
        try:
            read()
        except ImageError:
            continue


def read_all(path: Path) -> None:
    with open_frame(path) as frame:
        frame.rows(0, min(frame.shape[0], 64))


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = frame_file(tmp_path / "a.fits", np.zeros((2, 2), np.uint16))
    (tmp_path / "link.fits").symlink_to(path)
    with pytest.raises(ImageError), open_frame(tmp_path / "link.fits"):
        pass
