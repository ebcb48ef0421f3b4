"""Finding the focus."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.errors import PytelError
from pytel.base.units import Celsius, Fraction, Millimetres, MillimetresPerKelvin, Pixels
from pytel.module import Event, Interface, State, Struct, rpc


class FocusFailed(PytelError):
    """No focus was found, or none to be trusted; the focuser is back where it was.

    `data["points"]` has what was measured, `data["cause"]` the name of the error behind it.
    """


class AutoFocusStatus(StrEnum):
    """What the autofocus does."""

    IDLE = "idle"
    FOCUSING = "focusing"


class FocusPoint(Struct, frozen=True, kw_only=True):
    """One frame of a focus run: sizes are None where no stars were found, or where they were not looked for.

    `width` is the full width at half maximum by projections. A `rejected` point was spoiled by a cloud or lies off
    the curve.
    """

    position: Millimetres
    hfd: Pixels | None
    width: Pixels | None = None
    rejected: bool = False


class FocusResult(Struct, frozen=True, kw_only=True):
    """The best focus of a run.

    `position` is the focuser's base position while `offset` was its offset; `filter_offset` is what the filter in the
    beam is known to shift. Within `zone`, its middle in `position`, stars are at most a tenth larger than at best.
    `predicted` is where the model had expected it. A result that `begins` is the first after a change of the optics.
    """

    position: Millimetres
    uncertainty: Millimetres
    hfd: Pixels
    time: datetime
    filter: str | None = None
    temperature: Celsius | None = None
    points: tuple[FocusPoint, ...] = ()
    zone: Millimetres | None = None
    offset: Millimetres = 0.0
    filter_offset: Millimetres = 0.0
    predicted: Millimetres | None = None
    begins: bool = False


class FocusModel(Struct, frozen=True, kw_only=True):
    """What earlier results tell: best focus without filter is `position` at `temperature`.

    It changes by `per_kelvin`, which is fitted to the results when `is_fitted`, else assumed. `scatter` is that of
    single `results` (their number) about this law.
    """

    position: Millimetres
    uncertainty: Millimetres
    temperature: Celsius | None
    per_kelvin: MillimetresPerKelvin
    per_kelvin_uncertainty: MillimetresPerKelvin
    scatter: Millimetres
    results: int
    is_fitted: bool


class FocusPrediction(Struct, frozen=True, kw_only=True):
    """Where the model expects best focus: a base position of the focuser, for its offset and the filter in the beam."""

    position: Millimetres
    uncertainty: Millimetres
    temperature: Celsius | None
    filter: str | None


class AutoFocusState(State, frozen=True, kw_only=True):
    """Progress, the last result and what the results so far have taught."""

    status: AutoFocusStatus
    progress: Fraction | None = None
    last: FocusResult | None = None
    model: FocusModel | None = None


class FocusFound(Event, frozen=True, kw_only=True):
    """A focus series ended well."""

    result: FocusResult


class AutoFocus(Interface, state=AutoFocusState, events=(FocusFound,)):
    """Takes a series of frames through focus and sets the best one."""

    @rpc(long=True, control=True, exclusive="focus")
    async def focus(self) -> FocusResult:
        """Find the focus and set it. Raises `FocusFailed` and what camera and focuser raise."""
        raise NotImplementedError

    @rpc()
    async def predict(self) -> FocusPrediction | None:
        """Tell where best focus is expected now; None without earlier results or without a focuser's state."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="focus")
    async def focus_by_model(self) -> FocusPrediction:
        """Set the focus where it is expected, without frames. Raises `FocusFailed` when that is not known well."""
        raise NotImplementedError
