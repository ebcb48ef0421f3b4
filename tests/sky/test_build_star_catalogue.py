"""The script that builds the catalogue, on a made-up index of three stars."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytel.sky.cells import FIRST
from pytel.sky.packed import opened, unpacked
from pytel.sky.sphere import separation

SCRIPT = Path(__file__).parents[2] / "scripts/build_star_catalogue.py"


def write_index(path: Path, ra: Any, dec: Any, mag: Any) -> None:
    from astropy.io import fits

    a, d = np.radians(ra), np.radians(dec)
    vectors = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)
    scale = 2.0**31 - 1
    scaling = np.array([-1.0, -1, -1, 1, 1, 1, scale])
    integers = np.round((vectors + 1) * scale).astype("<u4")
    columns = [
        fits.Column("kdtree_range_stars", "8A", array=scaling.astype("<f8").view("S8")),
        fits.Column("kdtree_data_stars", "12A", array=integers.view("S12").ravel()),
        fits.Column("MAG_VT", "E", array=mag),
    ]
    tables = [fits.BinTableHDU.from_columns([column]) for column in columns]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)


def test_an_index_becomes_a_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("build_star_catalogue", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    ra, dec = np.array([10.0, 200.0, 300.0]), np.array([-60.0, 0.5, 80.0])
    write_index(tmp_path / "index.fits", ra, dec, np.array([5.0, 9.0, 12.0]))
    monkeypatch.setattr("sys.argv", ["build", str(tmp_path / "index.fits"), "--out", str(tmp_path / "out.bin")])
    script.main()
    first = (tmp_path / "out.bin").read_bytes()
    script.main()
    assert (tmp_path / "out.bin").read_bytes() == first
    found = unpacked(opened(tmp_path / "out.bin"), 0, int(FIRST[-1]), 99.0)
    assert len(found[0]) == 3 + len(script.BRIGHT_STARS)
    for star in range(3):
        assert separation(found[0], found[1], ra[star], dec[star]).min() < 0.1 / 3600
