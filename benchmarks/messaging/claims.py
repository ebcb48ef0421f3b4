"""What is claimed, as ratios: each round's own, so that what slows all of a round slows nothing here."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.measure import Figure
from benchmarks.messaging import calls, cast, events, lives
from benchmarks.messaging.calls import Burst

Row = tuple[str, ...]


class Claim(NamedTuple):
    """Ours divided by theirs: at most, or at least, `goal`."""

    what: str
    ratio: Figure
    goal: float
    at_most: bool = True

    @property
    def holds(self) -> bool:
        """Whether the median does."""
        return self.ratio.median <= self.goal if self.at_most else self.ratio.median >= self.goal

    def row(self) -> Row:
        """For the table."""
        sign = "≤" if self.at_most else "≥"
        return (self.what, str(self.ratio), f"{sign} {self.goal:g}", "holds" if self.holds else "DOES NOT HOLD")


HEAD: Row = ("claim", "ratio (low–high)", "goal", "")


def of_calls(rounds: calls.Rounds) -> Iterator[Claim]:
    """One call at a time against peer and floor; many against the peer; and whether a crowd slows them."""

    def values(name: str, in_flight: int, what: str) -> list[float]:
        bursts: list[Burst] = rounds[name, in_flight]
        return [float(getattr(burst, what)) for burst in bursts]

    ours, peer = values(cast.OURS, 1, "p50"), values(cast.PEER, 1, "p50")
    yield Claim("call, one at a time, p50: pytel (TLS) / pyobs-core (no TLS)", _ratio(ours, peer), 0.45)
    floor = values(cast.BARE, 1, "p50")
    yield Claim("call, one at a time, p50: pytel / bare IQ, ejabberd", _ratio(ours, floor), 1.25)
    on_prosody = _ratio(values(cast.OURS_PROSODY, 1, "p50"), values(cast.BARE_PROSODY, 1, "p50"))
    yield Claim("call, one at a time, p50: pytel / bare IQ, Prosody", on_prosody, 1.25)
    ours, peer = values(cast.OURS, 50, "rate"), values(cast.PEER, 50, "rate")
    yield Claim("calls/s, 50 in flight: pytel (TLS) / pyobs-core (no TLS)", _ratio(ours, peer), 5.0, at_most=False)
    for crowd in calls.CROWDS:
        if (cast.OURS, crowd) in rounds:
            many = _ratio(values(cast.OURS, crowd, "rate"), values(cast.OURS, 50, "rate"))
            yield Claim(f"calls/s of pytel: {crowd} in flight / 50 in flight", many, 0.8, at_most=False)


def of_events(rounds: events.Rounds) -> Iterator[Claim]:
    """Events and states against the peer, for each size of the audience."""
    for (name, kind, modules), heard in rounds.items():
        if name == cast.OURS:
            ours = [statistics.median(one.every) for one in heard]
            peer = [statistics.median(one.every) for one in rounds[cast.PEER, kind, modules]]
            yield Claim(f"{kind} to {modules}, p50: pytel / pyobs-core", _ratio(ours, peer), 0.5)


def of_lives(measured: lives.Lives) -> Iterator[Claim]:
    """Start and memory against the peer."""
    for module in lives.STARTED:
        if (lives.NAMES["ours"], module) in measured.starts:
            ours, theirs = (measured.starts[lives.NAMES[side], module] for side in ("ours", "theirs"))
            yield Claim(f"start of {module} to ready: pyobs-core / pytel", _ratio(theirs, ours), 4.0, at_most=False)
    ours, theirs = (
        [sum(size[0] for size in sizes.values()) for sizes in measured.sizes[lives.NAMES[side]]]
        for side in ("ours", "theirs")
    )
    yield Claim("RSS of ten modules: pytel / pyobs-core", _ratio(ours, theirs), 0.3)


def wrong(rounds: events.Rounds) -> list[str]:
    """Publications of ours that were lost or heard twice, in words."""
    told = []
    for (name, kind, modules), heard in rounds.items():
        lost, twice = sum(one.lost for one in heard), sum(one.twice for one in heard)
        if name != cast.PEER and (lost or twice):
            told.append(f"{name}: {kind}s to {modules} modules: {lost} lost and {twice} heard twice")
    return told


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return Figure(statistics.median(ratios), min(ratios), max(ratios))
