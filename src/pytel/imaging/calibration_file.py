"""Calibrated frames and masters as FITS files: 32-bit floating point pixels, followed by tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.base.errors import InvalidParams
from pytel.base.files import write_atomically
from pytel.imaging.cards import BLOCK, images_of
from pytel.imaging.checksums import stamp, sum32
from pytel.imaging.fits import Written
from pytel.imaging.headers import HeaderCard, card, utc_text, validate_card

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FORMS = {"f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K"}


class Column(NamedTuple):
    """A column of a table: name, unit ("" for none) and values."""

    name: str
    unit: str
    values: NDArray[Any]


def write_calibrated(
    path: Path,
    pixels: NDArray[np.float32],
    cards: Mapping[str, HeaderCard],
    tables: Mapping[str, Sequence[Column]],
    *,
    created: datetime,
) -> Written:
    """Write pixels (rows, columns) and binary tables by extension name, each part with CHECKSUM and DATASUM.

    The file depends on nothing but the arguments and appears complete or not at all. Raises `InvalidParams` for
    what is no frame or a wrong card, `StorageFull`.
    """
    chunks = render_calibrated(pixels, cards, tables, created=created)
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    write_atomically(path, chunks)
    return Written(sum(map(len, chunks)), digest.hexdigest())


def render_calibrated(
    pixels: NDArray[np.float32],
    cards: Mapping[str, HeaderCard],
    tables: Mapping[str, Sequence[Column]],
    *,
    created: datetime,
) -> list[bytes | memoryview]:
    """Make the bytes of the file, in pieces."""
    if pixels.ndim != 2 or pixels.dtype.kind != "f" or pixels.dtype.itemsize != 4:
        raise InvalidParams(f"a calibrated frame has two axes of 32-bit floats, not {pixels.dtype} {pixels.shape}")
    checked = {keyword: validate_card(keyword, given) for keyword, given in cards.items()}
    checked["DATE"] = card("DATE", utc_text(created))
    rows, columns = pixels.shape
    structure = {
        "SIMPLE": HeaderCard(True, "FITS standard 4.0"),
        "BITPIX": HeaderCard(-32, "bits of a pixel"),
        "NAXIS": HeaderCard(2, "number of axes"),
        "NAXIS1": HeaderCard(columns, "columns"),
        "NAXIS2": HeaderCard(rows, "rows"),
        "EXTEND": HeaderCard(True, "tables may follow"),
    }
    chunks = _unit(structure | checked, memoryview(pixels.astype(">f4").reshape(-1).view("u1")))  # type: ignore[arg-type]
    for name, table in tables.items():
        chunks += _table(name, table)
    return chunks


def _unit(cards: Mapping[str, HeaderCard], data: memoryview | bytes) -> list[bytes | memoryview]:
    padding = bytes(-len(data) % BLOCK)
    whole = len(data) // 4 * 4
    total = sum32(memoryview(data)[:whole])
    rest = bytes(memoryview(data)[whole:])
    if rest:
        total = _carried(total + sum32(rest + bytes(-len(rest) % 4)))
    return [stamp(images_of(cards), total), data, padding]


def _carried(total: int) -> int:
    from pytel.imaging.checksums import fold

    return fold(total)


def _table(name: str, columns: Sequence[Column]) -> list[bytes | memoryview]:
    """A binary table (FITS 4.0, 7.3)."""
    import numpy as np

    length = len(columns[0].values) if columns else 0
    forms = [(column.name, column.values.dtype.newbyteorder(">")) for column in columns]
    data = np.empty(length, dtype=forms)
    for column in columns:
        data[column.name] = column.values
    cards: dict[str, HeaderCard] = {
        "XTENSION": HeaderCard("BINTABLE", "binary table"),
        "BITPIX": HeaderCard(8, "bytes"),
        "NAXIS": HeaderCard(2, "number of axes"),
        "NAXIS1": HeaderCard(data.dtype.itemsize, "bytes of a row"),
        "NAXIS2": HeaderCard(length, "rows"),
        "PCOUNT": HeaderCard(0, "no bytes beside the table"),
        "GCOUNT": HeaderCard(1, "one group"),
        "TFIELDS": HeaderCard(len(columns), "columns"),
        "EXTNAME": HeaderCard(name, "name of this table"),
    }
    for number, column in enumerate(columns, 1):
        cards[f"TTYPE{number}"] = HeaderCard(column.name)
        cards[f"TFORM{number}"] = HeaderCard(_FORMS[column.values.dtype.str[1:]])
        if column.unit:
            cards[f"TUNIT{number}"] = HeaderCard(column.unit)
    return _unit(cards, data.tobytes())
