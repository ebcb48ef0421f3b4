"""Mirror covers and flat-field lamps (ASCOM ICoverCalibrator, INDI dust cap and light box)."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import Fraction, Seconds
from pytel.module import Capabilities, Interface, Role, State, rpc


class CoverStatus(StrEnum):
    """What the cover does; `NOT_PRESENT` on a device that is a lamp only."""

    NOT_PRESENT = "not present"
    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    STOPPED = "stopped"
    ERROR = "error"
    UNKNOWN = "unknown"


class CalibratorStatus(StrEnum):
    """What the lamp does; `WARMING_UP` until its light is steady, `NOT_PRESENT` on a cover without a lamp."""

    NOT_PRESENT = "not present"
    OFF = "off"
    WARMING_UP = "warming up"
    READY = "ready"
    ERROR = "error"


class CoverCalibratorState(State, frozen=True, kw_only=True):
    """Cover and lamp. `brightness` is the fraction of the lamp's full light, 0 when it is off."""

    cover: CoverStatus
    calibrator: CalibratorStatus
    brightness: Fraction | None = None


class CoverCalibratorCapabilities(Capabilities, frozen=True, kw_only=True):
    """What the device has; `brightness_levels` counts the steps above off (0: no lamp)."""

    has_cover: bool
    has_calibrator: bool
    brightness_levels: int
    opening_time: Seconds | None = None
    warm_up_time: Seconds | None = None


class CoverCalibrator(Interface, state=CoverCalibratorState, capabilities=CoverCalibratorCapabilities):
    """Covers the mirror, and lights it evenly for flat fields."""

    @rpc(long=True, control=True, exclusive="cover")
    async def open_cover(self) -> None:
        """Open; done when fully open. Raises `DeviceError`, `DeviceTimeout`."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OBSERVER, always=True)
    async def close_cover(self) -> None:
        """Close; done when closed. Interrupts an opening and needs no lease: it protects the mirror."""
        raise NotImplementedError

    @rpc(always=True)
    async def stop_cover(self) -> None:
        """Stop the cover where it is."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="calibrator")
    async def calibrator_on(self, brightness: Fraction) -> None:
        """Switch the lamp on; done when its light is steady. Raises `DeviceError`, `DeviceTimeout`."""
        raise NotImplementedError

    @rpc(always=True)
    async def calibrator_off(self) -> None:
        """Switch the lamp off."""
        raise NotImplementedError
