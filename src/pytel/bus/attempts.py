"""How often one may try to log in: so many failures at once, and a further one every few seconds."""

from __future__ import annotations

import math
from collections import OrderedDict
from time import monotonic

from pytel.base.errors import Busy
from pytel.base.units import Seconds
from pytel.bus.http.places import network

ADDRESS_FAILURES = (20, 3.0)
"""Failures that an address may have at once, and seconds until it may have one more."""
NAME_FAILURES = (20, 6.0)
"""The same for a name, from wherever it is tried."""
_MOST = 10_000
_LONGEST_NAME = 100
"""Characters of a name that are kept: whoever guesses chooses it."""


class TooManyAttempts(Busy):
    """Somebody was wrong too often; `data` has `seconds` until the next attempt."""


class Attempts:
    """The attempts to log in at one door, by the address that they come from and by the name that is tried.

    An attempt is charged before it is checked, so that many at once are no way around it; a good one is given back.
    """

    def __init__(self) -> None:
        self._by_address = Allowance(*ADDRESS_FAILURES)
        self._by_name = Allowance(*NAME_FAILURES)

    def refuse_too_many(self, address: str, name: str | None) -> None:
        """Let nobody try again too soon; a token has no `name`. Raises `TooManyAttempts`."""
        wait = self._by_address.wait(network(address))
        if name is not None:
            wait = max(wait, self._by_name.wait(name[:_LONGEST_NAME]))
        if wait > 0:
            seconds = math.ceil(wait)
            raise TooManyAttempts(f"too many wrong attempts; try again in {seconds} s", seconds=seconds)

    def charge(self, address: str, name: str | None) -> None:
        """Count an attempt. Raises `TooManyAttempts` instead."""
        self.refuse_too_many(address, name)
        self._by_address.charge(network(address))
        if name is not None:
            self._by_name.charge(name[:_LONGEST_NAME])

    def give_back(self, address: str, name: str | None) -> None:
        """The attempt was good."""
        self._by_address.give_back(network(address))
        if name is not None:
            self._by_name.give_back(name[:_LONGEST_NAME])


class Allowance:
    """Counts failures by a key: `burst` of them, then one every `pause` real seconds."""

    def __init__(self, burst: int, pause: Seconds) -> None:
        self._burst, self._pause = burst, pause
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str) -> Seconds:
        """Real seconds until the next attempt, 0 when it may be made."""
        excess = self._free_at.get(key, 0.0) - monotonic() - (self._burst - 1) * self._pause
        return max(0.0, excess)

    def charge(self, key: str) -> None:
        """Count an attempt."""
        now = monotonic()
        self._free_at[key] = max(now, self._free_at.pop(key, 0.0)) + self._pause
        while len(self._free_at) > _MOST:
            self._free_at.popitem(last=False)

    def give_back(self, key: str) -> None:
        """The attempt was good."""
        if key in self._free_at:
            self._free_at[key] -= self._pause
