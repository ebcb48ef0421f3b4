"""Packs a table of stars, such as a part of Gaia, into a catalogue that plates are solved with."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.sky.packed import packed

Columns = list[NDArray[np.float64]]


def pack_table(table: Path, out: Path, ra: str, dec: str, mag: str) -> str:
    """Pack a table and say how many stars it had. Raises `ConfigError` for a table that cannot be used."""
    names = (ra, dec, mag)
    try:
        columns = _of_fits(table, names) if _is_fits(table) else _of_csv(table, names)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table} cannot be read as a table of stars: {error}") from error
    whole = np.isfinite(columns[0]) & np.isfinite(columns[1]) & np.isfinite(columns[2])
    right, declination, magnitude = (column[whole] for column in columns)
    if not len(right) or np.abs(declination).max() > 90 or right.min() < 0 or right.max() > 360:
        raise ConfigError(f"{table}: columns {ra} and {dec} hold no places in degrees (0 to 360, -90 to 90)")
    content = packed(right % 360.0, declination, magnitude)
    write_atomically(out, [content])
    left = len(whole) - len(right)
    missing = f" ({left} without place or magnitude left out)" if left else ""
    return f"{len(right)} stars{missing} to magnitude {magnitude.max():.1f}, {len(content) / 1e6:.1f} MB: {out}"


def gsc_lines(centre: tuple[float, float], radius: float, mag: tuple[float, float], most: int) -> str:
    """Stars of a field (arcminutes), bright ones first, as the program `gsc` of the CDS prints them."""
    from pytel.sky.catalogue import cone
    from pytel.sky.sphere import separation

    ra, dec = centre[0] % 360.0, min(90.0, max(-90.0, centre[1]))
    stars = cone(ra, dec, radius / 60.0, mag[1])
    stars = stars[stars.mag >= mag[0]][:most]
    distances = separation(ra, dec, stars.ra, stars.dec) * 60.0
    rows = zip(stars.ra, stars.dec, stars.mag, distances, strict=True)
    return "".join(
        f"{number:010d} {star_ra:10.6f} {star_dec:+10.6f}  0.2 {star_mag:5.2f} 0.40 0 0 A000 .. {distance:6.2f}   0\n"
        for number, (star_ra, star_dec, star_mag, distance) in enumerate(rows)
    )


def _is_fits(table: Path) -> bool:
    with table.open("rb") as file:
        return file.read(6) == b"SIMPLE"


def _of_csv(table: Path, names: tuple[str, ...]) -> Columns:
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(line for line in file if not line.startswith("#"))
        places = _places(next(rows, []), names, table)
        try:
            numbers = [[float(row[place] or "nan") for place in places] for row in rows if row]
        except (ValueError, IndexError) as error:
            raise ConfigError(f"{table}, line {rows.line_num}: {error}") from error
    return list(np.array(numbers, dtype=np.float64).reshape(-1, len(names)).T)


def _of_fits(table: Path, names: tuple[str, ...]) -> Columns:
    from astropy.io import fits

    with fits.open(table) as units:
        if len(units) < 2 or not isinstance(units[1], fits.BinTableHDU):
            raise ConfigError(f"{table} has no table in its first extension")
        places = _places(units[1].columns.names, names, table)
        return [np.asarray(units[1].data.field(place), dtype=np.float64) for place in places]


def _places(header: list[str], names: tuple[str, ...], table: Path) -> list[int]:
    known = [column.strip().lower() for column in header]
    missing = [name for name in names if name.lower() not in known]
    if missing:
        raise ConfigError(f"{table} has no column {missing[0]}; it has {', '.join(header) or 'none'}")
    return [known.index(name.lower()) for name in names]
