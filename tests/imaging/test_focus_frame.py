from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.imaging.focus_frame import FocusFrame, hit_by_clouds, measure_frame, transparency
from pytel.imaging.focus_projection import projected_width
from pytel.imaging.sources import flatten

PLACES = np.random.default_rng(3).uniform(40, 472, (40, 2))
FLUXES = 4e4 * np.random.default_rng(4).pareto(1.2, 40).clip(0, 30) + 2e4


@functools.cache
def stars(sigma: float, shift: float, ring: bool) -> np.ndarray[Any, Any]:
    """The light of the 40 stars alone."""
    light, reach = np.zeros((512, 512)), math.ceil(6 * sigma)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    canvas = np.pad(light, reach + 40)
    for (x0, y0), flux in zip(PLACES + shift, FLUXES, strict=True):
        squared = (x - x0 % 1) ** 2 + (y - y0 % 1) ** 2
        if ring:
            stamp = ((squared < (3 * sigma) ** 2) & (squared > (1.2 * sigma) ** 2)).astype(float)
        else:
            stamp = np.exp(-squared / (2 * sigma**2))
        row, column = int(y0) + 40, int(x0) + 40
        canvas[row : row + 2 * reach + 1, column : column + 2 * reach + 1] += flux * stamp / stamp.sum()
    return canvas[reach + 40 : -reach - 40, reach + 40 : -reach - 40]


def field(
    sigma: float, *, light: float = 1.0, shift: float = 0.0, sky: float = 800.0, ring: bool = False, seed: int = 1
) -> np.ndarray[Any, Any]:
    """512 x 512 pixels with 40 stars; a `ring` is what a telescope with a secondary mirror makes far out of focus."""
    noise = np.random.default_rng(seed).normal(sky, math.sqrt(sky / 1.5 + 16), (512, 512))
    return (noise + light * stars(sigma, shift, ring)).clip(0, 65535).astype(np.uint16)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 6.0])
def test_sizes_are_those_of_the_stars(sigma: float) -> None:
    measured = measure_frame(field(sigma), project=True)
    assert measured.hfd == pytest.approx(2.3548 * sigma, rel=0.12)
    assert measured.width == pytest.approx(math.hypot(2.3548 * sigma, 1.2), rel=0.12)
    assert 0 < measured.hfd_error < 0.1 * sigma
    assert measured.stars >= 20


def test_rings_grow_as_they_should() -> None:
    small, large = (measure_frame(field(sigma, ring=True), project=True) for sigma in (3.0, 6.0))
    assert small.hfd
    assert large.hfd
    assert small.width
    assert large.width
    assert large.hfd / small.hfd == pytest.approx(2.0, rel=0.2)
    assert large.width / small.width == pytest.approx(2.0, rel=0.2)


def test_hot_pixels_and_cosmic_rays_are_no_stars() -> None:
    rng = np.random.default_rng(8)
    frame = rng.normal(800.0, 20.0, (512, 512))
    rows, columns = rng.integers(5, 507, (2, 300))
    frame[rows, columns] += rng.uniform(500, 40_000, 300)
    for _ in range(10):
        x, y, angle = rng.uniform(50, 460), rng.uniform(50, 460), rng.uniform(0, math.pi)
        along = np.arange(0, 8, 0.7)
        frame[(y + along * math.sin(angle)).astype(int), (x + along * math.cos(angle)).astype(int)] += 3000
    assert measure_frame(frame.astype(np.uint16)).hfd is None


def test_without_light_there_is_nothing_to_measure() -> None:
    measured = measure_frame(field(2.0, light=0.0), project=True)
    assert (measured.hfd, measured.width) == (None, None)
    with pytest.raises(InvalidParams):
        measure_frame(np.zeros(7))


def test_the_projected_width_is_that_of_both_axes_and_halves() -> None:
    found = projected_width(flatten(field(3.0)))
    assert found is not None
    assert found.error < 0.1 * found.width


@pytest.mark.parametrize("light", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("sigma", [1.0, 5.0])
def test_transparency_is_told_through_defocus_and_drift(light: float, sigma: float) -> None:
    reference = measure_frame(field(1.5))
    frame = measure_frame(field(sigma, light=light, shift=17.0, seed=2))
    assert transparency(reference, frame) == pytest.approx(light, rel=0.1)


def test_other_fields_tell_nothing_of_transparency() -> None:
    assert transparency(FocusFrame(), measure_frame(field(2.0))) is None
    assert transparency(measure_frame(field(2.0)), FocusFrame()) is None


@pytest.mark.slow
@given(clouded=st.sets(st.integers(0, 8), max_size=5), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=12)
def test_clouds_are_seen_whichever_frames_they_hit(clouded: set[int], seed: int) -> None:
    frames = [
        measure_frame(field(1.0 + 0.7 * abs(index - 4), light=0.4 if index in clouded else 1.0, seed=seed + index))
        for index in range(9)
    ]
    assert {index for index, hit in enumerate(hit_by_clouds(frames)) if hit} == clouded


def test_a_sky_that_jumps_is_a_cloud_but_dawn_is_none() -> None:
    dawn = [FocusFrame(sky=800 + 300.0 * index, noise=25.0) for index in range(9)]
    assert not any(hit_by_clouds(dawn))
    lit = [FocusFrame(sky=800.0 + 900 * (index == 4), noise=25.0) for index in range(9)]
    assert hit_by_clouds(lit) == [index == 4 for index in range(9)]
    assert hit_by_clouds([]) == []
