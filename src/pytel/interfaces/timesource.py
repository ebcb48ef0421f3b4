"""Receivers of time and place (GPS)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pytel.base.units import Duration, Latitude, Longitude, Metres, Seconds
from pytel.module import Interface, State, rpc


class TimeSourceState(State, frozen=True, kw_only=True):
    """What the receiver told last, against the clock of the computer that reads it."""

    measured: Annotated[datetime, Meta(tz=True)]
    """By the receiver (UTC)."""
    offset: Seconds
    """The computer's clock minus the receiver's: positive when the computer is ahead."""
    uncertainty: Duration
    """Of the offset: how finely the receiver tells its time."""
    within_tolerance: bool
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    elevation: Metres | None = None


class TimeSource(Interface, state=TimeSourceState):
    """Tells how far off the computer's clock is; it does not set it: that is for NTP or PTP."""

    several = True

    @rpc()
    async def read_time(self) -> TimeSourceState:
        """Ask the receiver now. Raises `DeviceError` (no fix), `DeviceTimeout`, `ConnectionLost`."""
        raise NotImplementedError
