"""Camera pixels as FITS keeps them, and back: less 32768, big-endian, 16 bits, with their checksum on the way.

Worked in pieces that fit a processor's cache, large frames on two cores: a frame is passed over once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from pytel.imaging.checksums import fold, sum32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PIECE = 2**17
_LARGE = 2**21
_EVEN_LANES = 0x0000FFFF0000FFFF


def to_stored(pixels: NDArray[np.uint16]) -> tuple[memoryview, int]:
    """The bytes of a frame in a file, and their FITS checksum as if they were padded with zeros to whole words."""
    import numpy as np

    flat = np.ascontiguousarray(pixels, dtype=np.uint16).reshape(-1)
    stored = np.empty(flat.size, np.uint16)
    if flat.size < _LARGE:
        total = _store(flat, stored)
    else:
        middle = flat.size // 2 // _PIECE * _PIECE
        with ThreadPoolExecutor(1, thread_name_prefix="pytel-pixels") as other:
            second = other.submit(_store, flat[middle:], stored[middle:])
            total = _store(flat[:middle], stored[:middle]) + second.result()
    return memoryview(cast(Any, stored.view(np.uint8))), fold(total)


def _store(flat: NDArray[np.uint16], stored: NDArray[np.uint16]) -> int:
    import numpy as np

    total, sign = 0, np.uint16(0x8000)
    for first in range(0, flat.size, _PIECE):
        piece = stored[first : first + _PIECE]
        np.bitwise_xor(flat[first : first + _PIECE], sign, out=piece)
        if piece.size == _PIECE:
            total += _sum_native(piece)
            piece.byteswap(inplace=True)
        else:
            piece.byteswap(inplace=True)
            content = piece.tobytes()
            total += sum32(content + bytes(-len(content) % 4))
    return total


def _sum_native(piece: NDArray[np.uint16]) -> int:
    """Add up pairs of 16-bit numbers in native order as 32-bit words; four at a time, in lanes of 64 bits."""
    import sys

    import numpy as np

    words, mask = piece.view(np.uint64), np.uint64(_EVEN_LANES)
    if sys.byteorder == "little":
        first, second = words & mask, (words >> np.uint64(16)) & mask
    else:
        first, second = (words >> np.uint64(16)) & mask, words & mask
    return (_lanes(int(first.sum())) << 16) + _lanes(int(second.sum()))


def _lanes(total: int) -> int:
    return (total & 0xFFFFFFFF) + (total >> 32)


def from_stored(stored: NDArray[Any], *, in_place: bool = False) -> NDArray[np.uint16]:
    """Pixels in native order of what a file has; `in_place` they take the room of what they are made of."""
    import numpy as np

    big_endian: NDArray[np.uint16] = stored.view(np.dtype("=u2"))
    sign = np.uint16(0x8000)
    pixels = big_endian if in_place else np.empty(big_endian.size, np.uint16)
    for first in range(0, pixels.size, _PIECE):
        piece = pixels[first : first + _PIECE]
        piece[:] = big_endian[first : first + _PIECE].byteswap()
        np.bitwise_xor(piece, sign, out=piece)
    return pixels
