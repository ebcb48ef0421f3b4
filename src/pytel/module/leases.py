"""What a module knows of the control lease of its group."""

from __future__ import annotations

from datetime import UTC, datetime

from pytel.base import clock
from pytel.bus.address import Address
from pytel.module.hearing import StateCache
from pytel.module.messages import State
from pytel.module.scope import Scope


class ControlState(State, frozen=True, kw_only=True):
    """Who controls motion and exposure of a group, until when (real UTC); None: nobody."""

    holder: str | None = None
    until: datetime | None = None


class GroupLease:
    """Hears who holds the lease; without a module that keeps one, nobody does."""

    def __init__(self, states: StateCache, scope: Scope) -> None:
        self._states, self._scope = states, scope
        states.want(ControlState)

    def holder(self) -> str | None:
        """The origin that holds the lease now, None for nobody."""
        now = datetime.fromtimestamp(clock.real_time(), UTC)
        leases: dict[Address, ControlState] = self._states.all(ControlState, self._scope)
        for lease in leases.values():
            if lease.holder is not None and lease.until is not None and now <= lease.until:
                return lease.holder
        return None
