from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams
from pytel.imaging.sources import SATURATED, NoStars, find_sources, image_quality, median_hfd

Frame = NDArray[np.uint16]
SKY, NOISE = 1000.0, 8.0


def disc(shape: tuple[int, int], x: float, y: float, hfd: float, *, ring: bool) -> NDArray[np.float64]:
    """A star of unit flux: a Gaussian, or a disc with a hole as a defocused reflector makes it."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    r2 = (columns - x) ** 2 + (rows - y) ** 2
    if ring:
        outer = hfd / 2 / np.sqrt((1 + 0.16) / 2)
        profile = ((r2 < outer**2) & (r2 > (0.4 * outer) ** 2)).astype(float)
    else:
        profile = np.exp(-r2 / (2 * (hfd / 2.3548) ** 2))
    return np.asarray(profile / profile.sum())


def field(
    size: int, stars: list[tuple[float, float, float]], hfd: float, *, ring: bool = False, hot: int = 0, seed: int = 1
) -> Frame:
    """A frame with stars (x, y, flux), noise and hot pixels."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size), SKY)
    reach = int(5 * hfd) + 2
    for x, y, flux in stars:
        left, low = max(0, int(x) - reach), max(0, int(y) - reach)
        right, high = min(size, int(x) + reach), min(size, int(y) + reach)
        image[low:high, left:right] += flux * disc((high - low, right - left), x - left, y - low, hfd, ring=ring)
    image += rng.normal(0, 1, image.shape) * np.sqrt(NOISE**2 + image - SKY)
    places = rng.integers(0, size, (hot, 2))
    image[places[:, 0], places[:, 1]] += rng.uniform(300, 50_000, hot)
    return np.asarray(np.clip(image, 0, 65535), dtype=np.uint16)


def scattered(number: int, size: int, seed: int = 3) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(seed)
    return [
        (float(x), float(y), float(np.exp(flux)))
        for x, y, flux in zip(
            rng.uniform(40, size - 40, number),
            rng.uniform(40, size - 40, number),
            rng.uniform(np.log(6e4), np.log(6e5), number),
            strict=True,
        )
    ]


def test_stars_are_found_where_they_are_bright_first() -> None:
    stars = [(100.25, 60.5, 9e4), (30.0, 200.75, 3e4), (201.5, 130.0, 6e4)]
    found = find_sources(field(256, stars, 3.0))
    assert len(found) == 3
    ordered = sorted(stars, key=lambda star: -star[2])
    assert found.x == pytest.approx([star[0] for star in ordered], abs=0.05)
    assert found.y == pytest.approx([star[1] for star in ordered], abs=0.05)
    assert found.flux == pytest.approx([star[2] for star in ordered], rel=0.05)
    assert found.fwhm == pytest.approx([3.0] * 3, rel=0.1)
    assert found.hfd == pytest.approx([3.0] * 3, rel=0.1)
    assert (found.ellipticity < 0.1).all()


@pytest.mark.parametrize(
    ("hfd", "ring"), [(2.0, False), (4.0, False), (8.0, False), (15.0, False), (8.0, True), (15.0, True), (25.0, True)]
)
def test_hfd_is_true_from_sharp_to_far_out_of_focus(hfd: float, ring: bool) -> None:
    quality = image_quality(field(1024, scattered(25, 1024), hfd, ring=ring, hot=100))
    assert quality.hfd == pytest.approx(hfd, rel=0.12, abs=0.15)
    assert quality.stars >= 15


@pytest.mark.parametrize("fwhm", [2.5, 6.0, 12.0])
def test_wide_wings_are_measured_the_same_in_and_out_of_focus(fwhm: float) -> None:
    """Moffat profiles of exponent 3 in a field with many faint stars: half the light is within 1.261 FWHM."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[-80:81, -80:81]
    image = rng.normal(SKY, NOISE, (768, 768))
    for number in range(25):
        x, y = 124 + 130 * (number % 5), 124 + 130 * (number // 5)
        profile = (1 + (rows**2 + columns**2) / ((fwhm / 2) ** 2 / (2 ** (1 / 3) - 1))) ** -3.0
        image[y - 80 : y + 81, x - 80 : x + 81] += 1e6 / (1 + number) ** 1.5 * profile / profile.sum()
    assert image_quality(image.astype(np.float32)).hfd == pytest.approx(1.261 * fwhm, rel=0.1)


@pytest.mark.parametrize(
    ("hfd", "ring"), [(1.8, False), (3.0, False), (6.0, False), (15.0, False), (6.0, True), (15.0, True)]
)
def test_a_stamp_with_one_bright_star_is_enough(hfd: float, ring: bool) -> None:
    stamp = field(64, [(31.3, 32.8, 3e5)], hfd, ring=ring, hot=4)
    assert image_quality(stamp, min_stars=1).hfd == pytest.approx(hfd, rel=0.12, abs=0.15)


def test_hot_pixels_cosmic_rays_and_bad_columns_are_no_stars() -> None:
    frame = field(256, [], 3.0, hot=60)
    frame[:, 77] = 60_000
    frame[40, 100:130] += 3000
    frame[200:203, 200:201] += 20_000
    assert len(find_sources(frame)) == 0
    with pytest.raises(NoStars) as caught:
        image_quality(frame)
    assert caught.value.data == {"stars": 0, "needed": 5}


def test_saturated_stars_are_flagged_and_not_measured() -> None:
    frame = field(256, [(60.0, 60.0, 5e6), (150.0, 150.0, 5e4), (60.0, 180.0, 4e4)], 3.0)
    found = find_sources(frame, saturation=65_000)
    assert list(found.flags & SATURATED) == [SATURATED, 0, 0]
    assert image_quality(frame, min_stars=2, saturation=65_000).hfd == pytest.approx(3.0, rel=0.1)
    with pytest.raises(NoStars):
        median_hfd(found, min_stars=3)


def test_the_list_is_bounded_and_keeps_the_brightest() -> None:
    found = find_sources(field(512, scattered(40, 512), 3.0), max_sources=10)
    assert len(found) == 10
    assert (np.diff(found.flux) <= 0).all()


@pytest.mark.parametrize("value", [0, 1000, 65535])
def test_an_empty_frame_has_no_stars(value: int) -> None:
    assert len(find_sources(np.full((300, 300), value, dtype=np.uint16))) == 0


def test_a_gradient_of_the_sky_does_no_harm() -> None:
    frame = field(1024, scattered(20, 1024), 3.0).astype(np.float64)
    frame += np.linspace(0, 3000, 1024)
    assert image_quality(frame).hfd == pytest.approx(3.0, rel=0.1)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(InvalidParams):
        find_sources(np.zeros(100))
    with pytest.raises(InvalidParams):
        find_sources(np.zeros((8, 8)))


def test_the_same_frame_gives_the_same_list() -> None:
    frame = field(512, scattered(30, 512), 12.0)
    first, second = find_sources(frame), find_sources(frame)
    assert np.array_equal(first.hfd, second.hfd)
    assert np.array_equal(first.x, second.x)
