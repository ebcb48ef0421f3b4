"""The pointing model of a mount: measured over the sky, fitted, applied by the telescope."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pytel.base.errors import PytelError
from pytel.base.units import Arcsec, Fraction
from pytel.module import Event, Interface, State, Struct, rpc

Places = Annotated[int, Meta(ge=8, le=1000)]
"""How many places a run points to; fewer make no model."""


class PointingRunFailed(PytelError):
    """Too few fields were solved for a model; the old one stays. `data` has `measured` and `tried`."""


class PointingStatus(StrEnum):
    """What goes on."""

    IDLE = "idle"
    MEASURING = "measuring"
    FITTING = "fitting"


class PointingResult(Struct, frozen=True, kw_only=True):
    """A fitted model: its terms and their uncertainties, and the errors without and with it (rms on the sky).

    `applied` tells whether the telescope uses it. `plot` is the name of a picture in the module's directory.
    """

    time: datetime
    measured: int
    tried: int
    rms_before: Arcsec
    rms_after: Arcsec
    terms: dict[str, Arcsec]
    uncertainties: dict[str, Arcsec]
    applied: bool
    plot: str | None = None


class PointingRunState(State, frozen=True, kw_only=True):
    """Progress and the last result."""

    status: PointingStatus
    measured: int = 0
    wanted: int = 0
    progress: Fraction | None = None
    last: PointingResult | None = None


class PointingMeasured(Event, frozen=True, kw_only=True):
    """A run over the sky ended well."""

    result: PointingResult


class PointingRun(Interface, state=PointingRunState, events=(PointingMeasured,)):
    """Measures how a mount misses all over the sky, and gives the telescope a model of it."""

    @rpc(long=True, control=True, exclusive="pointing")
    async def measure_pointing(self, points: Places = 40) -> PointingResult:
        """Point to places all over the sky, solve the fields, fit a model and hand it to the telescope.

        A model that is not better than none is not applied. Raises `PointingRunFailed` and what the devices raise.
        """
        raise NotImplementedError
