"""Right ascension and declination as text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.sky.coordinates import format_dec, format_ra, parse_dec, parse_ra


@given(st.floats(0, 360), st.integers(0, 6))
def test_right_ascension_comes_back(ra: float, decimals: int) -> None:
    difference = abs(parse_ra(format_ra(ra, decimals)) - ra % 360)
    assert min(difference, 360 - difference) <= 7.501 / 3600 * 10**-decimals + 1e-9


@given(st.floats(-90, 90), st.integers(0, 6))
def test_declination_comes_back(dec: float, decimals: int) -> None:
    assert parse_dec(format_dec(dec, decimals)) == pytest.approx(dec, abs=0.501 / 3600 * 10**-decimals + 1e-9)


@given(st.floats(0, 360, exclude_max=True))
def test_degrees_are_taken_as_they_are(ra: float) -> None:
    assert parse_ra(ra) == parse_ra(repr(ra)) == ra


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse, low, high in ((parse_ra, 0, 360), (parse_dec, -90, 90)):
        with contextlib.suppress(InvalidParams):
            assert low <= parse(text) <= high


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("-0:16", -16 / 60),
        ("-00 16 00", -16 / 60),
        ("−00:00:36", -0.01),
        ("+12:30:36.0", 12.51),
        ("-12d30m36s", -12.51),
        ("""-12°30'36" """, -12.51),
        ("-12° 30′ 36″", -12.51),
        ("45", 45.0),
        ("-.5", -0.5),
    ],
)
def test_declinations(text: str, degrees: float) -> None:
    assert parse_dec(text) == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("12:34:56.7", 188.73625),
        ("12h34m56.7s", 188.73625),
        ("12 34 56.7", 188.73625),
        ("5h 30.5m", 82.625),
        ("24:00:00", 0.0),
        ("83.82", 83.82),
        (360, 0.0),
    ],
)
def test_right_ascensions(text: str | float, degrees: float) -> None:
    assert parse_ra(text) == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize("text", ["", "north", "12:60:00", "12:30.5:10", "25:00:00", "-1:00:00", "12d30m", "nan"])
def test_wrong_right_ascensions(text: str) -> None:
    with pytest.raises(InvalidParams, match="right ascension"):
        parse_ra(text)


@pytest.mark.parametrize("text", ["91", "-90:00:01", "12h30m", "1:2:3:4", "inf", "--5"])
def test_wrong_declinations(text: str) -> None:
    with pytest.raises(InvalidParams, match="declination"):
        parse_dec(text)


def test_rounding_carries() -> None:
    assert format_ra(359.9999999) == "00:00:00.00"
    assert format_ra(15 * (5 + 59.99 / 60), 0) == "05:59:59"
    assert format_dec(-0.0000001) == "+00:00:00.0"
    assert format_dec(-0.27) == "-00:16:12.0"
    assert format_dec(89.99999999) == "+90:00:00.0"
