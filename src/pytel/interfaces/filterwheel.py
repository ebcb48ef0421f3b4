"""Filters (ASCOM IFilterWheel, INDI filter wheel)."""

from __future__ import annotations

from pytel.base.units import Millimetres
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, Interface, State, Struct, rpc


class FilterWheelState(State, frozen=True, kw_only=True):
    """Which filter is in the beam; None while the wheel moves."""

    status: MotionStatus
    filter: str | None = None


class Filter(Struct, frozen=True, kw_only=True):
    """A filter and how far it shifts the focus."""

    name: str
    focus_offset: Millimetres = 0.0


class FilterWheelCapabilities(Capabilities, frozen=True, kw_only=True):
    """The filters in the wheel, in the order of their slots."""

    filters: tuple[Filter, ...]


class FilterWheel(Interface, state=FilterWheelState, capabilities=FilterWheelCapabilities):
    """Puts a filter into the beam."""

    @rpc(long=True, control=True, exclusive="filter")
    async def set_filter(self, name: str) -> None:
        """Move to a filter. Raises `InvalidParams` for a name that is not in the wheel, `DeviceError`."""
        raise NotImplementedError
