"""ImageBytes: every type bit for bit, and what is none is told as such."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import Cancelled, DeviceError, PytelError
from pytel.devices.alpaca.imagebytes import frame_of, largest
from pytel.services.alpaca_client import Download

HEAD = struct.Struct("<iiIIiiiiiii")
REQUEST = 4_000_000_000
"""More than 31 bits have."""
TYPES = {1: "<i2", 2: "<i4", 3: "<f8", 4: "<f4", 5: "<u8", 6: "u1", 7: "<i8", 8: "<u2", 9: "<u4"}


def sent(columns: Any, sent_as: int = 8, **head: int) -> bytearray:
    """An image by column as a server sends it; `head` changes what its metadata say."""
    width, height = columns.shape
    told = {
        "version": 1,
        "error": 0,
        "client": REQUEST,
        "start": 44,
        "rank": 2,
        "width": width,
        "height": height,
    } | head
    before = (told["version"], told["error"], told["client"], 8, told["start"])
    start = HEAD.pack(*before, 2, sent_as, told["rank"], told["width"], told["height"], 0)
    return bytearray(start + columns.astype(TYPES.get(sent_as, "<u2")).tobytes())


def failed(number: int, message: str) -> PytelError:
    return Cancelled(f"{number} {message}")


def read(body: bytearray, width: int = 3, height: int = 2) -> Any:
    return frame_of(Download(body, REQUEST), width, height, "camera", failed)


PICTURE = np.array([[1, 2], [3, 4], [5, 127]], np.uint16)
"""Three columns, each from the top."""


@pytest.mark.parametrize("sent_as", TYPES)
def test_every_type_comes_out_the_same(sent_as: int) -> None:
    frame = read(sent(PICTURE, sent_as))
    assert frame.dtype == np.uint16
    assert frame.tolist() == [[2, 4, 127], [1, 3, 5]], "rows from the bottom"
    assert frame.flags.c_contiguous


@given(st.binary(min_size=24, max_size=24))
def test_any_16_bits_are_kept(content: bytes) -> None:
    columns = np.frombuffer(content, "<u2").reshape(4, 3)
    assert np.array_equal(read(sent(columns), 4, 3)[::-1].T, columns)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (bytearray(), "ends after 0 bytes"),
        (sent(PICTURE)[:50], "torn"),
        (sent(PICTURE) + b"\0", "torn"),
        (sent(PICTURE, version=2), "version 2"),
        (sent(PICTURE, client=7), "answer to request 7, not 4000000000"),
        (sent(PICTURE, start=43), "begins at byte 43"),
        (sent(PICTURE, start=4000), "begins at byte 4000"),
        (sent(PICTURE, start=-1), "begins at byte -1"),
        (sent(PICTURE, rank=3), "3 axes"),
        (sent(PICTURE, width=2, height=3), "2 x 3 pixels, but 3 x 2"),
        (sent(PICTURE, width=1 << 30, height=1 << 30), "pixels, but 3 x 2"),
        (sent(PICTURE, width=-3), "-3 x 2"),
        (sent(PICTURE, 10), "type 10"),
        (sent(PICTURE, 0), "type 0"),
        (sent(PICTURE.astype(np.int32) - 2, 2), "no whole numbers"),
        (sent(PICTURE.astype(np.int32) + 65500, 2), "no whole numbers"),
        (sent(PICTURE + 0.5, 3), "no whole numbers"),
        (sent(np.full((3, 2), np.nan), 3), "no whole numbers"),
        (sent(np.full((3, 2), np.inf), 4), "no whole numbers"),
    ],
)
def test_what_is_no_frame_is_a_device_error(body: bytearray, said: str) -> None:
    with pytest.raises(DeviceError, match=said) as caught:
        read(body)
    assert caught.value.data["device"] == "camera"


def test_a_server_that_keeps_no_count_is_believed() -> None:
    assert np.array_equal(read(sent(PICTURE, client=0)), read(sent(PICTURE)))


def test_an_error_in_an_image_is_that_error() -> None:
    told = HEAD.pack(1, 0x40E, REQUEST, 8, 44, 2, 8, 2, 0, 0, 0) + "abgebrochen ü".encode()
    with pytest.raises(Cancelled, match="1038 abgebrochen ü"):
        read(bytearray(told))


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_frame_or_a_typed_error(body: bytes) -> None:
    try:
        frame = read(bytearray(body))
    except (DeviceError, Cancelled):
        return
    assert frame.shape == (2, 3)


@given(st.binary(max_size=60), st.integers(0, 10))
def test_after_a_good_head_too(content: bytes, sent_as: int) -> None:
    body = sent(PICTURE, sent_as)[:44] + content
    try:
        frame = read(body)
    except DeviceError:
        return
    assert frame.shape == (2, 3)


def test_the_bound_is_that_of_the_widest_type() -> None:
    assert largest(1000, 1000) >= len(sent(np.zeros((1000, 1000)), 3))
