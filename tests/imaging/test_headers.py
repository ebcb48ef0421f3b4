from __future__ import annotations

import math
import re
import string
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from astropy.io import fits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.base.location import Location
from pytel.imaging.cards import card_images, float_text
from pytel.imaging.headers import (
    COMMENTS,
    HeaderCard,
    clean_cards,
    detector_cards,
    exposure_cards,
    geocentric,
    pointing_cards,
    sexagesimal,
    site_cards,
    utc_text,
    validate_card,
)

PRINTABLE = "".join(map(chr, range(32, 127)))
START = datetime(2026, 11, 22, 20, 30, 15, 250_000, tzinfo=UTC)


def parsed(keyword: str, card: HeaderCard) -> fits.Card:
    header = fits.Header.fromstring("".join(card_images(keyword, card)))
    (only,) = header.cards
    only.verify("exception")
    return only


@given(st.text(PRINTABLE, max_size=300), st.text(PRINTABLE, max_size=90))
def test_text_is_read_back_by_astropy(value: str, comment: str) -> None:
    assume(not re.search("'' */", value.replace("'", "''")))  # astropy takes the slash for a comment's
    card = validate_card("OBJECT", HeaderCard(value, comment))
    images = list(card_images("OBJECT", card))
    assert all(len(image) == 80 for image in images)
    assert parsed("OBJECT", card).value == value.rstrip()


@given(st.floats(-1e300, 1e300))
def test_floats_are_read_back_to_15_digits(value: float) -> None:
    read = parsed("EXPTIME", HeaderCard(value, "[s]")).value
    assert isinstance(read, float)
    assert read == pytest.approx(value, rel=1e-14, abs=1e-320)


@given(st.integers(-(2**63) + 1, 2**63 - 1) | st.booleans())
def test_integers_and_logicals_keep_value_and_kind(value: int) -> None:
    read = parsed("GAIN", HeaderCard(value)).value
    assert read == value
    assert type(read) is type(value)


def test_the_last_bit_of_a_calculation_does_not_show() -> None:
    assert float_text(0.1 + 0.2) == float_text(0.3) == "0.3"
    assert float_text(-0.0) == float_text(0.0)
    assert float_text(1e22) == "1.0E+22"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_written_as_undefined(value: float | None) -> None:
    card = validate_card("CCD-TEMP", HeaderCard(value, "[Celsius]"))
    assert isinstance(parsed("CCD-TEMP", card).value, fits.card.Undefined)
    assert parsed("CCD-TEMP", card).comment == "[Celsius]"


@pytest.mark.parametrize(
    "keyword", ["", "lower", "TOOLONGKEY", "A B", "É", "NAXIS1", "BZERO", "ZBITPIX", "TFORM1", "END"]
)
def test_bad_and_structural_keywords_are_refused(keyword: str) -> None:
    with pytest.raises(InvalidParams):
        validate_card(keyword, HeaderCard(1))


@pytest.mark.parametrize("value", ["ζ Oph", "a\nb", "x" * 513, 2**63])
def test_bad_values_are_refused(value: str | int) -> None:
    with pytest.raises(InvalidParams, match="OBJECT"):
        validate_card("OBJECT", HeaderCard(value))


def test_clean_cards_keeps_what_can_be_kept_and_says_what_not() -> None:
    good, dropped = clean_cards(
        {
            "OBJECT": HeaderCard("ζ Ceñi\n", "±"),
            "naxis": HeaderCard(1),
            "GAIN": HeaderCard(1.5, "e"),
            "BIG": HeaderCard(2**70),
        }
    )
    assert good == {"OBJECT": HeaderCard("? Ceni ", "?"), "GAIN": HeaderCard(1.5, "e")}
    assert len(dropped) == 2
    assert "naxis" in dropped[0]
    assert "BIG" in dropped[1]


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=10), st.tuples(st.text() | st.floats() | st.integers() | st.none(), st.text())))
def test_clean_cards_are_valid_whatever_comes(offered: dict[str, tuple[str | float | int | None, str]]) -> None:
    good, dropped = clean_cards({keyword: HeaderCard(*card) for keyword, card in offered.items()})
    assert len(good) + len(dropped) == len(offered)
    for keyword, card in good.items():
        assert validate_card(keyword, card) == card


def test_exposure_times_are_utc_in_order() -> None:
    zone = timezone(timedelta(hours=2))
    cards = exposure_cards(
        frame_type="object", start=START.astimezone(zone), end=START + timedelta(seconds=60), exposure_time=59.5
    )
    assert cards["DATE-OBS"].value == cards["DATE-BEG"].value == "2026-11-22T20:30:15.250"
    assert cards["DATE-AVG"].value == "2026-11-22T20:30:45.250"
    assert cards["DATE-END"].value == "2026-11-22T20:31:15.250"
    assert cards["MJD-OBS"].value == pytest.approx(61366.854343171, abs=2e-9)
    assert (cards["EXPTIME"].value, cards["TELAPSE"].value, cards["TIMESYS"].value) == (59.5, 60.0, "UTC")
    assert "OBJECT" not in cards


def test_times_are_rounded_up_over_the_second() -> None:
    assert utc_text(datetime(2026, 12, 31, 23, 59, 59, 999_900, tzinfo=UTC)) == "2027-01-01T00:00:00.000"


def test_geocentric_position_agrees_with_astropy() -> None:
    from astropy.coordinates import EarthLocation

    site = Location(latitude=-30.17, longitude=-70.8, elevation=2200.0)
    expected = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
    assert geocentric(site) == pytest.approx([expected.x.value, expected.y.value, expected.z.value], abs=1e-3)


@pytest.mark.parametrize(
    ("value", "expected"), [(12.999999999, "13 00 00.00"), (23.9999999999, "00 00 00.00"), (0.5, "00 30 00.00")]
)
def test_sexagesimal_carries(value: float, expected: str) -> None:
    assert sexagesimal(value, decimals=2, wrap=24) == expected


def test_sexagesimal_keeps_the_sign_near_zero() -> None:
    assert sexagesimal(-0.5, decimals=1, signed=True) == "-00 30 00.0"
    assert sexagesimal(-1e-9, decimals=1, signed=True) == "+00 00 00.0"


def test_builders_use_the_standard_dictionary() -> None:
    built = (
        detector_cards(camera="main", gain=1.3, binning=(2, 2), window_origin=(100, 50), pixel_size=9.0)
        | site_cards("Test", Location(latitude=1.0, longitude=2.0))
        | pointing_cards(telescope="T1", ra=83.8, dec=-5.4, altitude=45.0, azimuth=180.0, airmass=1.41)
    )
    assert built.keys() <= COMMENTS.keys()
    assert built["XORGSUBF"].value == 50
    assert built["XPIXSZ"].value == 18.0
    assert built["OBJCTRA"].value == "05 35 12.00"
    for keyword, card in built.items():
        assert validate_card(keyword, card) == card
        assert len(list(card_images(keyword, card))) == 1


def test_comments_of_the_dictionary_fit_their_cards() -> None:
    for keyword, comment in COMMENTS.items():
        assert set(comment) <= set(string.printable)
        assert comment in parsed(keyword, HeaderCard(-1234567.12345678, comment)).image, keyword


def test_headers_load_no_heavy_library() -> None:
    program = "import sys, pytel.imaging.headers; sys.exit(bool({'numpy', 'astropy', 'sep'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
