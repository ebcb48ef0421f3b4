"""A site's own stars: packed from a table, found again by cones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pytel.cli.app import app
from pytel.sky.catalogue import star_source

STARS = [(10.0, 20.0, 15.5), (10.1, 20.1, 12.25), (359.9, -89.0, 17.0)]


def pack(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["catalogue", "pack", *arguments])
    return result.exit_code, result.output


def packed_of_csv(folder: Path, text: str, *options: str) -> Path:
    table, out = folder / "stars.csv", folder / "stars.bin"
    table.write_text(text)
    code, output = pack(str(table), str(out), *options)
    assert code == 0, output
    return out


def test_a_csv_of_gaia_becomes_a_source_of_stars(tmp_path: Path) -> None:
    lines = [f"1,{ra},{dec},{mag}" for ra, dec, mag in STARS]
    out = packed_of_csv(
        tmp_path, "\n".join(["# a comment", "source_id,RA,Dec,phot_g_mean_mag", *lines, "2,1.0,2.0,"]) + "\n"
    )
    found = star_source(out, invent=False)(10.05, 20.05, 0.2, 16.0)
    assert found.mag == pytest.approx([12.25, 15.5], abs=0.011)
    assert found.ra == pytest.approx([10.1, 10.0], abs=1e-4)
    assert found.dec == pytest.approx([20.1, 20.0], abs=1e-4)
    assert not found.invented.any()
    assert len(star_source(out, invent=False)(0, -90, 2, 18.0)) == 1


def test_fits_tables_are_packed_too(tmp_path: Path) -> None:
    from astropy.io import fits

    ra, dec, mag = np.array(STARS).T
    columns = [fits.Column(n, "D", array=a) for n, a in (("RAJ2000", ra), ("DEJ2000", dec), ("Vmag", mag))]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "stars.fits")
    code, output = pack(
        str(tmp_path / "stars.fits"), str(tmp_path / "o.bin"), "--ra", "RAJ2000", "--dec", "DEJ2000", "--mag", "Vmag"
    )
    assert code == 0, output
    assert "3 stars" in output
    assert len(star_source(tmp_path / "o.bin", invent=False)(10, 20, 1, 20.0)) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,c\n1,2,3\n", "no column ra"),
        ("ra,dec,phot_g_mean_mag\n1,2,x\n", "line 2"),
        ("ra,dec,phot_g_mean_mag\n1,95,3\n", "no places in degrees"),
        ("ra,dec,phot_g_mean_mag\n", "no places in degrees"),
        ("", "no column ra"),
    ],
)
def test_what_is_no_table_of_stars_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "stars.csv").write_text(text)
    code, output = pack(str(tmp_path / "stars.csv"), str(tmp_path / "out.bin"))
    assert code == 1
    assert says in output.replace("\n", " ")
    assert not (tmp_path / "out.bin").exists()


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    code, output = pack(str(tmp_path / "none.csv"), str(tmp_path / "out.bin"))
    assert code == 1
    assert "cannot be read" in output
