from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.limits import Fault
from pytel.automation.verdict import Verdict

Step = tuple[frozenset[str], int]
TIMES = {"rain": 600.0, "wind": 120.0, "sun": 0.0}


def faults_of(keys: frozenset[str], **more: float) -> list[Fault]:
    return [Fault(key, key, TIMES[key], **more) for key in sorted(keys)]


@given(st.lists(st.tuples(st.sets(st.sampled_from(sorted(TIMES))).map(frozenset), st.integers(1, 400)), max_size=60))
def test_safe_only_when_each_has_been_away_for_its_own_time(steps: list[Step]) -> None:
    verdict = Verdict(0.0, clear_after=300.0)
    now, clear = 0.0, {"start": 300.0}
    before: frozenset[str] = frozenset()
    for keys, seconds in steps:
        now += seconds
        clear |= {key: now + TIMES[key] for key in keys | before}
        before = keys
        verdict.update(faults_of(keys), now)
        expected = not keys and all(until <= now for until in clear.values())
        assert verdict.safe is expected
        assert verdict.safe is not bool(verdict.reasons)
        assert verdict.since <= now


def judged(verdict: Verdict, faults: list[Fault], now: float) -> bool:
    verdict.update(faults, now)
    return verdict.safe


@given(st.floats(0.0, 18.0), st.floats(0.0, 18.0))
def test_a_single_bad_reading_costs_its_time_to_clear_and_no_more(period: float, late: float) -> None:
    verdict = Verdict(0.0, clear_after=300.0)
    assert judged(verdict, [], 1000.0)
    assert not judged(verdict, faults_of(frozenset({"wind"}), seen=1000.0), 1000.0 + late)
    assert not judged(verdict, [], 1000.0 + late + period)
    assert verdict.good_from == 1120.0
    assert judged(verdict, [], 1120.0)


def test_it_says_what_it_still_waits_for() -> None:
    verdict = Verdict(0.0, clear_after=300.0)
    told: list[tuple[bool, tuple[str, ...]]] = []
    wind = Fault("wind", "wind of 16.0 m/s", 120.0, 280.0)
    for faults, now in (([], 10.0), ([wind], 281.0), ([], 290.0), ([], 291.0), ([], 400.0)):
        told.append((verdict.update(faults, now), verdict.reasons))
    assert told == [
        (True, ("good again, 290 s more to wait after: the start",)),
        (True, ("wind of 16.0 m/s",)),
        (True, ("good again, 110 s more to wait after: wind of 16.0 m/s",)),
        (False, ("good again, 109 s more to wait after: wind of 16.0 m/s",)),  # only the seconds have changed
        (True, ()),
    ]


def test_after_the_start_it_waits_as_long_as_the_longest_rule() -> None:
    verdict = Verdict(0.0, clear_after=300.0, first=1800.0)
    assert not judged(verdict, [], 1799.0)
    assert judged(verdict, [], 1800.0)
