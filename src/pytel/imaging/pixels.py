"""Pixels for a viewer: a cut-out, binned, as 16-bit numbers that compress well and are undone in a few lines.

The stream has one predictor, `delta-planes`: in each row every value less the one before it (modulo 2**16; the first as
it is), zig-zag (0, -1, 1, -2 become 0, 1, 2, 3), then the high bytes of all pixels followed by all low bytes.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.base.errors import InvalidParams, LimitExceeded
from pytel.imaging.frames import Frame, open_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREDICTOR = "delta-planes"
BLANK = 65535
"""Stands for NaN in images that are scaled; others use the whole range."""
_BAND = 2**20
"""Pixels read at a time."""
_MOST = 2**24


class Cutout(NamedTuple):
    """What of an image is wanted: `bin` pixels in each direction become their mean; 0-based, in unbinned pixels.

    A `width` or `height` of None reaches to the edge.
    """

    bin: int = 1
    x: int = 0
    y: int = 0
    width: int | None = None
    height: int | None = None


class Pixels(NamedTuple):
    """16-bit numbers of shape (rows, columns); a physical value is `scale * number + zero`."""

    values: NDArray[np.uint16]
    scale: float
    zero: float
    has_blank: bool


def read_pixels(path: Path, cutout: Cutout) -> Pixels:
    """Read a cut-out; blocking. Raises `ImageError`, `InvalidParams`, `LimitExceeded` (more than 2**24 pixels)."""
    with open_frame(path) as frame:
        return to_uint16(binned(frame, cutout))


def binned(frame: Frame, cutout: Cutout) -> NDArray[Any]:
    """The mean of each bin; rows and columns that fill no bin are left out."""
    import numpy as np

    first_column, columns, rows = _checked(frame.shape, cutout)
    factor = cutout.bin
    step = max(1, _BAND // (frame.shape[1] * factor)) * factor
    end = cutout.y + rows * factor
    bands = [
        _mean(frame.rows(y, min(y + step, end))[:, first_column : first_column + columns * factor], factor)
        for y in range(cutout.y, end, step)
    ]
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def _checked(shape: tuple[int, int], cutout: Cutout) -> tuple[int, int, int]:
    width = shape[1] - cutout.x if cutout.width is None else cutout.width
    height = shape[0] - cutout.y if cutout.height is None else cutout.height
    inside = cutout.x >= 0 and cutout.y >= 0 and cutout.x + width <= shape[1] and cutout.y + height <= shape[0]
    if cutout.bin < 1 or not inside or min(width, height) < cutout.bin:
        raise InvalidParams(f"the cut-out does not lie within the {shape[1]} x {shape[0]} pixels of the image")
    columns, rows = width // cutout.bin, height // cutout.bin
    if columns * rows > _MOST:
        raise LimitExceeded(
            f"{columns} x {rows} pixels are more than {_MOST}: ask for a larger bin or a smaller cut-out"
        )
    return cutout.x, columns, rows


def _mean(band: NDArray[Any], factor: int) -> NDArray[Any]:
    import numpy as np

    if factor == 1:
        return band
    whole = band.dtype.kind in "iu" and band.dtype.itemsize <= 2
    kind: Any = np.int64 if whole and factor > 256 else np.int32 if whole else np.float64
    rows = np.zeros((band.shape[0] // factor, band.shape[1]), kind)
    for offset in range(factor):
        rows += band[offset::factor]
    total = np.zeros((rows.shape[0], band.shape[1] // factor), kind)
    for offset in range(factor):
        total += rows[:, offset::factor]
    count = factor * factor
    return (total + count // 2) // count if whole else total / count


def to_uint16(values: NDArray[Any]) -> Pixels:
    """Bring values to 16 bits: integers that fit as they are but for an offset, anything else scaled to their range."""
    import numpy as np

    if values.dtype == np.uint16:
        return Pixels(values, 1.0, 0.0, False)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        zero = 0 if low >= 0 and high <= BLANK else low
        if high - zero <= BLANK:
            return Pixels((values - zero).astype(np.uint16), 1.0, float(zero), False)
    return _scaled(values.astype(np.float64))


def _scaled(values: NDArray[np.float64]) -> Pixels:
    import numpy as np

    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    scale = high / (BLANK - 1) - low / (BLANK - 1) or 1.0
    numbers = np.full(values.shape, BLANK, np.uint16)
    # Divided first, as the difference of two very large numbers may be none.
    steps = np.rint(values[known] / scale - low / scale)
    numbers[known] = np.clip(steps, 0, BLANK - 1).astype(np.uint16)
    return Pixels(numbers, scale, low, True)


def encode(values: NDArray[np.uint16]) -> bytearray:
    """Apply the predictor."""
    import numpy as np

    rows, columns = values.shape
    planes = bytearray(2 * rows * columns)
    whole = np.frombuffer(planes, np.uint8).reshape(2, rows, columns)
    step = max(1, _BAND // columns)
    for first in range(0, rows, step):
        band = values[first : first + step].astype(np.uint16, copy=True)
        band[:, 1:] -= values[first : first + step, :-1]
        signed = band.view(np.int16)
        coded = (band << 1) ^ (signed >> 15).view(np.uint16)
        whole[0, first : first + step] = coded >> 8
        whole[1, first : first + step] = coded & 0xFF
    return planes


def decode(planes: bytes | bytearray, width: int, height: int) -> NDArray[np.uint16]:
    """Undo the predictor, as a viewer does. Raises `InvalidParams` for another number of bytes."""
    import numpy as np

    if len(planes) != 2 * width * height:
        raise InvalidParams(f"{width} x {height} pixels have {2 * width * height} bytes, not {len(planes)}")
    high, low = np.frombuffer(planes, np.uint8).reshape(2, height, width).astype(np.uint16)
    coded = high << 8 | low
    deltas = (coded >> 1) ^ (~(coded & 1) + np.uint16(1))
    return np.cumsum(deltas, axis=1, dtype=np.uint16)


def compress(planes: bytes | bytearray, coding: str) -> bytes | bytearray:
    """Compress for the wire: `zstd`, `gzip` or `identity`, the fastest level of each."""
    if coding == "zstd":
        return bytes(_zstd_compress(planes))
    return gzip.compress(planes, 1, mtime=0) if coding == "gzip" else planes


def _zstd_compress(content: bytes | bytearray) -> bytes:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(content, 1)
