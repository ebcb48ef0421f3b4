"""Events and states: from the publisher's call to the handlers of 1, 10 and 50 modules; none lost, none twice."""

from __future__ import annotations

import functools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.measure import Figure
from benchmarks.messaging import cast
from benchmarks.messaging.cast import Stage, ready
from benchmarks.messaging.processes import DEADLINE, ActorFailed, ActorProcess, actors, say, until_quiet
from benchmarks.messaging.servers import LISTENERS, Running
from benchmarks.messaging.settings import Settings

PROCESSES = {1: 1, 10: 2, 50: 5}
"""How many processes the listening modules share, on all sides alike."""
FLOOR = "floor: bare messages, ejabberd"
PAUSE = 0.05
_PROBES = 1_000_000
_LATE = 3.0
"""Seconds without anything after which what is missing counts as lost."""


class Heard(NamedTuple):
    """Publications of one round: milliseconds to all, to the first and to the last module; what went wrong."""

    every: list[float]
    first: list[float]
    last: list[float]
    lost: int
    twice: int


class Audience(NamedTuple):
    """A publisher and those who listen."""

    publisher: ActorProcess
    listeners: list[ActorProcess]
    modules: int


Rounds = dict[tuple[str, str, int], list[Heard]]


def measure(servers: dict[str, Running], settings: Settings) -> Rounds:
    """All contestants in turn, for each size of the audience."""
    rounds: Rounds = {}
    for modules in (1, 10) if settings.quick else PROCESSES:
        with actors() as begun:
            stage = Stage(servers, settings.peer, begun)
            say(f"{modules} listening modules start on each side")
            audiences = _audiences(stage, modules)
            for name, audience in audiences.items():
                _until_all_hear(name, audience)
            if not until_quiet(stage.pids()):
                say("  (some process does not rest)")
            for number in range(settings.rounds):
                say(f"events and states to {modules}, round {number + 1} of {settings.rounds}")
                for kind in ("event", "state"):
                    for name, audience in audiences.items():
                        if kind == "event" or name != FLOOR:
                            heard = _publish(audience, kind, number * settings.events, settings.events)
                            rounds.setdefault((name, kind, modules), []).append(heard)
    return rounds


def _audiences(stage: Stage, modules: int) -> dict[str, Audience]:
    names = LISTENERS[:modules]
    strangers = [f"f{name}" for name in names]
    made = {
        FLOOR: _audience(
            stage.floor("ejabberd", "publisher", ["asker"], listeners=strangers),
            functools.partial(stage.floor, "ejabberd", "listeners"),
            strangers,
        ),
        cast.PEER: _audience(
            stage.theirs("publisher", ["publisher"]),
            functools.partial(stage.theirs, "listeners", publisher="publisher"),
            names,
        ),
    }
    for label, server in ((cast.OURS, "ejabberd"), (cast.OURS_PROSODY, "prosody")):
        listen = functools.partial(stage.ours, server, "listeners")
        made[label] = _audience(stage.ours(server, "publisher", ["publisher"]), listen, names)
    ready(*(process for one in made.values() for process in (one.publisher, *one.listeners)))
    return made


def _audience(publisher: ActorProcess, listen: Callable[..., ActorProcess], names: Sequence[str]) -> Audience:
    shares = PROCESSES[len(names)]
    parts = [range(start, len(names), shares) for start in range(shares)]
    listeners = [listen([names[number] for number in part], numbers=list(part)) for part in parts]
    return Audience(publisher, listeners, len(names))


def _until_all_hear(name: str, audience: Audience) -> None:
    """Publish until each module has heard both kinds. Raises `ActorFailed`."""
    wanted = {(module, kind) for module in range(audience.modules) for kind in ("event", "state")}
    if name == FLOOR:
        wanted = {pair for pair in wanted if pair[1] == "event"}
    ends, number = time.monotonic() + DEADLINE, _PROBES
    while wanted:
        if time.monotonic() > ends:
            raise ActorFailed(f"{name}: {len(wanted)} of the modules hear nothing")
        for kind in {kind for _, kind in wanted}:
            number += 1
            audience.publisher.ask("publish", kind=kind, first=number, count=1, pause=0.3)
        wanted -= {(module, kind) for module, kind, *_ in _collected(audience)}


def _collected(audience: Audience) -> list[tuple[int, str, int, float]]:
    for process in audience.listeners:
        process.order("heard")
    return [tuple(one) for process in audience.listeners for one in process.answer()["heard"]]


def _publish(audience: Audience, kind: str, first: int, count: int) -> Heard:
    _collected(audience)
    told = audience.publisher.ask("publish", kind=kind, first=first, count=count, pause=PAUSE)
    sent = {int(number): float(when) for number, when in told["sent"]}
    heard: list[tuple[int, int, float]] = []
    last_word = time.monotonic()
    while time.monotonic() - last_word < _LATE and len(heard) < audience.modules * count:
        fresh = [(module, number, when) for module, what, number, when in _collected(audience) if what == kind]
        heard += [one for one in fresh if one[1] in sent]
        if fresh:
            last_word = time.monotonic()
        time.sleep(0.1)
    time.sleep(0.3)
    heard += [(module, number, when) for module, what, number, when in _collected(audience) if what == kind]
    return judged(sent, heard, audience.modules)


def judged(sent: Mapping[int, float], heard: Sequence[tuple[int, int, float]], modules: int) -> Heard:
    """Hold what was heard (module, number, when) against what was sent."""
    times: dict[int, list[float]] = {}
    tally = Counter((module, number) for module, number, _ in heard)
    for _, number, when in heard:
        times.setdefault(number, []).append((when - sent[number]) * 1e3)
    return Heard(
        every=[value for values in times.values() for value in values],
        first=[min(values) for values in times.values()],
        last=[max(values) for values in times.values()],
        lost=modules * len(sent) - len(tally),
        twice=sum(tally.values()) - len(tally),
    )


def figure(rounds: Sequence[Heard], what: str) -> Figure:
    """The median of the rounds' medians, with their spread."""
    values = [statistics.median(getattr(heard, what) or [float("nan")]) for heard in rounds]
    return Figure(statistics.median(values), min(values), max(values))


def table(rounds: Rounds) -> list[tuple[str, ...]]:
    """One row for each contestant, kind and size."""
    rows: list[tuple[str, ...]] = [
        (
            "events and states",
            "kind",
            "modules",
            "p50 ms (low–high)",
            "first p50",
            "first p99",
            "last p50",
            "last p99",
            "lost",
            "twice",
        )
    ]
    for (name, kind, modules), heard in rounds.items():
        first, last = (sorted(value for one in heard for value in getattr(one, what)) for what in ("first", "last"))
        rows.append(
            (
                name,
                kind,
                str(modules),
                str(figure(heard, "every")),
                *(f"{_part(values, share):.2f}" for values in (first, last) for share in (0.5, 0.99)),
                str(sum(one.lost for one in heard)),
                str(sum(one.twice for one in heard)),
            )
        )
    return rows


def _part(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
