from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.base.units import Arcsec, Declination, Duration, Seconds, convert, parse_quantity, unit_of


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("30 arcsec", "arcsec", 30), ("2 arcmin", "arcsec", 120), ("1.5 h", "s", 5400), ("-3e1 mm", "m", -0.03)],
)
def test_quantities_convert(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value)


def test_a_unit_of_another_kind_says_what_is_expected() -> None:
    with pytest.raises(InvalidParams, match="'s' or 'ms' or 'min'"):
        parse_quantity("30 kg", "s")
    with pytest.raises(InvalidParams, match="such as '30 s'"):
        parse_quantity("soon", "s")


@given(st.text(max_size=30), st.sampled_from(["s", "deg", "mm", "%", "degC"]))
def test_any_text_is_a_quantity_or_a_typed_error(text: str, unit: str) -> None:
    with contextlib.suppress(InvalidParams):
        assert isinstance(parse_quantity(text, unit), float)


@given(st.floats(-1e9, 1e9), st.sampled_from([("deg", "arcsec"), ("h", "s"), ("km", "mm")]))
def test_there_and_back(value: float, units: tuple[str, str]) -> None:
    assert convert(convert(value, *units), *reversed(units)) == pytest.approx(value)


def test_types_tell_their_unit() -> None:
    assert [unit_of(kind) for kind in (Seconds, Arcsec | None, Declination, Duration, int)] == [
        "s",
        "arcsec",
        "deg",
        "s",
        None,
    ]
