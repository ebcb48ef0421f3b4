"""Whether it is safe to be open (ASCOM ISafetyMonitor)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pytel.base.units import Duration
from pytel.module import Event, Interface, Role, State, rpc


class SafetyMonitorState(State, frozen=True, kw_only=True):
    """The verdict. It holds until `expires` (site time) and no longer: silence means unsafe."""

    safe: bool
    reasons: tuple[str, ...] = ()
    expires: Annotated[datetime, Meta(tz=True)]
    since: Annotated[datetime, Meta(tz=True)]

    def verdict(self, now: datetime) -> tuple[bool, tuple[str, ...]]:
        """Safe or not at `now`, with the reasons."""
        if now > self.expires:
            return False, (f"the last word of the safety monitor expired at {self.expires:%H:%M:%S} UTC",)
        return self.safe, self.reasons


class SafetyChanged(Event, frozen=True, kw_only=True):
    """The verdict changed."""

    safe: bool
    reasons: tuple[str, ...] = ()


class SafetyMonitor(Interface, state=SafetyMonitorState, events=(SafetyChanged,)):
    """Judges weather and site; publishes its verdict as a state that expires."""

    @rpc(role=Role.OPERATOR)
    async def declare_unsafe(self, reason: str) -> None:
        """Keep the site closed until `clear_unsafe` is called."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def clear_unsafe(self) -> None:
        """Take a declared reason back; the sensors decide again."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def allow_daylight(self, duration: Duration) -> None:
        """Let the roof be open while the Sun is up, for so long (0: no longer); a restart ends it.

        Raises `LimitExceeded` for more than 12 hours.
        """
        raise NotImplementedError
