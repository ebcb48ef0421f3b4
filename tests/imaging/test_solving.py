"""Fields are solved wherever they are and however they lie; nothing else is ever solved."""

from __future__ import annotations

import math
import shutil
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.imaging.blind import BlindSolverFailed, BlindSolverMissing, solve_anywhere, solve_blind
from pytel.imaging.cards import images_of
from pytel.imaging.solving import FieldHint, FieldSolution, NotSolved, solve_field
from pytel.imaging.sources import SourceList
from pytel.sky.catalogue import Stars, cone, star_source
from pytel.sky.sphere import offset_by, project, separation

from .sky_kit import listed

SHAPE = (2048, 2048)


def sources_at(
    ra: float,
    dec: float,
    *,
    scale: float = 0.6,
    position_angle: float = 0.0,
    flipped: bool = False,
    limit: float = 15.0,
    blur: float = 0.1,
    seed: int = 1,
    stars: Any = cone,
) -> SourceList:
    """What extraction would find in a frame there."""
    found = stars(ra, dec, 1.2 * math.hypot(*SHAPE) / 2 * scale / 3600, limit)
    xi, eta = project(found.ra, found.dec, ra, dec)
    plane = (xi + 1j * eta) * np.exp(1j * math.radians(position_angle))  # now the frame's up is +y
    x, y = plane.real * (1 if flipped else -1) * 3600 / scale, plane.imag * 3600 / scale
    places = x + (SHAPE[1] - 1) / 2 + 1j * (y + (SHAPE[0] - 1) / 2)
    random = np.random.default_rng(seed)
    places = places + blur * (random.normal(size=len(x)) + 1j * random.normal(size=len(x)))
    inside = (np.abs(x) < SHAPE[1] / 2) & (np.abs(y) < SHAPE[0] / 2)
    flux = 10 ** (-0.4 * (found.mag + random.normal(0, 0.3, len(x))))
    return listed(places[inside], flux[inside])


def together(*lists: SourceList) -> SourceList:
    return listed(np.concatenate([one.x + 1j * one.y for one in lists]), np.concatenate([one.flux for one in lists]))


def dots(number: int, seed: int) -> SourceList:
    random = np.random.default_rng(seed)
    places = random.uniform(0, SHAPE[1], number) + 1j * random.uniform(0, SHAPE[0], number)
    return listed(places, 10 ** (-0.4 * random.uniform(8, 15, number)))


@settings(max_examples=40, deadline=None)
@given(
    ra=st.floats(0, 360, exclude_max=True),
    sin_dec=st.floats(-1, 1),
    angle=st.floats(0, 360, exclude_max=True),
    flipped=st.booleans(),
    wide=st.booleans(),
    away=st.floats(0, 0.5),
    towards=st.floats(0, 6.3),
    error=st.floats(-0.03, 0.03),
)
@example(0.0, 1.0, 33.0, False, False, 0.4, 1.0, 0.02)
@example(15.82, -0.93, 350.0, True, True, 0.5, 4.0, -0.01)
def test_any_field_is_solved(
    ra: float,
    sin_dec: float,
    angle: float,
    flipped: bool,
    wide: bool,
    away: float,
    towards: float,
    error: float,
) -> None:
    dec = math.degrees(math.asin(sin_dec))
    scale = 1.75 if wide else 0.6
    sources = sources_at(ra, dec, scale=scale, position_angle=angle, flipped=flipped)
    there = offset_by(ra, dec, away * 3600 * math.sin(towards), away * 3600 * math.cos(towards))
    found = solve_field(sources, SHAPE, FieldHint(there[0], there[1], radius=0.52, scale=scale * (1 + error)))
    assert separation(found.ra, found.dec, ra, dec) * 3600 < 0.3
    assert found.scale == pytest.approx(scale, rel=1e-3)
    assert found.flipped == flipped
    if abs(dec) < 89:  # nearer to the pole a position angle is that of a place an arcsecond away
        assert (found.position_angle - angle + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
    assert found.matched >= 5
    assert found.rms < scale


def solved(**circumstances: Any) -> FieldSolution:
    return solve_field(sources_at(120.0, 30.0, **circumstances), SHAPE, FieldHint(120.2, 30.1, 0.5, 0.6))


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("angle", [0.0, 77.0, 200.0])
def test_its_cards_say_what_astropy_says(angle: float, flipped: bool) -> None:
    found = solved(position_angle=angle, flipped=flipped)
    header = fits.Header([(name, card.value) for name, card in found.cards().items()])
    judge = WCS(header)
    random = np.random.default_rng(1)
    for x, y in random.uniform(0, 2047, (20, 2)):
        ra, dec = found.pixel_to_sky(x, y)
        assert judge.all_world2pix([[ra, dec]], 0)[0] == pytest.approx([x, y], abs=1e-6)
        assert found.sky_to_pixel(ra, dec) == pytest.approx((x, y), abs=1e-6)
    assert judge.all_pix2world([[1023.5, 1023.5]], 0)[0] == pytest.approx([found.ra, found.dec], abs=1e-9)
    assert images_of(found.cards())


def test_a_hint_of_the_angle_is_of_the_plus_y_axis() -> None:
    for flipped in (False, True):
        sources = sources_at(120.0, 30.0, position_angle=130.0, flipped=flipped)
        found = solve_field(sources, SHAPE, FieldHint(120.2, 30.1, 0.5, 0.6, flipped, 127.0))
        assert found.position_angle == pytest.approx(130.0, abs=0.05)
        with pytest.raises(NotSolved):
            solve_field(sources, SHAPE, FieldHint(120.2, 30.1, 0.5, 0.6, flipped, 150.0))
        with pytest.raises(NotSolved):
            solve_field(sources, SHAPE, FieldHint(120.2, 30.1, 0.5, 0.6, not flipped))


def test_a_third_false_and_a_third_missing() -> None:
    true = sources_at(120.0, 30.0)
    kept = true.select(np.random.default_rng(2).random(len(true)) > 0.33)
    found = solve_field(together(kept, dots(len(kept) // 2, seed=3)), SHAPE, FieldHint(120.1, 30.1, 0.3, 0.6))
    assert separation(found.ra, found.dec, 120.0, 30.0) * 3600 < 1


def test_distortion_of_a_pixel_is_tolerated() -> None:
    true = sources_at(120.0, 30.0, scale=1.75)
    z = true.x - 1023.5 + 1j * (true.y - 1023.5)
    bent = z * (1 + 1.0 * (np.abs(z) / 1448) ** 2 / 1448)  # a pixel in the corners
    found = solve_field(
        listed(np.asarray(bent + 1023.5 * (1 + 1j), dtype=np.complex128), true.flux),
        SHAPE,
        FieldHint(120.2, 30.1, 0.5, 1.75),
    )
    assert separation(found.ra, found.dec, 120.0, 30.0) * 3600 < 1.75
    assert found.matched > 30


@pytest.mark.slow
def test_fields_elsewhere_and_dots_are_not_solved() -> None:
    for seed in range(3):
        with pytest.raises(NotSolved):
            solve_field(sources_at(200.0 + 5 * seed, -20.0), SHAPE, FieldHint(100.0 + 9 * seed, 40.0, 0.5, 0.6))
        with pytest.raises(NotSolved):
            solve_field(dots(20 * seed, seed), SHAPE, FieldHint(100.0, 40.0, 0.5, 0.6))


@pytest.mark.parametrize("count", [pytest.param(40, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.soak)])
def test_of_many_fields_elsewhere_and_of_dots_none_is_solved(count: int) -> None:
    random = np.random.default_rng(4)
    found = []
    for seed in range(count):
        scale = 0.6 if seed % 2 else 1.75
        hint = FieldHint(random.uniform(0, 360), math.degrees(math.asin(random.uniform(-1, 1))), 0.5, scale)
        true = sources_at((hint.ra + 100) % 360, -hint.dec, scale=scale, seed=seed)
        for sources in (true, dots(int(random.integers(5, 200)), seed)):
            try:
                found.append((seed, solve_field(sources, SHAPE, hint)))
            except NotSolved:
                continue
    assert found == []


def test_too_few_sources_and_odd_hints_are_refused() -> None:
    with pytest.raises(NotSolved, match="too few"):
        solve_field(dots(3, 1), SHAPE, FieldHint(0, 0, 0.5, 0.6))
    for hint in (FieldHint(0, 0, 0.5, 0.0), FieldHint(0, 95, 0.5, 0.6), FieldHint(0, 0, 90, 0.6)):
        with pytest.raises(InvalidParams):
            solve_field(dots(30, 1), SHAPE, hint)
    with pytest.raises(NotSolved):
        solve_field(dots(30, 1), SHAPE, FieldHint(0, 0, 0.5, 0.6), _no_stars)


def _no_stars(ra: float, dec: float, radius: float, limit: float) -> Stars:
    return cone(ra, dec, 0.0, -5.0, invent=False)


def test_real_stars_alone_solve_a_wide_field() -> None:
    real = star_source(invent=False)
    sources = sources_at(83.8, 12.0, scale=1.75, stars=real, limit=12.0)
    found = solve_field(sources, SHAPE, FieldHint(83.9, 12.1, 0.5, 1.75), real)
    assert separation(found.ra, found.dec, 83.8, 12.0) * 3600 < 1


def test_seiza_has_the_same_opinion() -> None:
    import seiza

    for ra, dec, flipped in ((120.0, 30.0, False), (300.0, -50.0, True)):
        sources = sources_at(ra, dec, position_angle=40.0, flipped=flipped)
        hint = FieldHint(ra + 0.05, dec + 0.05, 0.3, 0.6)
        found = solve_field(sources, SHAPE, hint)
        stars = cone(hint.ra, hint.dec, 0.6, 14.5)
        known = seiza.StarCatalog.from_stars(
            list(zip(stars.ra.tolist(), stars.dec.tolist(), stars.mag.tolist(), strict=True))
        )
        seen = list(zip(sources.x.tolist(), sources.y.tolist(), sources.flux.tolist(), strict=True))[:200]
        other = seiza.solve(seen, known, SHAPE[1], SHAPE[0], ra=hint.ra, dec=hint.dec, scale_arcsec_px=0.6)
        for x, y in ((1023.5, 1023.5), (100.0, 1900.0)):
            place = other.wcs.pixel_to_world(x, y)
            assert separation(*found.pixel_to_sky(x, y), float(place[0]), float(place[1])) * 3600 < 0.3


@pytest.mark.slow
def test_solve_field_finds_what_the_hint_does_not() -> None:
    sources = sources_at(83.8, 12.0, scale=1.75, position_angle=40.0, flipped=True, limit=12.0)
    blind = solve_blind(sources, SHAPE, scale=1.9)
    assert separation(blind.ra, blind.dec, 83.8, 12.0) * 3600 < 2
    assert blind.flipped
    assert blind.position_angle == pytest.approx(40.0, abs=0.1)
    found = solve_anywhere(sources, SHAPE, FieldHint(250.0, -30.0, 0.5, 1.75))
    assert separation(found.ra, found.dec, 83.8, 12.0) * 3600 < 0.5
    assert found.matched > 20


def test_solve_field_is_ended_in_time_and_leaves_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises((BlindSolverFailed, NotSolved)):
        solve_blind(dots(100, 1), SHAPE, scale=1.75, timeout=1.0)
    assert list(tmp_path.iterdir()) == []


def test_without_solve_field_the_hint_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BlindSolverMissing):
        solve_blind(dots(100, 1), SHAPE, scale=1.75)
    with pytest.raises(NotSolved):
        solve_anywhere(dots(50, 1), SHAPE, FieldHint(0, 0, 0.5, 1.75))
