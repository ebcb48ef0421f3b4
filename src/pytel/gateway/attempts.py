"""How often one may try to log in: so many failures at once, and a further one every few seconds."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic

from pytel.base.units import Seconds

_MOST = 10_000


class Allowance:
    """Counts failures by a key (an address, a name): `burst` of them, then one every `pause` real seconds.

    An attempt is charged before it is checked, so that many at once are no way around it; a good one is given back.
    """

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
