"""An image of a camera on its way to a client of Alpaca."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pytel.base.threads import in_thread
from pytel.gateway.alpaca.imagebytes import HEAD, INT32, Transaction, head_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.gateway.alpaca.site import AlpacaSite
    from pytel.interfaces.images import ImageRef

PIECE = 1 << 18


class Picture:
    """Pixels by column from the left, in each from the top; and the values of the header."""

    def __init__(self, ref: ImageRef, columns: NDArray[Any], header: Mapping[str, Any]) -> None:
        self.ref, self.columns, self.header = ref, columns, header

    @classmethod
    async def read(cls, site: AlpacaSite, ref: ImageRef) -> Picture:
        """Fetch an image from its store. Raises what the store raises."""
        image = await site.read_image(ref)
        return cls(ref, await in_thread(_columns, image.pixels), image.header)

    def size(self) -> int:
        """Bytes as ImageBytes."""
        return HEAD.size + int(self.columns.nbytes)

    async def as_bytes(self, transaction: Transaction) -> AsyncIterator[bytes]:
        """The image as ImageBytes."""
        yield head_of(self.columns, transaction)
        content = self.columns.data.cast("B")
        for start in range(0, len(content), PIECE):
            yield bytes(content[start : start + PIECE])

    async def as_json(self, envelope: dict[str, Any]) -> AsyncIterator[bytes]:
        """The image as JSON, a column at a time: all of it at once would need a gigabyte."""
        yield b'{"Type":%d,"Rank":2,' % INT32 + msgspec.json.encode(envelope)[1:-1] + b',"Value":['
        for position, column in enumerate(self.columns):
            yield (b"," if position else b"") + msgspec.json.encode(column.tolist())
        yield b"]}"


def _columns(pixels: NDArray[Any]) -> NDArray[Any]:
    """Our rows begin at the bottom, ASCOM's at the top. In the computer's byte order, which is ImageBytes' too."""
    import numpy as np

    native = pixels.dtype.newbyteorder("<")
    return np.ascontiguousarray(pixels[::-1].T.astype(native, copy=False))
