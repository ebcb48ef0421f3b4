"""Camera pixels as FITS keeps them, and back: less 32768, big-endian, 16 bits, with their checksum on the way.

Worked in pieces that fit a processor's cache, large frames on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pytel.imaging.checksums import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PIECE = 2**17
_LARGE = 2**21
_SIGN = 0x8000


class StoredFrame(NamedTuple):
    """A frame as FITS keeps it, taken out of somebody's FITS file: written as it is, without a look at its pixels."""

    content: memoryview
    """Two bytes for each pixel: less 32768, big-endian; rows from the bottom."""
    shape: tuple[int, int]
    """Rows and columns."""

    def pixels(self) -> NDArray[np.uint16]:
        """The pixels in native order."""
        import numpy as np

        return from_stored(np.frombuffer(self.content, ">i2"))[0].reshape(self.shape)


def to_stored(pixels: NDArray[np.uint16]) -> tuple[memoryview, int]:
    """The bytes of a frame in a file, and their FITS checksum as if they were padded with zeros to whole words."""
    import numpy as np

    flat = np.ascontiguousarray(pixels, dtype=np.uint16).reshape(-1)
    # In one large array: with many small ones pages cost several times as much.
    stored = np.empty(flat.size, ">u2")

    def work(first: int, end: int) -> int:
        room, total = np.empty(min(_PIECE, end - first), np.uint16), 0
        for start in range(first, end, _PIECE):
            stop = min(start + _PIECE, end)
            piece = np.bitwise_xor(flat[start:stop], np.uint16(_SIGN), out=room[: stop - start])
            total += _sum(piece)
            # An assignment swaps bytes several times as fast as `byteswap` does.
            stored[start:stop] = piece
        return total

    total = _halved(work, flat.size)
    return memoryview(cast(Any, stored.view(np.uint8))), fold(total)


def from_stored(stored: NDArray[Any], *, in_place: bool = False) -> tuple[NDArray[np.uint16], int]:
    """Pixels in native order of what a file has, and its FITS checksum as if it were padded with zeros to whole words.

    `in_place` the pixels take the room of what they are made of.
    """
    import numpy as np

    big_endian: NDArray[np.uint16] = stored.view(np.dtype(">u2"))
    pixels: NDArray[np.uint16] = stored.view(np.uint16) if in_place else np.empty(stored.size, np.uint16)

    def work(first: int, end: int) -> int:
        total = 0
        for start in range(first, end, _PIECE):
            piece = pixels[start : min(start + _PIECE, end)]
            piece[:] = big_endian[start : min(start + _PIECE, end)]
            total += _sum(piece)
            np.bitwise_xor(piece, np.uint16(_SIGN), out=piece)
        return total

    return pixels, fold(_halved(work, pixels.size))


def _halved(work: Callable[[int, int], int], size: int) -> int:
    """Add up what `work` gives for the two halves of a large frame, at once on two cores."""
    if size < _LARGE:
        return work(0, size)
    middle = size // 2 // _PIECE * _PIECE
    with ThreadPoolExecutor(1, thread_name_prefix="pytel-pixels") as other:
        second = other.submit(work, middle, size)
        return work(0, middle) + second.result()


def _sum(piece: NDArray[np.uint16]) -> int:
    """Add up pairs of 16-bit numbers in native order as 32-bit words, the first of a pair being the high half."""
    import sys

    import numpy as np

    even = piece.size // 2 * 2
    total = int(piece[:even].view(np.uint32).sum(dtype=np.uint64))
    if sys.byteorder == "little":
        # Halves change places by a turn of 16 bits, which ones' complement takes as a factor.
        total <<= 16
    return total + (int(piece[-1]) << 16 if piece.size > even else 0)
