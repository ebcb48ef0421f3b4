"""Cones of stars: the same as a search through everything, whatever lies between: seams, poles, RA 0."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytel.base.errors import ConfigError, InvalidParams
from pytel.sky import cells, invented
from pytel.sky.catalogue import Stars, cone
from pytel.sky.packed import bundled, opened, packed, unpacked
from pytel.sky.sphere import separation

ras = st.floats(0, 360, exclude_max=True)
decs = st.floats(-90, 90)


@pytest.fixture(scope="module")
def bright() -> Any:
    """All real stars brighter than 7, without any search by cells."""
    ra, dec, mag = unpacked(bundled(), 0, int(cells.FIRST[-1]), 7.0)
    return ra, dec, mag


def keys(stars: Stars) -> list[tuple[float, float, float]]:
    return sorted(zip(stars.ra.tolist(), stars.dec.tolist(), stars.mag.tolist(), strict=True))


@pytest.mark.slow
@settings(max_examples=60)
@given(ras, decs, st.floats(0, 40))
@example(0.0, 90.0, 3.0)
@example(123.0, -90.0, 0.5)
@example(0.0, 0.0, 0.9)
@example(359.9999, 45.0, 5.0)
@example(10.0, 89.5, 1.0)
@example(180.0, 0.0, 180.0)
def test_a_cone_is_what_a_search_through_all_stars_finds(bright: Any, ra: float, dec: float, radius: float) -> None:
    apart = separation(bright[0], bright[1], ra, dec)
    everything = list(zip(*(column.tolist() for column in bright), strict=True))
    inside, nearly = apart <= radius - 1e-7, apart <= radius + 1e-7  # its rim may fall on either side
    found = set(keys(cone(ra, dec, radius, 7.0)))
    assert {everything[star] for star in np.flatnonzero(inside)} <= found
    assert found <= {everything[star] for star in np.flatnonzero(nearly)}


@settings(max_examples=20, deadline=None)
@given(ras, decs, st.floats(0.1, 1.0), st.floats(10, 16.5), st.floats(0, 1.5))
@example(0.0, 89.9, 0.7, 14.0, 1.0)
@example(0.0, 0.0, 0.7, 11.0, 1.5)
@example(266.4, -29.0, 0.5, 15.0, 1.0)
def test_a_deeper_limit_only_adds_stars(ra: float, dec: float, radius: float, limit: float, more: float) -> None:
    shallow, deep = cone(ra, dec, radius, limit), cone(ra, dec, radius, limit + more)
    assert keys(shallow) == keys(deep[deep.mag < limit])
    assert np.all(np.diff(deep.mag) >= 0)


@settings(max_examples=15, deadline=None)
@given(ras, decs)
@example(0.0, 89.7)
@example(0.1, 0.0)
def test_neighbouring_cones_show_the_same_stars(ra: float, dec: float) -> None:
    here, there = cone(ra, dec, 0.6, 15.0), cone((ra + 0.2) % 360, max(-90.0, dec - 0.2), 1.2, 15.0)
    assert set(keys(here)) <= set(keys(there))


def test_invented_stars_are_marked_and_faint() -> None:
    stars = cone(83.82, -5.39, 0.7, 16.0)
    assert stars.invented.any()
    assert stars.mag[stars.invented].min() >= invented.BRIGHTEST
    real = cone(83.82, -5.39, 0.7, 16.0, invent=False)
    assert not real.invented.any()
    assert keys(real) == keys(stars[~stars.invented])


def test_invented_stars_never_change() -> None:
    # Simulated fields and their truth are compared across versions: this draw is part of the format.
    stars = cone(200.0, 30.0, 0.2, 15.0)
    stars = stars[stars.invented]
    assert len(stars) == 20
    assert (stars.ra[0], stars.dec[0], float(stars.mag[0])) == pytest.approx(
        (199.83704942, 30.03460377, 12.046778), abs=1e-6
    )


def test_invented_stars_fill_every_cell_evenly() -> None:
    draws = [invented.drawn(cell, 15.0) for cell in range(20000, 20200)]
    for cell, (ra, dec, _) in zip(range(20000, 20200), draws, strict=True):
        assert np.all(cells.cell_of(ra, dec) == cell)
    expected = sum(_expected(cell, 15.0) for cell in range(20000, 20200))
    assert sum(len(ra) for ra, _, _ in draws) == pytest.approx(expected, rel=5 / expected**0.5)


def _expected(cell: int, limit: float) -> float:
    zone = int(cells.zone_of(np.array([cell]))[0])
    edges = np.sin(np.radians(np.array([zone, zone + 1]) * cells.HEIGHT - 90))
    width = 360.0 / cells.COUNTS[zone]
    ra, sin_dec = np.radians((cell - cells.FIRST[zone] + 0.5) * width), edges.mean()
    pole_ra, pole_dec = np.radians(192.85948), np.radians(27.12825)
    sin_latitude = sin_dec * np.sin(pole_dec) + np.sqrt(1 - sin_dec**2) * np.cos(pole_dec) * np.cos(ra - pole_ra)
    counts = invented.density(np.array([invented.BRIGHTEST, limit]), float(sin_latitude))
    return float((counts[1] - counts[0]) * width * np.degrees(edges[1] - edges[0]))


@pytest.mark.parametrize(
    ("name", "ra", "dec", "mag"),
    [
        ("Rigel", 78.63447, -8.20164, 0.13),
        ("Deneb", 310.35798, 45.28034, 1.25),
        ("Alnilam", 84.05339, -1.20192, 1.69),
        ("Sirius", 101.28716, -16.71612, -1.46),
        ("Polaris", 37.95456, 89.26411, 1.98),
        ("Alcyone", 56.87115, 24.10514, 2.87),
    ],
)
def test_known_stars_are_there(name: str, ra: float, dec: float, mag: float) -> None:
    star = cone(ra, dec, 0.5 / 3600, 5.0)
    assert len(star) == 1, name
    assert star.mag[0] == pytest.approx(mag, abs=0.2)
    assert not star.invented[0]


def test_the_bundled_file_is_the_whole_catalogue() -> None:
    catalogue = bundled()
    assert len(catalogue.low) == len(catalogue.high) == catalogue.starts[-1] == 1_871_016


@settings(max_examples=30)
@given(st.lists(st.tuples(ras, decs, st.floats(-1.5, 18)), max_size=40))
def test_packing_keeps_places_and_magnitudes(tmp_path_factory: pytest.TempPathFactory, stars: Any) -> None:
    ra, dec, mag = np.array(stars, dtype=np.float64).reshape(-1, 3).T
    path = tmp_path_factory.mktemp("packed") / "stars.bin"
    path.write_bytes(packed(ra, dec, mag))
    order = np.random.default_rng(1).permutation(len(ra))
    assert packed(ra[order], dec[order], mag[order]) == path.read_bytes()
    back = unpacked(opened(path), 0, int(cells.FIRST[-1]), 99.0)
    assert len(back[0]) == len(ra)
    if stars:
        apart = separation(back[0][:, None], back[1][:, None], ra[None], dec[None]) * 3600
        close = (apart < 0.075) & (np.abs(back[2][:, None] - mag[None]) < 0.011)
        assert close.any(axis=0).all()
        assert close.any(axis=1).all()


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    good = packed(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    for content in (b"", b"SIMPLE  = T", good[:-1], good + b"x"):
        path = tmp_path / "stars.bin"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"stars\.bin"):
            opened(path)
    with pytest.raises(ConfigError, match="nowhere"):
        opened(tmp_path / "nowhere")


@pytest.mark.parametrize("place", [(float("nan"), 0.0, 1.0), (0.0, 91.0, 1.0), (0.0, 0.0, -1.0), (0.0, 0.0, 200.0)])
def test_an_impossible_cone_is_refused(place: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidParams, match="cone"):
        cone(*place, 10.0)


def test_right_ascensions_outside_the_circle_mean_the_same() -> None:
    assert keys(cone(-1.0, 20.0, 1.0, 12.0)) == keys(cone(359.0, 20.0, 1.0, 12.0)) == keys(cone(719.0, 20.0, 1.0, 12.0))


def test_few_stars_are_expanded_for_a_small_cone(monkeypatch: pytest.MonkeyPatch) -> None:
    touched = []

    def counting(catalogue: Any, first: int, stop: int, limit: float) -> Any:
        touched.append(int(catalogue.starts[stop] - catalogue.starts[first]))
        return unpacked(catalogue, first, stop, limit)

    monkeypatch.setattr("pytel.sky.catalogue.unpacked", counting)
    cone(83.82, -5.39, 0.7, 17.0)
    assert 0 < sum(touched) < 1000


def test_cells_cover_the_sky_once() -> None:
    assert cells.FIRST[-1] == cells.COUNTS.sum()
    corners = itertools.product(np.linspace(0, 359.999, 37), np.linspace(-90, 90, 401))
    ra, dec = np.array(list(corners)).T
    number = cells.cell_of(ra, dec)
    zone = cells.zone_of(number)
    assert np.all((zone * cells.HEIGHT - 90 <= dec + 1e-9) & (dec <= (zone + 1) * cells.HEIGHT - 90 + 1e-9))
    column = number - cells.FIRST[zone]
    assert np.all((column >= 0) & (column < cells.COUNTS[zone]))
    assert np.all(np.abs(ra / 360 * cells.COUNTS[zone] - column - 0.5) <= 0.5 + 1e-9)
