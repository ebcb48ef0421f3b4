"""FITS images read piece by piece: header and bands of rows, never more of a file in memory than asked for.

with open_frame(path) as frame:
    frame.cards, frame.shape, frame.rows(0, 256)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.imaging.cardtext import Card
from pytel.imaging.layout import MOST_PIXELS, ImageError, Layout, physical, plain_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """An open image. `rows(first, end)` gives values in their physical scale: uint16 for a camera's frame."""

    cards: list[Card]
    shape: tuple[int, int]
    rows: Callable[[int, int], NDArray[Any]]


@contextlib.contextmanager
def open_frame(path: Path) -> Iterator[Frame]:
    """Open the first image of a FITS file, plain or compressed; blocking. Raises `ImageError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror}", path=str(path)) from error
    with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as file:
        layout = plain_layout(lambda start, size: os.pread(descriptor, size, start), os.fstat(file.fileno()).st_size)
        if layout is not None:
            plain = layout
            yield Frame(plain.cards, plain.shape, lambda first, end: _plain_rows(descriptor, plain, first, end))
        else:
            with _astropy_frame(path) as frame:
                yield frame


def _plain_rows(descriptor: int, layout: Layout, first: int, end: int) -> NDArray[Any]:
    import numpy as np

    columns = layout.shape[1]
    width = columns * np.dtype(layout.form).itemsize
    stored = os.pread(descriptor, (end - first) * width, layout.start + first * width)
    if len(stored) != (end - first) * width:
        raise ImageError("it is cut short")
    return physical(np.frombuffer(stored, layout.form), layout).reshape(end - first, columns)


@contextlib.contextmanager
def _astropy_frame(path: Path) -> Iterator[Frame]:
    """Let astropy read what is compressed or lies in an extension, tile by tile."""
    from astropy.io import fits

    from pytel.imaging.fits import first_image

    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            with fits.open(file, disable_image_compression=True, lazy_load_hdus=True, mode="readonly") as raw:
                number = first_image(raw)
            file = stack.enter_context(path.open("rb"))
            unit = stack.enter_context(fits.open(file, uint=True, lazy_load_hdus=True, mode="readonly"))[number]
            shape = (int(unit.shape[0]), int(unit.shape[1]))
            cards = [Card(card.keyword, _plain_value(card.value), card.comment) for card in unit.header.cards]
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(f"it is no valid FITS image ({type(error).__name__})") from error
        if shape[0] * shape[1] > MOST_PIXELS:
            raise ImageError(f"an image of {shape[1]} x {shape[0]} pixels is none that can be read")
        yield Frame(cards, shape, lambda first, end: _section(unit, first, end))


def _plain_value(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool) else None


def _section(unit: Any, first: int, end: int) -> NDArray[Any]:
    import numpy as np

    try:
        band = np.asarray(unit.section[first:end, :])
    except Exception as error:
        raise ImageError(f"its pixels cannot be unpacked ({type(error).__name__})") from error
    return band.astype(band.dtype.newbyteorder("="), copy=False)
