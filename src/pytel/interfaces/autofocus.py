"""Finding the focus."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.errors import PytelError
from pytel.base.units import Celsius, Fraction, Millimetres, Pixels
from pytel.module import Event, Interface, State, Struct, rpc


class FocusFailed(PytelError):
    """No focus was found; the focuser is back where it was. `data["points"]` has what was measured."""


class AutoFocusStatus(StrEnum):
    """What the autofocus does."""

    IDLE = "idle"
    FOCUSING = "focusing"


class FocusPoint(Struct, frozen=True, kw_only=True):
    """One step of a focus series; `hfd` is None where no stars were found."""

    position: Millimetres
    hfd: Pixels | None


class FocusResult(Struct, frozen=True, kw_only=True):
    """The best focus of a series."""

    position: Millimetres
    uncertainty: Millimetres
    hfd: Pixels
    time: datetime
    filter: str | None = None
    temperature: Celsius | None = None
    points: tuple[FocusPoint, ...] = ()


class AutoFocusState(State, frozen=True, kw_only=True):
    """Progress and the last result."""

    status: AutoFocusStatus
    progress: Fraction | None = None
    last: FocusResult | None = None


class FocusFound(Event, frozen=True, kw_only=True):
    """A focus series ended well."""

    result: FocusResult


class AutoFocus(Interface, state=AutoFocusState, events=(FocusFound,)):
    """Takes a series of frames through focus and sets the best one."""

    @rpc(long=True, control=True, exclusive="focus")
    async def focus(self) -> FocusResult:
        """Find the focus and set it. Raises `FocusFailed` and what camera and focuser raise."""
        raise NotImplementedError
