"""Pulse guiding (ASCOM ITelescope.PulseGuide, INDI guider interface, ST-4 port)."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import ArcsecPerSecond, Duration
from pytel.module import Capabilities, Interface, Role, State, rpc


class GuideDirection(StrEnum):
    """Where the telescope moves on the sky."""

    NORTH = "north"
    SOUTH = "south"
    EAST = "east"
    WEST = "west"


class GuidePortState(State, frozen=True, kw_only=True):
    """The pulses that are being given, None: that axis is at rest."""

    ra: GuideDirection | None = None
    dec: GuideDirection | None = None


class GuidePortCapabilities(Capabilities, frozen=True, kw_only=True):
    """The longest pulse, and the rates of guiding of the axes: on the sky it is `rate_ra` times cos(dec) in RA."""

    rate_ra: ArcsecPerSecond
    rate_dec: ArcsecPerSecond
    max_pulse: Duration


class GuidePort(Interface, state=GuidePortState, capabilities=GuidePortCapabilities):
    """Nudges a telescope that tracks, for a given time at the guide rate."""

    @rpc(long=True, role=Role.OPERATOR)
    async def pulse_guide(self, direction: GuideDirection, duration: Duration) -> None:
        """Move at the guide rate for `duration`; done when the pulse is over. Both axes may move at a time.

        Needs no lease, for it keeps what the holder of the lease asked for.

        Raises `Busy` while that axis is being moved, `LimitExceeded` above the longest pulse, `DeviceError`.
        """
        raise NotImplementedError

    @rpc(always=True)
    async def stop_guide(self) -> None:
        """End all pulses at once."""
        raise NotImplementedError
