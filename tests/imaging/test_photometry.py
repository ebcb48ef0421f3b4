"""Zero points, cosmic rays and background on frames whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pytel.imaging.background import measure_background
from pytel.imaging.cosmics import find_cosmics
from pytel.imaging.photometry import NoZeroPoint, find_zero_point, limiting_magnitude, measure_flux
from pytel.imaging.sources import find_sources

Image = NDArray[np.float32]


def sky(
    stars: list[tuple[float, float, float]], *, size: int = 400, fwhm: float = 4.0, level: float = 200.0, seed: int = 1
) -> Image:
    """Gaussian stars of (x, y, flux) on a noisy background, electrons."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    sigma = fwhm / 2.3548
    image = np.full((size, size), level)
    for star_x, star_y, flux in stars:
        profile = np.exp(-((x - star_x) ** 2 + (y - star_y) ** 2) / (2 * sigma**2))
        image += flux * profile / (2 * np.pi * sigma**2)
    return np.random.default_rng(seed).normal(image, np.sqrt(image)).astype(np.float32)


def grid(flux: float, count: int = 6, size: int = 400) -> list[tuple[float, float, float]]:
    places = np.linspace(50, size - 50, count)
    return [(x + 0.3, y + 0.4, flux) for x in places for y in places]


def test_fluxes_are_total_and_their_errors_true() -> None:
    truth = 100_000.0
    image = sky(grid(truth))
    background = measure_background(image)
    sources = find_sources(image)
    found = measure_flux(image - background.surface, sources, noise=background.noise, fwhm=4.0)
    good = ~found.doubtful
    assert good.sum() >= 34
    assert float(np.median(found.flux[good])) == pytest.approx(truth, rel=0.005)
    pull = (found.flux[good] - truth) / found.error[good]
    assert 0.6 < float(np.std(pull)) < 1.5


def test_what_the_light_outside_the_aperture_is_good_to_is_told() -> None:
    pulls = []
    for seed in range(20):
        image = sky(grid(8_000.0, count=4), seed=seed)
        background = measure_background(image)
        found = measure_flux(image - background.surface, find_sources(image), noise=background.noise, fwhm=4.0)
        good = ~found.doubtful
        mean = float(np.mean(found.flux[good])) / 8_000.0 - 1
        share = float(np.mean(found.error[good])) / 8_000.0 / np.sqrt(good.sum())
        pulls.append(mean / np.hypot(share, found.correction_error))
    assert 0.4 < float(np.sqrt(np.mean(np.square(pulls)))) < 1.6


def test_background_and_noise_are_those_of_the_sky() -> None:
    background = measure_background(sky(grid(5000.0)))
    assert background.level == pytest.approx(200.0, rel=0.01)
    assert background.noise == pytest.approx(np.sqrt(200.0), rel=0.05)
    assert background.gradient < 0.05


def test_close_neighbours_are_doubtful() -> None:
    image = sky([(100.0, 100.0, 50_000.0), (112.0, 100.0, 50_000.0), (300.0, 300.0, 50_000.0)])
    background = measure_background(image)
    sources = find_sources(image)
    found = measure_flux(image - background.surface, sources, noise=background.noise, fwhm=4.0)
    doubtful = {(round(float(x)), bool(d)) for x, d in zip(sources.x, found.doubtful, strict=True)}
    assert doubtful == {(100, True), (112, True), (300, False)}


def test_a_zero_point_does_not_mind_variable_and_wrong_stars() -> None:
    source = np.random.default_rng(5)
    magnitudes = source.uniform(9, 13, 60)
    flux = 100.0 * 10 ** (-0.4 * (magnitudes - 21.0)) * source.normal(1, 0.01, 60)
    flux[::6] *= source.uniform(0.3, 3.0, 10)
    found = find_zero_point(flux, 0.01 * flux, magnitudes, 100.0)
    assert found.magnitude == pytest.approx(21.0, abs=0.006)
    assert 0.0005 < found.error < 0.006
    assert 45 <= found.stars <= 52


def test_too_few_stars_give_no_zero_point() -> None:
    few = np.full(4, 1000.0)
    with pytest.raises(NoZeroPoint) as caught:
        find_zero_point(few, few / 100, few * 0 + 10, 30.0)
    assert caught.value.data == {"stars": 4, "needed": 5}


def test_a_star_at_the_limit_has_five_sigma() -> None:
    magnitude = limiting_magnitude(21.0, 100.0, noise=10.0, radius=3.0, correction=1.0)
    flux = 100.0 * 10 ** (-0.4 * (magnitude - 21.0))
    assert flux / np.sqrt(100 * np.pi * 9 + flux) == pytest.approx(5.0)


@pytest.mark.parametrize("fwhm", [2.5, 4.0])
def test_cosmic_rays_are_found_and_stars_are_not(fwhm: float) -> None:
    image = sky(grid(30_000.0), fwhm=fwhm)
    hits = np.zeros(image.shape, np.bool_)
    source = np.random.default_rng(7)
    for _ in range(30):
        x, y, angle = source.uniform(20, 380), source.uniform(20, 380), source.uniform(0, np.pi)
        along = np.arange(0, 1 + source.exponential(6.0), 0.7)
        hits[(y + along * np.sin(angle)).astype(int) % 400, (x + along * np.cos(angle)).astype(int) % 400] = True
    image[hits] += source.uniform(300, 5000, int(hits.sum())).astype(np.float32)
    background = measure_background(image)
    found = find_cosmics(image, background.surface, noise=background.noise, read_noise=5.0, fwhm=fwhm)
    assert (found & hits).sum() > 0.95 * hits.sum()
    assert (found & ~hits).sum() <= 0.1 * hits.sum()


def test_no_cosmic_rays_are_seen_where_there_are_none() -> None:
    image = sky(grid(100_000.0))
    background = measure_background(image)
    found = find_cosmics(image, background.surface, noise=background.noise, read_noise=5.0, fwhm=4.0)
    assert found.sum() <= 3
