"""FITS files of camera frames: written whole or not at all, the same bytes for the same frame, and read with care."""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.base.errors import InvalidParams
from pytel.imaging.cards import BLOCK, CARD, images_of
from pytel.imaging.checksums import fold, stamp, sum32
from pytel.imaging.hashed import Chunk, Written, write_hashed
from pytel.imaging.headers import CardValue, HeaderCard, card, utc_text, validate_card
from pytel.imaging.layout import MOST_PIXELS, ImageError, Layout, physical, plain_layout
from pytel.imaging.stored import StoredFrame, from_stored, to_stored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "ImageError",
    "Written",
    "first_image",
    "parse_fits",
    "read_fits",
    "read_header",
    "render_fits",
    "write_fits",
]

Content = bytes | bytearray | mmap.mmap
_TILE_ROWS = 64
_LARGEST_FILE = 2**32


def write_fits(
    path: Path,
    pixels: NDArray[np.uint16] | StoredFrame,
    cards: Mapping[str, HeaderCard],
    *,
    compress: bool = False,
    created: datetime,
) -> Written:
    """Write a frame of shape (rows, columns) as FITS, or Rice-compressed as an extension (`.fits.fz`).

    The file carries CHECKSUM and DATASUM and depends on nothing but the arguments; `created` (aware) becomes DATE.
    It is synced, sealed (`pytel.base.seals`) and appears under its name only when complete. Raises `InvalidParams` for
    a wrong frame or card, `StorageFull` when the disk is full.
    """
    return write_hashed(path, render_fits(pixels, cards, compress=compress, created=created))


def render_fits(
    pixels: NDArray[np.uint16] | StoredFrame,
    cards: Mapping[str, HeaderCard],
    *,
    compress: bool = False,
    created: datetime,
) -> list[Chunk]:
    """Make the bytes of a FITS file, in pieces; see `write_fits`."""
    checked = {keyword: validate_card(keyword, given) for keyword, given in cards.items()}
    checked["DATE"] = card("DATE", utc_text(created))
    if isinstance(pixels, StoredFrame):
        return _render_compressed(pixels.pixels(), checked) if compress else _render_stored(pixels, checked)
    if pixels.ndim != 2 or pixels.dtype.kind != "u" or pixels.dtype.itemsize != 2 or 0 in pixels.shape:
        raise InvalidParams(f"a frame has two axes of 16-bit unsigned pixels, not {pixels.dtype} {pixels.shape}")
    return _render_compressed(pixels, checked) if compress else _render_plain(pixels, checked)


def _render_plain(pixels: NDArray[np.uint16], cards: dict[str, HeaderCard]) -> list[Chunk]:
    data, total = to_stored(pixels)
    return _with_header(data, pixels.shape, total, cards)


def _render_stored(frame: StoredFrame, cards: dict[str, HeaderCard]) -> list[Chunk]:
    data = frame.content.cast("B")
    whole = len(data) // 4 * 4
    rest = bytes(data[whole:])
    total = sum32(data[:whole]) + (sum32(rest.ljust(4, b"\0")) if rest else 0)
    return _with_header(data, frame.shape, fold(total), cards)


def _with_header(data: memoryview, shape: tuple[int, ...], total: int, cards: dict[str, HeaderCard]) -> list[Chunk]:
    header = stamp(images_of(_structure(shape) | cards), total)
    return [header, data, bytes(-len(data) % BLOCK)]


def _structure(shape: tuple[int, ...]) -> dict[str, HeaderCard]:
    rows, columns = shape
    return {
        "SIMPLE": HeaderCard(True, "FITS standard 4.0"),
        "BITPIX": HeaderCard(16, "bits of a pixel"),
        "NAXIS": HeaderCard(2, "number of axes"),
        "NAXIS1": HeaderCard(columns, "columns"),
        "NAXIS2": HeaderCard(rows, "rows"),
        "BSCALE": HeaderCard(1, "pixels are unsigned 16-bit numbers"),
        "BZERO": HeaderCard(32768, "pixels are unsigned 16-bit numbers"),
    }


def _render_compressed(pixels: NDArray[np.uint16], cards: dict[str, HeaderCard]) -> list[Chunk]:
    import numpy as np
    from astropy.io import fits

    header = fits.Header.fromstring("".join(images_of(cards)))
    rows, columns = pixels.shape
    native = np.ascontiguousarray(pixels, dtype=np.uint16)
    tile = (min(_TILE_ROWS, rows), columns)
    extension = fits.CompImageHDU(native, header, compression_type="RICE_1", tile_shape=tile, uint=True)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), extension]).writeto(buffer, output_verify="exception")
    return _stamp_units(buffer.getvalue())


def _stamp_units(content: bytes) -> list[Chunk]:
    """Give each header-data unit of a file its checksums."""
    from astropy.io import fits

    stamped: list[Chunk] = []
    with fits.open(io.BytesIO(content), disable_image_compression=True) as units:
        places = [unit.fileinfo() for unit in units]
    for place in places:
        data = memoryview(content)[place["datLoc"] : place["datLoc"] + place["datSpan"]]
        images = _split_cards(content[place["hdrLoc"] : place["datLoc"]].decode("ascii"))
        stamped += [stamp(images, sum32(data)), data]
    return stamped


def _split_cards(header: str) -> list[str]:
    images = [header[start : start + CARD] for start in range(0, len(header), CARD)]
    return images[: images.index("END".ljust(CARD))]


def read_fits(path: Path, *, checked: bool = False) -> tuple[NDArray[Any], dict[str, CardValue]]:
    """Read the first image of a FITS file, compressed or not: pixels (rows, columns) and header values.

    Unsigned 16-bit frames come as uint16. Checksums are verified where the file has them, unless the caller has
    `checked` the bytes. Raises `ImageError` for what is no complete image of at most 2**28 pixels, whatever its
    bytes are.
    """
    if not path.is_file():
        raise ImageError(f"{path} is not there", path=str(path))
    if path.stat().st_size > _LARGEST_FILE:
        raise ImageError(f"{path} is larger than any frame", path=str(path))
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return parse_fits(content, checked=checked)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {error}", path=str(path)) from error
    except ImageError as error:
        raise ImageError(f"{path} cannot be read: {error.message}", path=str(path)) from error


def read_header(path: Path) -> dict[str, CardValue]:
    """Read the header of the first image of a FITS file, and nothing of its pixels. Raises `ImageError`."""
    from astropy.io import fits

    try:
        with fits.open(path, disable_image_compression=True, lazy_load_hdus=True, memmap=True) as units:
            return dict(_values(units[first_image(units)].header))
    except ImageError as error:
        raise ImageError(f"{path} cannot be read: {error.message}", path=str(path)) from error
    except Exception as error:
        raise ImageError(f"{path} is no valid FITS image ({type(error).__name__}: {error})", path=str(path)) from error


def parse_fits(
    content: Content, *, checked: bool = False, spent: bool = False
) -> tuple[NDArray[Any], dict[str, CardValue]]:
    """Read the bytes of a FITS file; see `read_fits`. Those that are `spent` may become the pixels."""
    try:
        layout = plain_layout(lambda start, size: bytes(content[start : start + size]), len(content))
        return _parse(bytes(content)) if layout is None else _parse_plain(content, layout, checked, spent)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("it asks for more memory than there is") from error
    except Exception as error:
        raise ImageError(f"it is no valid FITS image ({type(error).__name__}: {error})") from error


def _parse_plain(
    content: Content, layout: Layout, checked: bool, spent: bool
) -> tuple[NDArray[Any], dict[str, CardValue]]:
    """Read an image in the primary unit without astropy, in one pass over its bytes."""
    import numpy as np

    header = {card.keyword: card.value for card in layout.cards if card.keyword not in _LEFT_OUT}
    rows, columns = layout.shape
    stored = np.frombuffer(content, layout.form, rows * columns, layout.start)
    end = layout.start + -(-stored.nbytes // BLOCK) * BLOCK
    if end > len(content):
        raise ImageError(f"it is cut short: {end - len(content)} bytes are missing")
    in_place = spent and stored.flags.writeable
    if layout.is_camera_frame:
        pixels, total = from_stored(stored, in_place=in_place)
        total = _sum_with(content, layout.start, layout.start + stored.nbytes, end, total)
    else:
        pixels, total = physical(stored, layout), sum32(memoryview(content)[:end])
    if not checked and "CHECKSUM" in header and total not in (0, 0xFFFFFFFF):
        raise ImageError("its checksum is wrong: the bytes were changed after it was written")
    return pixels.reshape(rows, columns), header


def _sum_with(content: Content, start: int, stop: int, end: int, total: int) -> int:
    """The checksum of a unit from that of its pixels, which lie between `start` and `stop`."""
    view = memoryview(content)
    padding = bytes((stop - start) % 4) + bytes(view[stop:end])
    return fold(sum32(view[:start]) + total + (sum32(padding) if padding else 0))


def _parse(content: bytes) -> tuple[NDArray[Any], dict[str, CardValue]]:
    import numpy as np
    from astropy.io import fits

    if not content.startswith(b"SIMPLE  ="):
        raise ImageError("it does not begin as a FITS file does")
    with fits.open(io.BytesIO(content), disable_image_compression=True, lazy_load_hdus=True) as raw:
        number = first_image(raw)
        _check_unit(raw[number], content)
    with fits.open(io.BytesIO(content), uint=True) as units:
        unit = units[number]
        header = dict(_values(unit.header))
        pixels = np.asarray(unit.data)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False), header


def first_image(units: Any) -> int:
    """The number of the first unit with an image, among astropy's raw units. Raises `ImageError`."""
    for number in range(8):
        try:
            header = units[number].header
        except IndexError:
            break
        if header.get("ZIMAGE") is True or (header["NAXIS"] == 2 and header.get("XTENSION", "IMAGE") == "IMAGE"):
            return number
    raise ImageError("it has no image of two axes")


def _check_unit(unit: Any, content: bytes) -> None:
    """Refuse what is cut short, changed, or would grow beyond measure when unpacked."""
    header = unit.header
    prefix = "Z" if header.get("ZIMAGE") is True else ""
    if header[f"{prefix}NAXIS"] != 2:
        raise ImageError("it has no image of two axes")
    columns, rows = header[f"{prefix}NAXIS1"], header[f"{prefix}NAXIS2"]
    if not (columns > 0 and rows > 0 and columns * rows <= MOST_PIXELS):
        raise ImageError(f"an image of {columns} x {rows} pixels is none that can be read")
    place = unit.fileinfo()
    end = place["datLoc"] + place["datSpan"]
    if end > len(content):
        raise ImageError(f"it is cut short: {end - len(content)} bytes are missing")
    if "CHECKSUM" in header and sum32(memoryview(content)[place["hdrLoc"] : end]) not in (0, 0xFFFFFFFF):
        raise ImageError("its checksum is wrong: the bytes were changed after it was written")


_LEFT_OUT = frozenset({"COMMENT", "HISTORY", ""})


def _values(header: Any) -> list[tuple[str, CardValue]]:
    from astropy.io.fits.card import Undefined

    kept = [entry for entry in header.cards if entry.keyword not in _LEFT_OUT]
    return [(entry.keyword, None if isinstance(entry.value, Undefined) else entry.value) for entry in kept]
