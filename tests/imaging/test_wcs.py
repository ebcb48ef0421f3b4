from __future__ import annotations

import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.imaging.cards import images_of
from pytel.imaging.headers import HeaderCard, validate_card
from pytel.imaging.wcs import pixel_to_sky, sky_to_pixel, wcs_cards

CENTRE = (1024.5, 1024.5)


@given(
    ra=st.floats(0, 359.999),
    dec=st.floats(-89.9, 89.9),
    rotation=st.floats(-180, 360),
    flipped=st.booleans(),
    binning=st.sampled_from([(1, 1), (2, 2), (1, 3)]),
    origin=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    pixel=st.tuples(st.floats(1, 2048), st.floats(1, 2048)),
)
@settings(max_examples=60, deadline=None)
def test_agrees_with_astropy(
    ra: float,
    dec: float,
    rotation: float,
    flipped: bool,
    binning: tuple[int, int],
    origin: tuple[int, int],
    pixel: tuple[float, float],
) -> None:
    cards = wcs_cards(
        ra,
        dec,
        pixel_scale=1.76,
        rotation=rotation,
        reference_pixel=CENTRE,
        flipped=flipped,
        binning=binning,
        window_origin=origin,
    )
    reference = WCS(fits.Header.fromstring("".join(images_of(cards))))
    sky = pixel_to_sky(cards, *pixel)
    assert reference.wcs_world2pix([sky], 1)[0] == pytest.approx(pixel, abs=1e-6)
    assert sky_to_pixel(cards, *sky) == pytest.approx(pixel, abs=1e-6)
    for keyword, card in cards.items():
        assert validate_card(keyword, card) == card


def test_north_is_up_and_east_is_left() -> None:
    cards = wcs_cards(83.0, 10.0, pixel_scale=1.0, rotation=0.0, reference_pixel=CENTRE)
    x, y = sky_to_pixel(cards, 83.01, 10.01)
    assert x < CENTRE[0]
    assert y > CENTRE[1]


def test_rotation_is_the_position_angle_of_up() -> None:
    cards = wcs_cards(83.0, 0.0, pixel_scale=1.0, rotation=90.0, reference_pixel=CENTRE)
    ra, dec = pixel_to_sky(cards, CENTRE[0], CENTRE[1] + 100)
    assert ra > 83.0
    assert dec == pytest.approx(0.0, abs=1e-6)


def test_flipped_is_a_mirror_of_the_columns() -> None:
    plain = wcs_cards(83.0, 10.0, pixel_scale=1.0, rotation=30.0, reference_pixel=CENTRE)
    flipped = wcs_cards(83.0, 10.0, pixel_scale=1.0, rotation=30.0, reference_pixel=CENTRE, flipped=True)
    assert pixel_to_sky(flipped, CENTRE[0] + 50, 7.0) == pytest.approx(pixel_to_sky(plain, CENTRE[0] - 50, 7.0))


@given(x=st.integers(0, 99), y=st.integers(0, 99), binning=st.integers(1, 4))
def test_a_binned_pixel_lies_on_the_middle_of_its_pixels(x: int, y: int, binning: int) -> None:
    def frame(binned: int, origin: tuple[int, int]) -> dict[str, HeaderCard]:
        return wcs_cards(
            10.0,
            60.0,
            pixel_scale=0.5,
            rotation=20.0,
            reference_pixel=CENTRE,
            binning=(binned, binned),
            window_origin=origin,
        )

    first = (1 + (binning - 1) / 2 + x, 1 + (binning - 1) / 2 + y)
    assert pixel_to_sky(frame(binning, (x, y)), 1, 1) == pytest.approx(pixel_to_sky(frame(1, (0, 0)), *first), abs=1e-9)


def test_the_other_side_of_the_sky_has_no_pixel() -> None:
    cards = wcs_cards(10.0, 60.0, pixel_scale=0.5, rotation=0.0, reference_pixel=CENTRE)
    with pytest.raises(InvalidParams, match="other side"):
        sky_to_pixel(cards, 190.0, -60.0)


def test_a_header_without_wcs_says_so() -> None:
    with pytest.raises(InvalidParams, match="CRPIX1"):
        pixel_to_sky({}, 1, 1)
