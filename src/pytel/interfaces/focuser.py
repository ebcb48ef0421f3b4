"""Focus (ASCOM IFocuser, INDI focuser)."""

from __future__ import annotations

from pytel.base.units import Celsius, Millimetres
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, Interface, State, rpc


class FocuserState(State, frozen=True, kw_only=True):
    """Where the focuser stands: `position` is `base` plus `offset` (for filters and the like)."""

    status: MotionStatus
    position: Millimetres | None = None
    base: Millimetres | None = None
    offset: Millimetres = 0.0
    temperature: Celsius | None = None


class FocuserCapabilities(Capabilities, frozen=True, kw_only=True):
    """The travel of a focuser."""

    min_position: Millimetres
    max_position: Millimetres
    step: Millimetres


class Focuser(Interface, state=FocuserState, capabilities=FocuserCapabilities):
    """Moves the focus."""

    @rpc(long=True, control=True, exclusive="focus")
    async def set_focus(self, position: Millimetres) -> None:
        """Move the base position; the offset stays added to it. Raises `LimitExceeded`, `DeviceError`."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="focus")
    async def set_focus_offset(self, offset: Millimetres) -> None:
        """Set the offset that is added to the base position (one for each filter)."""
        raise NotImplementedError

    @rpc(always=True)
    async def stop(self) -> None:
        """Stop moving at once."""
        raise NotImplementedError
