"""Frames out of BLOBs: the same file as from pixels, and errors for what is no frame."""

from __future__ import annotations

import contextlib
import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pytel.base.errors import DeviceError
from pytel.devices.indi.blobs import Blob
from pytel.devices.indi.frames import frame_of
from pytel.devices.indi.protocol import BlobBegins
from pytel.imaging.checksums import sum32
from pytel.imaging.fits import render_fits
from pytel.imaging.stored import StoredFrame

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def blob_of(content: bytes, form: str = ".fits") -> Blob:
    """A BLOB of a camera."""
    return Blob(BlobBegins({"device": "Cam"}, {}), form, memoryview(content), 0.0, lambda: None)


def file_of(pixels: Any) -> bytes:
    """A FITS file by astropy."""
    buffer = io.BytesIO()
    fits.PrimaryHDU(pixels).writeto(buffer)
    return buffer.getvalue()


@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=70)), st.booleans())
def test_the_file_is_the_same_as_from_pixels(pixels: Any, compress: bool) -> None:
    frame = frame_of(blob_of(file_of(pixels)))
    assert isinstance(frame, StoredFrame)
    assert (frame.pixels() == pixels).all()
    written = [b"".join(render_fits(each, {}, compress=compress, created=NOW)) for each in (frame, pixels)]
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32, np.float64, np.uint32])
def test_other_kinds_that_fit(kind: Any) -> None:
    pixels = np.arange(120).reshape(10, 12).astype(kind)
    frame = frame_of(blob_of(file_of(pixels)))
    assert isinstance(frame, np.ndarray)
    assert frame.dtype == np.uint16
    assert (frame == pixels).all()


@pytest.mark.parametrize(
    ("content", "form", "said"),
    [
        (file_of(np.full((2, 2), -1, np.int16)), ".fits", "no numbers from 0 to 65535"),
        (file_of(np.full((2, 2), np.nan, np.float32)), ".fits", "no numbers from 0 to 65535"),
        (file_of(np.zeros((3, 2, 2), np.uint16)), ".fits", "has not two axes"),
        (file_of(np.zeros((99, 99), np.uint16))[:-2880], ".fits", "cut short"),
        (b"", ".fits", "does not begin as a FITS file"),
        (b"\xff\xd8 a picture", ".jpg", "is .jpg, not FITS"),
        (b"", "", "is of no format"),
    ],
)
def test_what_is_no_frame(content: bytes, form: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        frame_of(blob_of(content, form))


@given(st.binary(max_size=3000))
def test_any_bytes_are_a_frame_or_an_error(content: bytes) -> None:
    for start in (b"", file_of(np.zeros((2, 2), np.uint16))[:2880]):
        with contextlib.suppress(DeviceError):
            frame_of(blob_of(start + content))


@given(st.binary(max_size=1000))
def test_checksums_of_words(content: bytes) -> None:
    content += bytes(-len(content) % 4)
    words = [int.from_bytes(content[at : at + 4], "big") for at in range(0, len(content), 4)]
    total = sum(words)
    assert sum32(content) == ((total - 1) % 0xFFFFFFFF + 1 if total else 0)
