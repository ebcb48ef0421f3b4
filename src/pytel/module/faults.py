"""What is wrong in a file that a person wrote: one sentence each, with file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pytel.base.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists."""
Found = tuple[KeyPath, str]
"""What a struct finds wrong with itself: where, from its own beginning, and a sentence."""


class Place(NamedTuple):
    """A position in a file, counted from 1."""

    line: int
    column: int = 1


class Fault(NamedTuple):
    """One thing that is wrong, as a sentence, and where it stands."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Lines:
    """Where the keys and values of a file stand.

    `file` is how the file is called in sentences; `directory` is what relative paths in it refer to.
    """

    def __init__(self, file: str, directory: Path | None = None) -> None:
        self.file = file
        self.directory = directory
        self._keys: dict[KeyPath, Place] = {}
        self._values: dict[KeyPath, Place] = {}

    def record(self, path: KeyPath, key: Place | None, value: Place) -> None:
        """Remember where a value (and its key) stands; the first mention counts."""
        if key is not None:
            self._keys.setdefault(path, key)
        self._values.setdefault(path, value)

    def key(self, path: Sequence[str | int]) -> Place:
        """Where the key of a value stands, or the nearest thing around it."""
        return self._nearest(self._keys, tuple(path))

    def value(self, path: Sequence[str | int]) -> Place:
        """Where a value stands, or the nearest thing around it."""
        return self._nearest(self._values, tuple(path))

    def _nearest(self, first: dict[KeyPath, Place], path: KeyPath) -> Place:
        while True:
            found = first.get(path) or self._values.get(path)
            if found is not None:
                return found
            if not path:
                return Place(1)
            path = path[:-1]

    def fault(self, path: Sequence[str | int], message: str) -> Fault:
        """Make a fault that points to the key of a value; one line, whatever is quoted in it."""
        return Fault(self.file, self.key(path).line, " ".join(message.splitlines()))


def nearest(word: str, known: Iterable[str]) -> str:
    """Say in half a sentence what may have been meant: the nearest known word, else all of them."""
    words = sorted(known)
    lowered = {item.lower(): item for item in words}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.55)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    if not words:
        return "none is known here"
    shown = ", ".join(words[:20])
    return f"known are {shown}" + (" and others" if len(words) > 20 else "")


def raise_for(faults: Sequence[Fault]) -> None:
    """Raise `ConfigError` with all sentences, if there are any; `data["faults"]` has them one by one."""
    if faults:
        sentences = [str(fault) for fault in sorted(faults, key=lambda fault: (fault.file, fault.line))]
        raise ConfigError("\n".join(sentences), faults=sentences)
