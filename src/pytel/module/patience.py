"""How long a supervisor waits, in real seconds: it deals with computers, not with the sky."""

from __future__ import annotations

import msgspec

from pytel.base import ids


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How a supervisor treats processes that die, stand still or do not end.

    - `first_pause`, doubling to `longest_pause`: before one that died is started again; the first one again for a
      process that has run for `steady`.
    - `silence`: without a sign of life a process is taken to hang; `start`: until it gives the first one.
    - `dump`: for writing its stack before it is killed; `margin`: beyond the time its modules want for their end.
    """

    first_pause: float = 0.5
    longest_pause: float = 60.0
    steady: float = 60.0
    silence: float = 30.0
    start: float = 60.0
    dump: float = 5.0
    margin: float = 10.0


class Backoff:
    """The pauses between one start and the next."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._next = patience.first_pause

    def pause_after(self, lived: float) -> float:
        """How long to wait after a process that has lived so long."""
        if lived >= self._patience.steady:
            self._next = self._patience.first_pause
        pause, self._next = self._next, min(self._patience.longest_pause, self._next * 2)
        return pause * ids.uniform(0.8, 1.2)
