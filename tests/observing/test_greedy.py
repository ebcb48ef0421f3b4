from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.location import Location
from pytel.interfaces.tasks import Constraints, Exposures, Target, Task, TaskEntry, TaskStatus
from pytel.observing.greedy import (
    SLEW,
    Candidate,
    candidate,
    choose,
    done_fraction,
    is_open,
    missing_exposures,
    next_start,
)
from pytel.observing.night import NightTimes, merged, night_at, overlap, total
from pytel.observing.windows import Windows
from pytel.sky.coordinates import radec_to_altaz

PLACE = Location(latitude=-32.38, longitude=20.81, elevation=1771.0)
NIGHT = night_at(datetime(2026, 3, 17, 12, tzinfo=UTC).timestamp(), PLACE, -12.0, -18.0)
assert NIGHT is not None
TONIGHT: NightTimes = NIGHT
WINDOWS = Windows(TONIGHT.open, TONIGHT.close, PLACE)


def task(name: str, ra: float = 150.0, dec: float = -32.0, count: int = 3, **more: object) -> Task:
    exposures = (Exposures(exposure_time=100.0, count=count), Exposures(exposure_time=50.0, filter="V"))
    return Task(id=name, name=name, target=Target(name=name, ra=ra, dec=dec), exposures=exposures, **more)  # type: ignore[arg-type]


places = st.tuples(st.floats(0, 359), st.floats(-89, 40), st.floats(0, 3), st.integers(1, 80), st.booleans())


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(places, max_size=8), st.floats(0.0, 0.999))
def test_what_is_chosen_can_be_done_and_nothing_better_is_left(
    items: list[tuple[float, float, float, int, bool]], share: float
) -> None:
    now = TONIGHT.open + share * (TONIGHT.close - TONIGHT.open)
    tasks = [
        candidate(task(f"t{i}", ra, dec, count, priority=priority), {0} if begun else set(), begun=begun)
        for i, (ra, dec, priority, count, begun) in enumerate(items)
    ]
    candidates = [item for item in tasks if item is not None]
    choice = choose(candidates, now, WINDOWS)
    fitting = [c for c in candidates if (end := WINDOWS.end_of(c.task, now)) and now + SLEW + c.remaining <= end]
    if choice is None:
        assert not fitting
        later = next_start(candidates, now, WINDOWS)
        assert later is None or later > now
        return
    chosen = next(item for item in candidates if item.task == choice.task)
    altitude, _ = radec_to_altaz(chosen.task.target.ra, chosen.task.target.dec, now, PLACE)
    assert altitude >= 29.9
    assert now + SLEW + chosen.next_exposure <= choice.until
    if choice.complete:
        for other in fitting:
            assert (not chosen.begun, -chosen.task.priority) <= (not other.begun, -other.task.priority)


def left(what: Task, done: set[int]) -> Candidate:
    item = candidate(what, done, begun=bool(done))
    assert item is not None
    return item


def chosen(candidates: list[Candidate], now: float) -> str:
    choice = choose(candidates, now, WINDOWS)
    assert choice is not None
    return choice.task.id


def test_begun_then_priority_then_setting_soonest() -> None:
    now = (TONIGHT.open + TONIGHT.close) / 2
    west, east = task("west", ra=150.0), task("east", ra=200.0)
    both = [left(east, set()), left(west, set())]
    assert chosen(both, now) == "west"
    important = task("east", ra=200.0, priority=2.0)
    both[0] = left(important, set())
    assert chosen(both, now) == "east"
    both[1] = left(west, {0})
    assert chosen(both, now) == "west"


def test_windows_keep_to_the_constraints() -> None:
    limits = Constraints(
        not_before=datetime(2026, 3, 17, 21, tzinfo=UTC), not_after=datetime(2026, 3, 17, 22, tzinfo=UTC)
    )
    ((start, end),) = WINDOWS.of(task("timed", constraints=limits))
    assert (start, end) == (limits.not_before.timestamp(), limits.not_after.timestamp())  # type: ignore[union-attr]
    assert WINDOWS.of(task("north", dec=80.0)) == []


def test_missing_and_fraction() -> None:
    subject = task("a")
    assert missing_exposures(subject, {0, 2}) == [1, 3]
    assert done_fraction(subject, {0, 3}) == pytest.approx(150 / 350)
    assert candidate(subject, {0, 1, 2, 3}, begun=True) is None


def test_which_tasks_are_open() -> None:
    noon = datetime(2026, 3, 17, 11, tzinfo=UTC)
    yesterday, tonight = noon - timedelta(hours=8), noon + timedelta(hours=8)
    once, nightly = task("once"), task("nightly", every_night=True)

    def entry(what: Task, status: TaskStatus, changed: datetime) -> TaskEntry:
        return TaskEntry(task=what, status=status, changed=changed)

    assert is_open(entry(once, TaskStatus.PENDING, yesterday), noon)
    assert is_open(entry(once, TaskStatus.RUNNING, yesterday), noon)
    assert not is_open(entry(once, TaskStatus.DONE, yesterday), noon)
    assert is_open(entry(nightly, TaskStatus.DONE, yesterday), noon)
    assert is_open(entry(nightly, TaskStatus.FAILED, yesterday), noon)
    assert not is_open(entry(nightly, TaskStatus.DONE, tonight), noon)
    assert not is_open(entry(nightly, TaskStatus.CANCELLED, yesterday), noon)


def test_nights() -> None:
    assert str(TONIGHT.date) == "2026-03-17"
    assert TONIGHT.dark is not None
    assert TONIGHT.begin < TONIGHT.open < TONIGHT.dark[0] < TONIGHT.dark[1] < TONIGHT.close < TONIGHT.end
    again = night_at(TONIGHT.close - 1.0, PLACE, -12.0, -18.0)
    after = night_at(TONIGHT.close + 1.0, PLACE, -12.0, -18.0)
    assert again is not None
    assert again.date == TONIGHT.date
    assert after is not None
    assert after.open > TONIGHT.close
    pole = Location(latitude=89.0, longitude=0.0)
    summer, winter = (datetime(2026, month, 21, 12, tzinfo=UTC).timestamp() for month in (6, 12))
    assert night_at(summer, pole, -12.0, -18.0) is None
    long = night_at(winter, pole, -12.0, -18.0)
    assert long is not None
    assert long.close - long.open == 86400.0


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda p: (float(min(p)), float(max(p)))))


@given(spans, spans)
def test_arithmetic_of_spans(one: list[tuple[float, float]], two: list[tuple[float, float]]) -> None:
    def seconds(items: list[tuple[float, float]]) -> set[int]:
        return {second for low, high in items for second in range(int(low), int(high))}

    assert total(one) == len(seconds(one))
    assert seconds(overlap(one, two)) == seconds(one) & seconds(two)
    assert seconds(merged(one)) == seconds(one)
