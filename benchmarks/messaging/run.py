"""The whole of the messaging benchmark: parts in turn, tables, claims."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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


class _Pages:
    """The tables, printed when everything is measured and it is known how quiet the machine was."""

    def __init__(self) -> None:
        self.tables: list[tuple[str, list[Row]]] = []
        self.claims: list[Claim] = []
        self.faults: list[str] = []

    def add(self, title: str, rows: list[Row]) -> None:
        """Another table."""
        self.tables.append((f"Messaging {title}", rows))


def run(arguments: Sequence[str]) -> None:
    """Measure and print; ends with status 1 when a publication of ours was lost or came twice."""
    settings = settings_of(arguments, peer_python("pyobs"))
    neighbours, pages = Neighbourhood(), _Pages()
    say("servers start")
    with running_servers(*lives.THEIRS) as servers:
        _measure(servers, settings, pages)
    notes = _notes(settings, neighbours.share_of_others())
    for title, rows in pages.tables:
        report(title, rows, *PACKAGES, notes=notes)
    report("Messaging claims", [claims.HEAD, *(claim.row() for claim in pages.claims)], *PACKAGES, notes=notes)
    if pages.faults:
        sys.exit("\n".join(pages.faults))


def _measure(servers: dict[str, Running], settings: Settings, pages: _Pages) -> None:
    if "calls" in settings.only:
        bursts = calls.measure(servers, settings)
        pages.add("calls", calls.table(bursts))
        pages.claims += claims.of_calls(bursts)
    if "events" in settings.only:
        heard = events.measure(servers, settings)
        pages.add("events", events.table(heard))
        pages.claims += claims.of_events(heard)
        pages.faults += claims.wrong(heard)
    if "lives" in settings.only:
        measured = lives.measure(servers, settings)
        pages.add("starts", lives.start_table(measured))
        pages.add("memory", lives.memory_table(measured))
        pages.claims += claims.of_lives(measured)


def _notes(settings: Settings, others: float) -> list[str]:
    quiet = "" if others < NOISE else ": the figures are spoiled, only ratios say something"
    return [
        f"peer: {peer_versions(settings.peer, 'pyobs-core', 'slixmpp')}; servers: {versions_of_servers()}",
        "pytel and the floors: pytel's own servers with TLS; the peer: an ejabberd with the settings that it asks for",
        f"rounds: {settings.rounds}{', quick' if settings.quick else ''}, contestants in turn; "
        f"other programs used {others:.0%} of the processors{quiet}",
    ]
