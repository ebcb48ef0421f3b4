"""When a night begins, is dark, and ends; and arithmetic with stretches of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple

from pytel.base.location import Location
from pytel.base.units import Altitude, Seconds
from pytel.sky.almanac import Night, next_night, sun_altitude

Span = tuple[float, float]
"""From and to in Unix seconds."""


class NightTimes(NamedTuple):
    """A night as the observer needs it; Unix seconds.

    `begin` and `end` are the noons around it, `open` and `close` bound the work with the open roof, `observing` that on
    tasks (flats lie outside), `dark` is when the Sun is low enough to count (None: never).
    """

    date: date
    begin: float
    open: float
    close: float
    end: float
    dark: Span | None
    observing: Span


def night_at(
    when: float, location: Location, opening: Altitude, dark: Altitude, *, flats: Altitude | None = None
) -> NightTimes | None:
    """The night that goes on at `when` or else comes next; None when the Sun stays above `opening` in it.

    `opening` and `dark` are altitudes of the Sun in degrees; with `flats` the roof is open from and until the Sun is
    at that one.
    """
    outer = opening if flats is None else max(flats, opening)
    work = next_night(when, location, twilight=outer)
    if work.dawn is not None and work.dawn <= when:
        work = next_night(work.end, location, twilight=outer)
    span = _span(work, location, outer)
    observing = _span(next_night(work.start, location, twilight=opening), location, opening)
    if span is None or observing is None:
        return None
    dark_span = _span(next_night(work.start, location, twilight=dark), location, dark)
    return NightTimes(work.date, work.start, *span, work.end, dark_span, observing)


def _span(night: Night, location: Location, altitude: Altitude) -> Span | None:
    """From dusk to dawn; polar nights may lack one of them or both."""
    if night.dusk is None and night.dawn is None and sun_altitude((night.start + night.end) / 2, location) >= altitude:
        return None
    return (night.start if night.dusk is None else night.dusk, night.end if night.dawn is None else night.dawn)


def overlap(spans: Iterable[Span], within: Iterable[Span]) -> list[Span]:
    """What two sets of stretches have in common."""
    others = list(within)
    pairs = ((max(a, c), min(b, d)) for a, b in spans for c, d in others)
    return sorted((low, high) for low, high in pairs if low < high)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time in stretches that do not overlap."""
    result: list[Span] = []
    for low, high in sorted(spans):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        elif low < high:
            result.append((low, high))
    return result


def total(spans: Iterable[Span]) -> Seconds:
    """How long stretches are together; what two share counts once."""
    return sum(high - low for low, high in merged(spans))


def utc(when: float) -> datetime:
    """Unix seconds as an aware datetime, to the millisecond."""
    return datetime.fromtimestamp(round(when, 3), UTC)
