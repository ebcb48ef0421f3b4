"""ASCOM's ImageBytes, version 1: 44 bytes of metadata, then the pixels (Alpaca ImageBytes, sections 2 and 3).

All numbers are little-endian. The first index is that of the column, the last changes fastest. Errors are told in JSON,
which every client understands, whatever it has asked for.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEDIA_TYPE = "application/imagebytes"
HEAD = struct.Struct("<iiIIiiiiiii")
INT32 = 2
"""What a client makes of the pixels, by the interface of cameras."""
_SENT_AS = {"u1": 6, "i2": 1, "u2": 8, "i4": 2, "u4": 9, "f4": 4, "f8": 3}


class Transaction(NamedTuple):
    """The numbers that the two sides give a request."""

    client: int
    server: int


def head_of(columns: NDArray[Any], transaction: Transaction) -> bytes:
    """The metadata of an image (columns, rows) that is sent as it is in memory. Raises `KeyError` for other types."""
    sent_as = _SENT_AS[columns.dtype.str[1:]]
    width, height = columns.shape
    return HEAD.pack(1, 0, *transaction, HEAD.size, INT32, sent_as, 2, width, height, 0)
