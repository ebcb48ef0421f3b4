"""What the reduction has done: on disk before anybody is told, so that a kill at any instant costs one step at most.

Three kinds of lines: a file that was *made* and waits to be stored, a raw's *result*, a *master*.
"""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path

import msgspec
from msgspec import Struct

from pytel.archive.journal import append_to_journal, read_journal
from pytel.archive.reduction.choice import Master
from pytel.interfaces.reduction import ReducedImage


class Made(Struct, frozen=True, kw_only=True):
    """A finished file under `work/<name>`; what it is for is its name."""

    name: str
    size: int
    sha256: str


class Result(Struct, frozen=True, kw_only=True):
    """The reduced image of a raw one of some night."""

    night: date
    reduced: ReducedImage


class Ledger:
    """Blocking; one process owns it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made: dict[str, Made] = {}
        self.results: dict[str, Result] = {}
        """By id of the raw image."""
        self.masters: dict[str, Master] = {}
        """By id of the master."""
        self.nights: set[date] = set()
        """Nights that are complete."""

    def open(self) -> Ledger:
        """Read what was done; a line that a crash cut short, or of another form, never was."""
        for line in read_journal(self._path):
            with contextlib.suppress(msgspec.ValidationError):
                match line:
                    case {"made": dict(value)}:
                        self._take(msgspec.convert(value, Made))
                    case {"result": dict(value)}:
                        self._take(msgspec.convert(value, Result))
                    case {"master": dict(value)}:
                        self._take(msgspec.convert(value, Master))
                    case {"night": str(value)}:
                        self.nights.add(date.fromisoformat(value))
                    case _:
                        pass
        return self

    def note(self, entry: Made | Result | Master) -> None:
        """Put an entry on disk. Raises `StorageFull`."""
        append_to_journal(self._path, {type(entry).__name__.lower(): msgspec.to_builtins(entry)})
        self._take(entry)

    def note_night(self, night: date) -> None:
        """A night is complete."""
        append_to_journal(self._path, {"night": night.isoformat()})
        self.nights.add(night)

    def _take(self, entry: Made | Result | Master) -> None:
        match entry:
            case Made():
                self.made[entry.name] = entry
            case Result():
                self.results[entry.reduced.raw] = entry
            case Master():
                self.masters[entry.frame.image.id] = entry
