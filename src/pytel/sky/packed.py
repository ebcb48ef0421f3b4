"""Packed star catalogues, the bundled one and a site's own: five bytes a star, sorted by cell.

It is read whole, so that the memory of a process does not grow with the fields it has seen.

Layout (little-endian): a magic of 8 bytes; the number of stars (uint32); the number of stars in each cell (uint16,
padded to 4 bytes); then for all stars the low 32 bits, and after those the high 8 bits, of a 40-bit number. From its
top: 10 bits of magnitude (0.02 mag steps from -2), 15 bits of declination and 15 of right ascension inside the cell
(steps below 0.1 arcsec).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import ConfigError, InvalidParams
from pytel.sky.cells import COUNTS, FIRST, HEIGHT, cell_of, zone_of

Array = NDArray[np.float64]

MAGIC = b"PYTELST1"
STEPS = 1 << 15
BRIGHTEST = -2.0
MAG_STEP = 0.02
_LEVELS = 1 << 10
_MOST_IN_CELL = (1 << 16) - 1
_REMEDY = "pack it again with `pytel catalogue pack`, or if it came with pytel, install that again"
_HEADER = len(MAGIC) + 4
_BODY = _HEADER + 4 * -(-int(FIRST[-1]) // 2)


class Packed(NamedTuple):
    """An opened catalogue: where each cell's stars begin, and their packed halves."""

    starts: NDArray[np.int64]
    low: NDArray[np.uint32]
    high: NDArray[np.uint8]


@functools.cache
def bundled() -> Packed:
    """The catalogue that comes with pytel, opened once for each process."""
    return opened(Path(__file__).parent / "data" / "tycho2.bin")


def opened(path: Path) -> Packed:
    """Open a packed catalogue. Raises `ConfigError` if the file is missing, cut off or something else."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the star catalogue {path} cannot be read ({error}): {_REMEDY}") from error
    count = int.from_bytes(bytes(data[len(MAGIC) : _HEADER]), "little")
    if bytes(data[: len(MAGIC)]) != MAGIC or data.size != _BODY + 5 * count:
        raise ConfigError(f"{path} is no star catalogue of pytel or is cut off: {_REMEDY}")
    per_cell = np.frombuffer(bytes(data[_HEADER:_BODY]), dtype="<u2", count=int(FIRST[-1]))
    return Packed(
        starts=np.concatenate([[0], np.cumsum(per_cell, dtype=np.int64)]),
        low=np.frombuffer(data, dtype="<u4", count=count, offset=_BODY),
        high=np.frombuffer(data, dtype=np.uint8, count=count, offset=_BODY + 4 * count),
    )


def unpacked(catalogue: Packed, first: int, stop: int, limit: float) -> tuple[Array, Array, NDArray[np.float32]]:
    """Stars brighter than `limit` of the cells `first` to `stop` - 1: (ra, dec, mag); only those are expanded."""
    start, end = catalogue.starts[first], catalogue.starts[stop]
    # The top ten bits are the magnitude: most stars are left out before anything is computed.
    levels = (catalogue.high[start:end].astype(np.uint16) << 2) | (catalogue.low[start:end] >> 30).astype(np.uint16)
    kept = np.flatnonzero(_magnitude(levels) < limit)
    low = catalogue.low[start:end][kept]
    cells = np.searchsorted(catalogue.starts[first : stop + 1], start + kept, side="right") - 1 + first
    zones = zone_of(cells)
    width = 360.0 / COUNTS[zones]
    ra = (cells - FIRST[zones] + ((low & (STEPS - 1)) + 0.5) / STEPS) * width
    dec = (zones + (((low >> 15) & (STEPS - 1)) + 0.5) / STEPS) * HEIGHT - 90.0
    return ra, dec, _magnitude(levels[kept])


def _magnitude(levels: NDArray[Any]) -> NDArray[np.float32]:
    return (BRIGHTEST + MAG_STEP * levels).astype(np.float32)


def packed(ra: Array, dec: Array, mag: Array) -> bytes:
    """Pack stars (degrees, magnitudes) into the bytes of a catalogue; the order of the stars does not matter.

    Raises `InvalidParams` when more than 65,535 stars share one of the cells (0.8 square degrees).
    """
    cells = cell_of(ra, dec)
    zones = zone_of(cells)
    along = _step(ra / 360.0 * COUNTS[zones] - (cells - FIRST[zones]), STEPS)
    up = _step((dec + 90.0) / HEIGHT - zones, STEPS)
    level = np.clip(np.rint((mag - BRIGHTEST) / MAG_STEP), 0, _LEVELS - 1).astype(np.int64)
    words = (level << 30) | (up << 15) | along
    order = np.lexsort((words, cells))
    words = words[order]
    counts = np.bincount(cells, minlength=int(FIRST[-1]))
    if counts.max() > _MOST_IN_CELL:
        raise InvalidParams(f"{counts.max()} stars in 0.8 square degrees are too many: pack brighter ones only")
    per_cell = counts.astype("<u2").tobytes()
    header = MAGIC + len(words).to_bytes(4, "little") + per_cell.ljust(_BODY - _HEADER, b"\0")
    return header + (words & 0xFFFFFFFF).astype("<u4").tobytes() + (words >> 32).astype(np.uint8).tobytes()


def _step(fraction: Array, steps: int) -> NDArray[np.int64]:
    return np.clip(np.floor(fraction * steps), 0, steps - 1).astype(np.int64)
