"""The whole of the messaging benchmark: parts in turn, each with its tables and claims."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from benchmarks.measure import report
from benchmarks.messaging import calls, claims, events, lives
from benchmarks.messaging.claims import Claim
from benchmarks.messaging.processes import Neighbourhood, say
from benchmarks.messaging.servers import Running, running_servers, versions_of_servers
from benchmarks.messaging.settings import Settings, settings_of
from benchmarks.peers.environment import peer_python, peer_versions

PACKAGES = ("pytel-ocs", "slixmpp", "msgspec")
NOISE = 0.1
"""Share of the processors that others may use before figures are no longer quotable."""
Row = tuple[str, ...]


class Part(NamedTuple):
    """What one part found: tables by title, claims, and faults that end the benchmark with an error."""

    tables: dict[str, list[Row]]
    claims: Iterable[Claim]
    faults: Sequence[str] = ()


def run(arguments: Sequence[str]) -> None:
    """Measure and print; ends with status 1 when a publication of ours was lost or came twice."""
    settings = settings_of(arguments, peer_python("pyobs"))
    versions = f"peer: {peer_versions(settings.peer, 'pyobs-core', 'slixmpp')}; servers: {versions_of_servers()}"
    faults: list[str] = []
    say("servers start")
    with running_servers(*lives.THEIRS) as servers:
        for name in settings.only:
            neighbours = Neighbourhood()
            part = _PARTS[name](servers, settings)
            notes = [versions, *_notes(settings, neighbours.share_of_others())]
            for title, rows in part.tables.items():
                report(f"Messaging {title}", rows, *PACKAGES, notes=notes)
            rows = [claims.HEAD, *(claim.row() for claim in part.claims)]
            report(f"Messaging {name}: claims", rows, *PACKAGES, notes=notes)
            sys.stdout.flush()
            faults += part.faults
    if faults:
        sys.exit("\n".join(faults))


def _calls(servers: dict[str, Running], settings: Settings) -> Part:
    bursts = calls.measure(servers, settings)
    return Part({"calls": calls.table(bursts)}, claims.of_calls(bursts))


def _events(servers: dict[str, Running], settings: Settings) -> Part:
    heard = events.measure(servers, settings)
    return Part({"events": events.table(heard)}, claims.of_events(heard), claims.wrong(heard))


def _lives(servers: dict[str, Running], settings: Settings) -> Part:
    measured = lives.measure(servers, settings)
    tables = {"starts": lives.start_table(measured), "memory": lives.memory_table(measured)}
    return Part(tables, claims.of_lives(measured))


_PARTS: dict[str, Callable[[dict[str, Running], Settings], Part]] = {
    "calls": _calls,
    "events": _events,
    "lives": _lives,
}


def _notes(settings: Settings, others: float) -> list[str]:
    quiet = "" if others < NOISE else ": the figures are spoiled, only ratios say something"
    return [
        "pytel and the floors: pytel's own servers with TLS; the peer: an ejabberd with the settings that it asks for",
        f"rounds: {settings.rounds}{', quick' if settings.quick else ''}, contestants in turn; "
        f"other programs used {others:.0%} of the processors{quiet}",
    ]
