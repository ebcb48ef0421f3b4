"""Tables both ways: units, words, times, lists, and what can never come through."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.base.units import Azimuth, Celsius, Declination, Hectopascal, MetresPerSecond, Percent, RightAscension
from pytel.module.faults import Found
from pytel.services.mapping.faults import faults_to_ours, faults_to_theirs
from pytel.services.mapping.source import Source, Table
from pytel.services.mapping.tables import ours_from, theirs_from, theirs_in_order
from pytel.services.mapping.units import TIMES, line_between, time_for, time_of


class Light(StrEnum):
    RED = "red"
    GREEN = "green"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    colour: Light = Light.RED


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    ra: RightAscension
    dec: Declination | None = None


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    inner: Inner | None = None
    az: Azimuth = 0.0
    temperature: Celsius | None = None
    pressure: Hectopascal = 1000.0
    wind: MetresPerSecond = 0.0
    cloud: Percent = 0.0
    light: Light = Light.RED
    lit: bool = False
    name: str | None = None
    count: int = 0
    when: datetime | None = None
    parts: tuple[Part, ...] = ()


def table(text: dict[str, Any]) -> Table:
    return msgspec.convert(text, dict[str, Source])


def make(text: dict[str, Any], given: Any) -> Ours:
    assert not faults(text)
    return ours_from(table(text), given, Ours)


def faults(text: dict[str, Any]) -> list[Found]:
    return list(faults_to_ours(table(text), Ours, ()))


def test_units_of_others_become_ours() -> None:
    made = make(
        {
            "inner.ra": {"from": "pos.0", "unit": "hourangle"},
            "inner.dec": {"from": "pos.1", "unit": "arcmin"},
            "temperature": {"from": "t", "unit": "degF"},
            "pressure": {"from": "p", "unit": "Pa"},
            "wind": {"from": "w", "unit": "km/h"},
            "cloud": {"from": "octas", "factor": 12.5},
        },
        {"pos": [6.0, -90], "t": 50, "p": 82000, "w": 36, "octas": 2},
    )
    assert made.inner == Inner(ra=90.0, dec=-1.5)
    assert made.temperature == pytest.approx(10.0)
    assert (made.pressure, made.wind, made.cloud) == pytest.approx((820.0, 10.0, 25.0))


@pytest.mark.parametrize(
    ("theirs", "value", "ours", "expected"),
    [
        ("degF", -40.0, "degC", -40.0),
        ("degF", 212.0, "degC", 100.0),
        ("K", 273.15, "degC", 0.0),
        ("hourangle", 24.0, "deg", 360.0),
        ("hourangle", 1.0, "arcsec", 54000.0),
        ("mmHg", 760.0, "hPa", 1013.25),
        ("inHg", 29.92125, "hPa", 1013.25),
        ("mph", 100.0, "m/s", 44.704),
        ("in/h", 1.0, "mm/h", 25.4),
        ("mm/min", 1.0, "mm/h", 60.0),
        ("1", 0.5, "%", 50.0),
    ],
)
def test_known_values(theirs: str, value: float, ours: str, expected: float) -> None:
    assert line_between(theirs, ours).ours(value) == pytest.approx(expected, abs=2e-3)


PAIRS = [
    ("hourangle", "deg"),
    ("degF", "degC"),
    ("K", "degC"),
    ("km/h", "m/s"),
    ("Pa", "hPa"),
    ("1", "%"),
    ("mph", "m/s"),
]
NUMBERS = st.floats(-1e6, 1e6)


@given(st.sampled_from(PAIRS), NUMBERS, st.floats(0.01, 100) | st.floats(-100, -0.01), NUMBERS)
def test_there_and_back_is_the_same(pair: tuple[str, str], value: float, factor: float, offset: float) -> None:
    line = line_between(*pair)
    both = type(line)(line.factor * factor, line.factor * offset + line.offset)
    back = both.theirs(both.ours(value))
    assert math.isclose(back, value, rel_tol=1e-6, abs_tol=1e-6 * max(1.0, abs(offset / factor), 500 / abs(factor)))


@given(st.sampled_from(TIMES), st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_times_there_and_back(way: str, moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    assert abs(time_of(time_for(moment, way), way) - moment).total_seconds() < 1e-4


def test_known_times() -> None:
    moment = datetime(2000, 1, 1, 12, tzinfo=UTC)
    assert [time_for(moment, way) for way in TIMES] == [
        "2000-01-01T12:00:00+00:00",
        946728000.0,
        946728000000.0,
        2451545.0,
        51544.5,
    ]
    assert make({"when": {"from": "t", "unit": "jd"}}, {"t": 2451545}).when == moment
    assert make({"when": {"from": "t"}}, {"t": "2000-01-01T12:00:00"}).when == moment


@pytest.mark.parametrize(("theirs", "ours"), [(-90.0, 270.0), (360.0, 0.0), (359.5, 359.5), (-1e-17, 0.0)])
def test_angles_are_brought_into_the_circle(theirs: float, ours: float) -> None:
    assert make({"az": {"from": "."}}, theirs).az == ours


@pytest.mark.parametrize("garbage", [400.0, -200.0, 1e308, "12", None, True, [], {}])
def test_what_is_no_angle_is_refused(garbage: Any) -> None:
    with pytest.raises(InvalidParams):
        make({"az": {"from": "."}}, garbage)


def test_words_and_constants() -> None:
    text = {
        "light": {"from": "l", "words": {"R": "red", "3": "green"}},
        "lit": {"from": "on", "words": {"1": True, "false": False}},
        "name": {"value": "lamp"},
    }
    assert make(text, {"l": 3, "on": False}) == Ours(light=Light.GREEN, lit=False, name="lamp")
    assert make(text, {"l": "R", "on": 1}).lit is True
    with pytest.raises(InvalidParams, match="light is 'Q', for which the mapping has no word"):
        make(text, {"l": "Q", "on": 1})
    back = {"l": {"from": "light", "words": {"R": "red", "3": "green"}}, "on": {"from": "lit", "words": {"1": True}}}
    assert theirs_from(table(back), {"light": "green", "lit": True}, Ours) == {"l": 3, "on": 1}
    with pytest.raises(InvalidParams, match="on is False"):
        theirs_from(table(back), {"light": "green", "lit": False}, Ours)


def test_lists_both_ways() -> None:
    text = {"parts": {"from": "bits", "each": {"number": {"from": "n"}, "colour": {"from": "c"}}}}
    assert make(text, {"bits": [{"n": 1, "c": "red"}, {"n": 2, "c": "green"}]}).parts[1] == Part(
        number=2, colour=Light.GREEN
    )
    back = {"bits": {"from": "parts", "each": {"n": {"from": "number"}}}}
    assert theirs_from(table(back), {"parts": [{"number": 1}, {"number": 7}]}, Ours) == {"bits": [{"n": 1}, {"n": 7}]}
    with pytest.raises(InvalidParams, match="parts is 7, but must be a list"):
        make(text, {"bits": 7})
    with pytest.raises(InvalidParams, match="number is not there"):
        make(text, {"bits": [{"c": "red"}]})


def test_what_is_missing() -> None:
    with pytest.raises(InvalidParams, match=r"az is not there: nothing is said at 'a\.b\.7'"):
        make({"az": {"from": "a.b.7"}}, {"a": {"b": [1, 2]}})
    assert make({"az": {"from": "a", "optional": True}}, {}) == Ours()
    assert make({"temperature": {"from": "t"}}, {"t": None}).temperature is None
    back = {"t": {"from": "temperature"}, "u": {"from": "temperature", "optional": True}}
    assert theirs_from(table(back), {"temperature": None}, Ours) == {"t": None}


def test_by_position() -> None:
    sources = [Source(source="inner.ra", unit="hourangle"), Source(value="J2000"), Source(source="name", optional=True)]
    assert theirs_in_order(sources, {"inner": {"ra": 15.0}, "name": "M 1"}, Ours) == [1.0, "J2000", "M 1"]
    assert theirs_in_order(sources, {"inner": {"ra": 15.0}, "name": None}, Ours) == [1.0, "J2000"]


@pytest.mark.parametrize(
    ("text", "where", "sentence"),
    [
        ({"temperatur": {"from": "a"}}, ("temperatur",), "did you mean 'temperature'"),
        ({"inner.dec": {"from": "a"}}, (), "'inner.ra' is missing"),
        ({"inner.raa": {"from": "a"}, "inner.ra": {"from": "b"}}, ("inner.raa",), "did you mean 'ra'"),
        ({"az": {}}, ("az",), "either 'from' or 'value'"),
        ({"az": {"from": "a", "value": 3}}, ("az",), "either 'from' or 'value'"),
        ({"az": {"from": ""}}, ("az", "from"), "empty path"),
        ({"az": {"from": "a", "unit": "km/h"}}, ("az", "unit"), "'km/h' does not fit"),
        ({"az": {"from": "a", "unit": "degF"}}, ("az", "unit"), "cannot be converted"),
        ({"name": {"from": "a", "unit": "deg"}}, ("name",), "is no number"),
        ({"count": {"from": "a", "unit": "deg"}}, ("count", "unit"), "has no unit"),
        ({"az": {"from": "a", "factor": 0.0}}, ("az", "factor"), "another number than 0"),
        ({"when": {"from": "a", "unit": "deg"}}, ("when", "unit"), "known are iso"),
        ({"light": {"from": "a", "words": {"X": "geen"}}}, ("light", "words", "X"), "did you mean 'green'"),
        ({"lit": {"from": "a", "words": {"X": 1}}}, ("lit", "words", "X"), "no word 1 for lit"),
        ({"light": {"value": "blue"}}, ("light", "value"), "never 'blue'"),
        ({"parts": {"from": "a"}}, ("parts",), "under 'each'"),
        ({"az": {"from": "a", "each": {}}}, ("az", "each"), "is no list"),
        ({"parts": {"from": "a", "each": {"colour": {"from": "b"}}}}, ("parts", "each"), "'number' is missing"),
    ],
)
def test_faults_of_a_table(text: dict[str, Any], where: tuple[str, ...], sentence: str) -> None:
    found = faults(text)
    assert [path for path, _ in found] == [where]
    assert sentence in found[0][1]


def test_faults_of_a_table_of_theirs() -> None:
    text = {"a": {"from": "azz"}, "b": {"from": "wind", "unit": "Pa"}, "c": {"value": 1}, "d": {"from": "inner.ra.x"}}
    assert [path for path, _ in faults_to_theirs(table(text), Ours, ())] == [
        ("a", "from"),
        ("b", "unit"),
        ("d", "from"),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abct"), inner, max_size=4),
    max_leaves=12,
)
EVERYTHING = {
    "inner.ra": {"from": "a", "unit": "hourangle"},
    "az": {"from": "b"},
    "temperature": {"from": "t", "unit": "degF", "optional": True},
    "light": {"from": "c", "words": {"1": "red", "x": "green"}},
    "when": {"from": "a", "unit": "unix", "optional": True},
    "count": {"from": "b", "factor": 2.0},
    "name": {"from": "c"},
    "parts": {"from": "t", "each": {"number": {"from": "."}}, "optional": True},
}


@given(JSON | st.fixed_dictionaries(dict.fromkeys("abct", JSON)))
def test_garbage_is_refused_or_is_right(given_json: Any) -> None:
    try:
        made = ours_from(table(EVERYTHING), given_json, Ours)
    except InvalidParams:
        return
    assert made.inner is not None
    assert 0 <= made.inner.ra < 360
    assert 0 <= made.az < 360


@given(st.dictionaries(st.sampled_from(["az", "temperature", "light", "when", "name", "parts", "lit"]), JSON))
@example({"temperature": 10**400})
def test_what_cannot_be_sent_is_refused(ours: dict[str, Any]) -> None:
    text = {name: {"from": name} for name in ("az", "light", "when")} | {
        "t": {"from": "temperature", "unit": "degF"},
        "p": {"from": "parts", "each": {"n": {"from": "number"}}},
        "l": {"from": "lit", "words": {"1": True}},
    }
    with contextlib.suppress(InvalidParams):
        theirs_from(table(text), ours, Ours)
