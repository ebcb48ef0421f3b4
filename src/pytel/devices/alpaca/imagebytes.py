"""The frame in an answer of ASCOM's ImageBytes, version 1 (Alpaca ImageBytes, sections 2 and 3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytel.base.errors import DeviceError, PytelError
from pytel.services.alpaca_client import Download

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEDIA_TYPE = "application/imagebytes"
_HEAD = struct.Struct("<iiIIiiiiiii")
_SENT_AS = {1: "<i2", 2: "<i4", 3: "<f8", 4: "<f4", 5: "<u8", 6: "u1", 7: "<i8", 8: "<u2", 9: "<u4"}
"""ImageArrayElementTypes of ASCOM."""
_WIDEST = 8


def largest(width: int, height: int) -> int:
    """The bytes of a frame of this size at most: in the widest of the types, with room for a longer head."""
    return 4096 + _WIDEST * width * height


def frame_of(
    got: Download, width: int, height: int, device: str, failed: Callable[[int, str], PytelError]
) -> NDArray[np.uint16]:
    """The frame of `height` rows from the bottom and `width` columns; blocking.

    `failed` makes the error of a number of ASCOM's and its message. Raises that, and `DeviceError` for what is no
    image of this size, answers another request, or has pixels that are no whole numbers from 0 to 65535.
    """
    import numpy as np

    body = got.body

    def wrong(what: str) -> DeviceError:
        return DeviceError(f"the frame of {device} {what}", device=device)

    if len(body) < _HEAD.size:
        raise wrong(f"ends after {len(body)} bytes, within its head")
    version, error, client, _, start, _, sent_as, rank, *sides = _HEAD.unpack_from(body)
    if version != 1:
        raise wrong(f"is ImageBytes of version {version}, not 1")
    # As with JSON: a server that was not told a number answers 0, and some always do.
    if client not in (0, got.transaction):
        raise wrong(f"is the answer to request {client}, not {got.transaction}")
    if not _HEAD.size <= start <= len(body):
        raise wrong(f"begins at byte {start} of {len(body)}")
    if error:
        raise failed(error, bytes(body[start : start + 500]).decode("utf-8", "replace"))
    if rank != 2:
        raise wrong(f"has {rank} axes, not 2: switch colour off")
    if sent_as not in _SENT_AS:
        raise wrong(f"has numbers of type {sent_as}, which there is not")
    if sides[:2] != [width, height]:
        raise wrong(f"has {sides[0]} x {sides[1]} pixels, but {width} x {height} were asked for")
    form = np.dtype(_SENT_AS[sent_as])
    if len(body) - start != width * height * form.itemsize:
        raise wrong(f"has {len(body) - start} bytes of pixels, not {width * height * form.itemsize}: it is torn")
    # The first index is the column, and rows are counted from the top.
    rows = np.frombuffer(body, form, width * height, start).reshape(width, height).T[::-1]
    if form.kind == "u" and form.itemsize <= 2:
        return np.ascontiguousarray(rows, np.uint16)
    with np.errstate(invalid="ignore"):
        frame = rows.astype(np.uint16)
    if not np.array_equal(frame, rows):
        raise wrong("has pixels that are no whole numbers from 0 to 65535")
    return np.ascontiguousarray(frame)


__all__ = ["MEDIA_TYPE", "frame_of", "largest"]
