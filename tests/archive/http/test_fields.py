"""Header fields of requests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.archive.http.fields import (
    Span,
    UnsatisfiableRange,
    choose_coding,
    matches_any,
    parse_range,
    same_strong,
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-5", Span(2, 6)),
        ("bytes=5-", Span(5, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-30", Span(0, 10)),
        ("bytes=0-99", Span(0, 10)),
        ("Bytes = 1 - 2", Span(1, 3)),
        ("bytes=5-2", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=١-٢", None),
        ("lines=0-1", None),
        ("bytes 0-1", None),
    ],
)
def test_ranges(field: str | None, expected: Span | None) -> None:
    assert parse_range(field, 10) == expected


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=-0", "bytes=0-0,2-3", "bytes=" + "0-0," * 5000])
def test_ranges_beyond_the_end_and_several_are_refused(field: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(field, 10)


@given(st.text(max_size=60), st.integers(1, 100))
@settings(deadline=None)
def test_any_text_is_a_range_within_the_image_or_none(text: str, size: int) -> None:
    for field in (text, f"bytes={text}"):
        try:
            span = parse_range(field, size)
        except UnsatisfiableRange:
            continue
        assert span is None or 0 <= span.start < span.end <= size


def test_tags() -> None:
    assert matches_any('"a", W/"b"', '"b"')
    assert matches_any("*", '"b"')
    assert not matches_any('"bb"', '"b"')
    assert not matches_any(None, '"b"')
    assert same_strong('"b"', '"b"')
    assert same_strong(None, '"b"')
    assert not same_strong('W/"b"', '"b"')


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, "identity"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip", "gzip"),
        ("zstd;q=0, gzip;q=0.5", "gzip"),
        ("*", "zstd"),
        ("*;q=0", "identity"),
        ("ZSTD ; q=1.0", "zstd"),
        (";;;=,,", "identity"),
    ],
)
def test_codings(field: str | None, expected: str) -> None:
    assert choose_coding(field, ("zstd", "gzip")) == expected


@given(st.text(max_size=100))
@settings(deadline=None)
def test_any_text_names_a_coding_we_have(text: str) -> None:
    assert choose_coding(text, ("zstd", "gzip")) in ("zstd", "gzip", "identity")
    assert matches_any(text, '"a"') in (True, False)
