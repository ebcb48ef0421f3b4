"""Where the pixels of a plain FITS image lie in its file, and what their numbers mean (FITS 4.0, 4.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.base.errors import PytelError
from pytel.imaging.cards import BLOCK, CARD
from pytel.imaging.cardtext import Card, parse_card_images
from pytel.imaging.stored import from_stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PIXELS = 2**28
_LONGEST_HEADER = 512 * BLOCK
_BITPIX = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


class ImageError(PytelError):
    """The file is no image that can be read; the message says which file and why."""


class Layout(NamedTuple):
    """Where the pixels of a plain image lie in its file, and how they are to be read."""

    cards: list[Card]
    shape: tuple[int, int]
    form: str
    start: int
    scale: float
    zero: float
    blank: int | None

    @property
    def is_camera_frame(self) -> bool:
        """Whether its pixels are unsigned 16-bit numbers, as FITS keeps them."""
        return (self.form, self.scale, self.zero, self.blank) == (">i2", 1, 32768, None)


def plain_layout(read: Callable[[int, int], bytes], size: int) -> Layout | None:
    """Read the header of an image in the primary unit; None when the image is elsewhere, as in a compressed file.

    `read(start, size)` gives bytes of the file. Raises `ImageError` for what is no FITS file or is cut short.
    """
    header = _header_bytes(read)
    cards = parse_card_images(header)
    values: dict[str, Any] = {card.keyword: card.value for card in reversed(cards)}
    if values.get("NAXIS") != 2:
        return None
    return _layout(cards, values, len(header), size)


def _layout(cards: list[Card], values: dict[str, Any], start: int, size: int) -> Layout:
    columns, rows, bitpix = (_integer(values.get(keyword)) for keyword in ("NAXIS1", "NAXIS2", "BITPIX"))
    if not (columns > 0 and rows > 0 and columns * rows <= MOST_PIXELS and bitpix in _BITPIX):
        raise ImageError("its header tells of no image that can be read")
    scale, zero = values.get("BSCALE", 1), values.get("BZERO", 0)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in (scale, zero)):
        raise ImageError("its BSCALE and BZERO are no numbers")
    if start + columns * rows * abs(bitpix) // 8 > size:
        raise ImageError("it is cut short")
    blank = values.get("BLANK")
    blank = None if blank is None else _integer(blank)
    return Layout(cards, (rows, columns), _BITPIX[bitpix], start, scale, zero, blank)


def _integer(value: Any) -> int:
    """The number of a card, 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _header_bytes(read: Callable[[int, int], bytes]) -> bytes:
    header = b""
    while len(header) < _LONGEST_HEADER:
        block = read(len(header), BLOCK)
        if not (header or block.startswith(b"SIMPLE  =")):
            raise ImageError("it does not begin as a FITS file does")
        if len(block) < BLOCK:
            raise ImageError("its header is cut short")
        header += block
        if any(block[place : place + CARD] == b"END".ljust(CARD) for place in range(0, BLOCK, CARD)):
            return header
    raise ImageError("its header has no end")


def physical(stored: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Bring stored values to native byte order and their physical scale (FITS 4.0, 4.4.2.5)."""
    import numpy as np

    if layout.is_camera_frame:
        return from_stored(stored)[0]
    native = stored.astype(stored.dtype.newbyteorder("="))
    if (layout.scale, layout.zero) == (1, 0) and (layout.blank is None or layout.form in (">f4", ">f8")):
        return native
    scaled = native.astype(np.float64) * layout.scale + layout.zero
    return scaled if layout.blank is None else np.where(native == layout.blank, np.nan, scaled)
