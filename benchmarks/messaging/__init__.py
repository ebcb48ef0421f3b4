"""Calls, events, states, start and memory over XMPP: pytel beside pyobs-core and beside what slixmpp alone can do.

`python -m benchmarks messaging [--quick] [--rounds N] [--only calls events lives]`

All parts run in processes of their own, which take orders (see `actor`); what measures is the same code on all sides.
Nothing here is imported before it is used, so that `actor` can run in the peer's environment.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    from benchmarks.messaging.run import run

    run(arguments)
