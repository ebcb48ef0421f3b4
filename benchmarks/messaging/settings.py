"""How much is measured."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PARTS = ("calls", "events", "lives")


class Settings(NamedTuple):
    """What the command line asked for; `calls` one after the other and `events` published, each in every round."""

    peer: Path
    rounds: int
    quick: bool
    only: tuple[str, ...]
    calls: int
    events: int


def settings_of(arguments: Sequence[str], peer: Path) -> Settings:
    """Read the options of `python -m benchmarks messaging`."""
    parser = argparse.ArgumentParser("benchmarks messaging")
    parser.add_argument("--rounds", type=int, help="how often each contestant has its turn (5; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="fewer of everything: figures to look at, not to quote")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts only")
    asked = parser.parse_args(arguments)
    return Settings(
        peer=peer,
        rounds=asked.rounds or (2 if asked.quick else 5),
        quick=asked.quick,
        only=tuple(asked.only),
        calls=200 if asked.quick else 500,
        events=10 if asked.quick else 30,
    )
