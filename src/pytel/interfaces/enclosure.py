"""Roofs and domes (ASCOM IDome, INDI dome)."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import Azimuth, Fraction, Seconds
from pytel.module import Capabilities, Event, Interface, Role, State, rpc


class EnclosureStatus(StrEnum):
    """What roof or shutter do. `STOPPED` is neither open nor closed."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    STOPPED = "stopped"
    ERROR = "error"
    UNKNOWN = "unknown"


class EnclosureState(State, frozen=True, kw_only=True):
    """How far the enclosure is open, and whether it may be (`reasons`: why not).

    `closed_because` tells why it closes or was closed last; empty from the next opening on.
    """

    status: EnclosureStatus
    opening: Fraction | None = None
    azimuth: Azimuth | None = None
    may_open: bool = False
    reasons: tuple[str, ...] = ()
    closed_because: tuple[str, ...] = ()


class EnclosureCapabilities(Capabilities, frozen=True, kw_only=True):
    """What kind of enclosure it is: `roof` or `dome`."""

    kind: str
    opening_time: Seconds
    closing_time: Seconds


class EnclosureClosing(Event, frozen=True, kw_only=True):
    """The enclosure begins to close, and why: danger, silence, a fault, or whoever told it to."""

    reasons: tuple[str, ...]


class Enclosure(Interface, state=EnclosureState, events=(EnclosureClosing,), capabilities=EnclosureCapabilities):
    """Roof or dome. Each one refuses to open, and closes by itself, when safety is bad, stale or unknown."""

    @rpc(long=True, control=True, exclusive="motion")
    async def open(self) -> None:
        """Open; done when fully open. Raises `Unsafe` with the reasons, `DeviceError`, `DeviceTimeout`."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OBSERVER, always=True)
    async def close(self) -> None:
        """Close; done when closed. Interrupts an opening and needs no lease."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR, always=True)
    async def stop(self) -> None:
        """Stop the motion where it is. It closes again by itself if it is unsafe."""
        raise NotImplementedError
