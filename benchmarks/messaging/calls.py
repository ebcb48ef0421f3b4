"""Calls: time of each with one under way, and how many a second with many under way."""

from __future__ import annotations

import statistics
from typing import NamedTuple

from benchmarks.measure import Figure
from benchmarks.messaging import cast
from benchmarks.messaging.cast import Stage, ready
from benchmarks.messaging.processes import ActorProcess, actors, say, until_quiet
from benchmarks.messaging.servers import Running
from benchmarks.messaging.settings import Settings

WARM_UP = 200
CROWDS = (500, 3000)
"""How many calls are under way at once beside 1 and 50; the peer goes to the first."""


class Burst(NamedTuple):
    """Calls of one round."""

    p50: float
    p99: float
    rate: float
    processor: float
    """Milliseconds, calls a second, microseconds of the caller's processor time for each."""


Rounds = dict[tuple[str, int], list[Burst]]


def measure(servers: dict[str, Running], settings: Settings) -> Rounds:
    """All contestants in turn, round by round."""
    with actors() as begun:
        stage = Stage(servers, settings.peer, begun)
        callers = _callers(stage)
        for caller in callers.values():
            caller.ask("calls", count=WARM_UP, in_flight=1)
        if not until_quiet(stage.pids()):
            say("  (some process does not rest)")
        rounds: Rounds = {}
        for number in range(settings.rounds):
            say(f"calls, round {number + 1} of {settings.rounds}")
            for name, caller in callers.items():
                for in_flight in _crowds(name, settings):
                    burst = _burst(caller, in_flight, settings)
                    rounds.setdefault((name, in_flight), []).append(burst)
        return rounds


def _crowds(name: str, settings: Settings) -> tuple[int, ...]:
    if name in (cast.PEER_TLS, cast.PING) or settings.quick:
        return (1, 50)
    return (1, 50, CROWDS[0]) if name == cast.PEER else (1, 50, *CROWDS)


def _callers(stage: Stage) -> dict[str, ActorProcess]:
    ours = {server: stage.ours(server, "callee", ["callee"]) for server in ("ejabberd", "prosody")}
    floors = {server: stage.floor(server, "callee", ["answerer"]) for server in ("ejabberd", "prosody")}
    theirs = stage.theirs("callee", ["callee"])
    ready(*ours.values(), *floors.values(), theirs)
    callers = {
        cast.PING: stage.floor("ejabberd", "pinger", ["pinger"], callee="answerer"),
        cast.BARE: stage.floor("ejabberd", "caller", ["asker"], callee="answerer"),
        cast.BARE_PROSODY: stage.floor("prosody", "caller", ["asker"], callee="answerer"),
        cast.PEER: stage.theirs("caller", ["caller"], callee="callee"),
        cast.PEER_TLS: stage.theirs("caller", ["caller2"], callee="callee", tls=True),
        cast.OURS: stage.ours("ejabberd", "caller", ["caller"]),
        cast.OURS_PROSODY: stage.ours("prosody", "caller", ["caller"]),
        cast.PLAIN: stage.ours("ejabberd", "caller", ["caller2"], wire="xep-0009"),
        cast.PLAIN_PROSODY: stage.ours("prosody", "caller", ["caller2"], wire="xep-0009"),
    }
    ready(*callers.values())
    return callers


def _burst(caller: ActorProcess, in_flight: int, settings: Settings) -> Burst:
    count = max(settings.calls if in_flight == 1 else 3 * settings.calls, 2 * in_flight)
    caller.ask("calls", count=20, in_flight=1)
    told = caller.ask("calls", count=count, in_flight=in_flight)
    cuts = statistics.quantiles(told["seconds"], n=100)
    return Burst(cuts[49] * 1e3, cuts[98] * 1e3, count / told["wall"], told["processor"] / count * 1e6)


def figure(bursts: list[Burst], what: str) -> Figure:
    """The median of the rounds, with their spread."""
    values = [float(getattr(burst, what)) for burst in bursts]
    return Figure(statistics.median(values), min(values), max(values))


def table(rounds: Rounds) -> list[tuple[str, ...]]:
    """One row for each contestant and number under way."""
    rows: list[tuple[str, ...]] = [("calls", "in flight", "p50 ms (low–high)", "p99 ms", "calls/s", "caller µs/call")]
    for (name, in_flight), bursts in rounds.items():
        rows.append(
            (
                name,
                str(in_flight),
                str(figure(bursts, "p50")),
                str(figure(bursts, "p99")),
                f"{figure(bursts, 'rate').median:,.0f}",
                f"{figure(bursts, 'processor').median:.0f}",
            )
        )
    return rows
