"""Plain values against structs: quantities, all faults at once, sentences with lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from pytel.base.units import Arcsec, Degrees, Duration, Fraction, Latitude, Metres, Percent, Seconds
from pytel.interfaces.images import FrameType
from pytel.module.faults import raise_for
from pytel.module.yaml_lines import MAX_BYTES, parse_struct, read_yaml


class Inner(Struct, frozen=True):
    name: str
    weight: Fraction = 1.0


class Limits(Struct, frozen=True, kw_only=True):
    radius: Arcsec = 1.0
    wait: Duration = 0.0
    height: Metres | None = None
    latitude: Latitude = 0.0
    count: Annotated[int, Meta(gt=0, lt=10)] = 1
    frame: FrameType = FrameType.OBJECT
    mode: Literal["a", "b"] = "a"
    when: datetime | None = None
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    pair: tuple[Degrees, Degrees] | None = None
    by_name: dict[str, Seconds] = {}
    either: Inner | str = ""
    code: Annotated[str, Meta(pattern="^[a-z]+$", max_length=4)] = "x"
    humidity: Percent | None = 80.0
    on: bool = False

    def __post_init__(self) -> None:
        if self.count == 7:
            raise ValueError("count must not be 7")


def parse(text: str) -> tuple[Limits | None, list[str]]:
    document = read_yaml(text, "f.yaml")
    assert document.faults == []
    value, faults = parse_struct(document.value, Limits, document.lines)
    return value, [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("radius: 2 arcmin", Limits(radius=120.0)),
        ("wait: 2 min", Limits(wait=120.0)),
        ("height: 1.8 km", Limits(height=1800.0)),
        ("height: null", Limits()),
        ("humidity: 85 %", Limits(humidity=85.0)),
        ("count: 3.0", Limits(count=3)),
        ("count: 0x5", Limits(count=5)),
        ("frame: dark", Limits(frame=FrameType.DARK)),
        ("when: 2026-06-15T18:00", Limits(when=datetime(2026, 6, 15, 18, tzinfo=UTC))),
        ("when: 2026-06-15T18:00:00+02:00", Limits(when=datetime(2026, 6, 15, 16, tzinfo=UTC))),
        ("inner: {name: a}", Limits(inner=Inner("a"))),
        ("many: [{name: a}, {name: b, weight: 50 %}]", Limits(many=(Inner("a"), Inner("b", 0.5)))),
        ("pair: [1, 30 arcmin]", Limits(pair=(1.0, 0.5))),
        ("by_name: {a: 1 h}", Limits(by_name={"a": 3600.0})),
        ("either: word", Limits(either="word")),
        ("either: {name: a}", Limits(either=Inner("a"))),
        ("a: &a {name: x}\n", None),
    ],
)
def test_values(text: str, expected: Limits | None) -> None:
    value, faults = parse(text)
    assert value == expected
    assert bool(faults) == (expected is None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("radius: wide", "radius is 'wide': 'wide' is not a number with a unit, such as '30 arcsec'"),
        ("radius: true", "radius must be a number in arcsec, such as '3 arcsec', not true"),
        ("radius: .nan", "radius must be a number in arcsec, such as '3 arcsec', not nan"),
        ("wait: -1 min", "wait is '-1 min', but must be at least 0 s"),
        ("wait: [1]", "wait must be a number in s, such as '2 min', not a list"),
        ("latitude: 5400.5 arcmin", "latitude is '5400.5 arcmin', but must be between -90 and 90 deg"),
        ("count: 0", "count is 0, but must be above 0 and below 10"),
        ("count: 2.5", "count must be a whole number, not 2.5"),
        ("count: 7", "the file: count must not be 7"),
        ("frame: darc", "frame is 'darc'; did you mean 'dark'?"),
        ("mode: c", "mode is 'c'; known are a, b"),
        ("when: soon", "when must be a time such as 2026-06-15T18:30:00Z, not 'soon'"),
        ("inner: 3", "inner must be a section with keys and values, not 3"),
        ("inner: {}", "inner lacks the key 'name'"),
        ("inner: {name: 3}", "name must be text, not 3; put it in quotes"),
        ("many: {}", "many must be a list, not a section"),
        ("many: [{nam: a, name: b}]", "unknown key 'nam' in entry 1 of many; did you mean 'name'?"),
        ("pair: [1]", "pair must have 2 entries, not 1"),
        ("by_name: {a: 1 m}", "a is '1 m': unit 'm' does not fit: 's' or 'ms' or 'min' or 'h' or 'd' is expected"),
        ("either: {nam: a}", "unknown key 'nam' in either; did you mean 'name'?"),
        ("code: ABC", "code is 'ABC', which does not have the form ^[a-z]+$"),
        ("code: abcde", "code must have at most 4 characters, not 5"),
        ("on: yes", "on must be true or false, not 'yes'"),
    ],
)
def test_sentences(text: str, sentence: str) -> None:
    value, faults = parse("\n" + text)
    assert value is None
    assert faults[0] == f"f.yaml:2: {sentence}"


def test_all_faults_of_a_file_come_with_their_own_lines() -> None:
    _, faults = parse("radius: wide\nmany:\n  - name: a\n  - name: b\n    weight: 2\nlatitude: 95\n")
    assert [fault.split(":")[1] for fault in faults] == ["1", "5", "6"]


def test_faults_are_raised_as_one_error_in_the_order_of_lines() -> None:
    from pytel.base.errors import ConfigError

    document = read_yaml("latitude: 95\nradius: x\n", "f.yaml")
    _, faults = parse_struct(document.value, Limits, document.lines)
    with pytest.raises(ConfigError) as raised:
        raise_for(faults[::-1])
    assert [sentence[:9] for sentence in raised.value.data["faults"]] == ["f.yaml:1:", "f.yaml:2:"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\na: 2\n", "f.yaml:2: 'a' stands here a second time; the first is in line 1"),
        ("a: !!python/name:os.system x\n", "f.yaml:1: the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
        ("a: &x [*x]\n", "f.yaml:1: *x refers to an anchor that was not completed before"),
        ("a: *x\n", "f.yaml:1: *x refers to an anchor that was not completed before"),
        ("[" * 60, "f.yaml:1: this is nested deeper than 40 levels"),
        ("? [a]\n: b\n", "f.yaml:1: a key must be a plain word"),
        ('a: "\\ud800"\n', "f.yaml:1: this holds half of a surrogate pair, which is no character"),
        ("a: b: c\n", "f.yaml:1: this is no YAML: mapping values are not allowed"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2: a second document begins here; write only one"),
        ("a" * (MAX_BYTES + 1), "f.yaml:1: the file is larger than 1000 kB"),
    ],
)
def test_yaml_that_is_refused(text: str, sentence: str) -> None:
    assert str(read_yaml(text, "f.yaml").faults[0]).startswith(sentence)


def test_aliases_cannot_grow_without_bound() -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    (fault,) = read_yaml(bomb, "f.yaml").faults
    assert fault.message.startswith("the file has more than 100000 values")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(Limits.__struct_fields__), VALUES, max_size=6))
def test_whatever_stands_there_is_a_value_or_a_fault(values: dict[str, Any]) -> None:
    value, faults = parse_struct(values, Limits, read_yaml("", "f.yaml").lines)
    assert (value is None) == bool(faults)
    assert all("\n" not in fault.message for fault in faults)


class Pair(Struct, frozen=True, kw_only=True):
    low: float
    high: float

    def faults(self) -> list[tuple[tuple[str, ...], str]]:
        return [(("high",), "high is lower than low")] if self.high < self.low else []


def test_a_struct_tells_what_only_it_can_see() -> None:
    value, lines, _ = read_yaml("pair:\n  low: 2\n  high: 1\n", "pairs.yaml")
    made, faults = parse_struct(value["pair"], Pair, lines, ("pair",))
    assert made is None
    assert [str(fault) for fault in faults] == ["pairs.yaml:3: high is lower than low"]
    made, faults = parse_struct({"low": 1.0, "high": 2.0}, Pair, lines)
    assert made == Pair(low=1.0, high=2.0)
    assert not faults
