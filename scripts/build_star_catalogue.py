"""Build the bundled star catalogue out of astrometry.net's Tycho-2 index, byte for byte the same every time.

    apt-get install astrometry-data-tycho2-07-littleendian
    python scripts/build_star_catalogue.py /usr/share/astrometry/index-tycho2-07.littleendian.fits

The index holds a kd-tree of all its stars (unit vectors as scaled integers) and their V_T magnitudes.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.sky.packed import packed
from pytel.sky.sphere import separation

Array = NDArray[np.float64]
DATA = Path(__file__).parents[1] / "src/pytel/sky/data/tycho2.bin"


def main() -> None:
    """Read the index named on the command line and write the packed catalogue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="index-tycho2-07.littleendian.fits")
    parser.add_argument("--out", type=Path, default=DATA, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    ra, dec, mag = with_bright_stars(*read_index(arguments.index))
    content = packed(ra, dec, mag)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(content)
    print(f"{len(ra)} stars, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def read_index(path: Path) -> tuple[Array, Array, Array]:
    """Read (ra, dec, mag) of all stars of an astrometry.net index; degrees."""
    from astropy.io import fits

    with fits.open(path) as index:
        tables = {hdu.columns.names[0]: hdu.data for hdu in index[1:] if hdu.columns.names[0] in _TABLES}
        scaling = _raw(tables["kdtree_range_stars"], "<f8")
        integers = _raw(tables["kdtree_data_stars"], "<u4").reshape(-1, 3)
        mag = np.asarray(tables["MAG_VT"]["MAG_VT"], dtype=np.float64)
    x, y, z = (scaling[:3] + integers / scaling[6]).T
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y))), mag


_TABLES = ("kdtree_range_stars", "kdtree_data_stars", "MAG_VT")


def _raw(table: Any, dtype: str) -> NDArray[Any]:
    return np.frombuffer(table.tobytes(), dtype=dtype)


# Naked-eye stars that the index is known to lack: name, ICRS place at J2000 (degrees), V.
BRIGHT_STARS = (
    ("Sirius", 101.28716, -16.71612, -1.46),
    ("Canopus", 95.98796, -52.69566, -0.74),
    ("Vega", 279.23473, 38.78369, 0.03),
    ("Polaris", 37.95456, 89.26411, 1.98),
    ("Alcyone", 56.87115, 24.10514, 2.87),
)


def with_bright_stars(ra: Array, dec: Array, mag: Array) -> tuple[Array, Array, Array]:
    """Add `BRIGHT_STARS`; stops if the index has one of them after all."""
    for name, star_ra, star_dec, _ in BRIGHT_STARS:
        if np.any((separation(ra, dec, star_ra, star_dec) < 10 / 3600) & (mag < 5.0)):
            raise SystemExit(f"{name} is in the index already: take it off the list")
    added = np.array([star[1:] for star in BRIGHT_STARS]).T
    return np.append(ra, added[0]), np.append(dec, added[1]), np.append(mag, added[2])


if __name__ == "__main__":
    main()
