"""The calibration frames of a night: flats in twilight, bias and darks behind a closed roof."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytel.base import clock
from pytel.base.errors import ConfigError, ModuleNotFound, PytelError
from pytel.base.units import Altitude, Seconds
from pytel.interfaces.calibration import CalibrationFrames
from pytel.interfaces.flatfield import FlatField
from pytel.module import Struct
from pytel.observing.journal import CalibrationDone
from pytel.observing.night import NightTimes
from pytel.observing.nightlog import NightLog
from pytel.services import Module

_FRAMES: Seconds = 7200.0


class Darks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set of darks, in seconds."""

    exposure_time: float
    count: int = 10
    binning: int = 1


class CalibrationPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calibration frames the robot takes by itself, each night.

    Flats need a module of the interface FlatField and are taken while the Sun is between `flat_sun_altitude` and the
    altitude at which the night opens; bias and darks need one of CalibrationFrames and are taken at the end, behind the
    closed roof.
    """

    flats: tuple[str, ...] = ()
    """Filters."""
    flat_count: int = 7
    flat_binning: int = 1
    flat_sun_altitude: Altitude = -1.0
    evening: bool = True
    morning: bool = True
    bias_count: int = 0
    bias_binning: int = 1
    darks: tuple[Darks, ...] = ()

    @property
    def opening(self) -> Altitude | None:
        """The Sun's altitude at which the roof opens for flats, None without any."""
        return self.flat_sun_altitude if self.flats else None

    def __post_init__(self) -> None:
        if not -12.0 <= self.flat_sun_altitude <= 2.0:
            raise ConfigError(f"flat_sun_altitude is from -12 to 2 deg, not {self.flat_sun_altitude:g}")


class NightCalibration:
    """Takes what the plan asks for, each set once in a night, also over a restart."""

    def __init__(self, module: Module, plan: CalibrationPlan, night: NightTimes, log: NightLog) -> None:
        self._module, self._plan, self._night, self._log = module, plan, night, log

    def flats_due(self) -> str | None:
        """The set of flats that is to be taken now: evening, morning, or None."""
        now = clock.time()
        if not self._plan.flats:
            return None
        if self._plan.evening and now < self._night.observing[0] and not self._is_done("evening flats"):
            return "evening flats"
        if self._plan.morning and now >= self._night.observing[1] and not self._is_done("morning flats"):
            return "morning flats"
        return None

    @property
    def closing(self) -> float:
        """When the roof may close (Unix seconds): with the last task, or with the end of the morning's flats."""
        wanted = self._plan.flats and self._plan.morning and not self._is_done("morning flats")
        return self._night.close if wanted else self._night.observing[1]

    def _ends(self) -> float:
        """When the time of these flats ends: at the first task, or when the roof closes (Unix seconds)."""
        begins = self._night.observing[0]
        return begins if clock.time() < begins else self._night.close

    async def take_flats(self, kind: str) -> None:
        """Take a set. What fails is recorded, and not tried again: twilight is short."""
        plan, left = self._plan, self._ends() - clock.time()
        if left < 30.0:
            await self._note(kind, 0, "there was no time left")
            return
        try:
            if not self._module.has(FlatField):
                raise ModuleNotFound("no module takes flats; is it started?")
            fields = self._module.find(FlatField, deadline=left)
            results = await fields.take_flat_sets(plan.flats, plan.flat_count, plan.flat_binning)
        except PytelError as error:
            await self._log.mishap(error)
            await self._note(kind, 0, error.message)
            return
        await self._note(kind, sum(result.taken for result in results), None)

    async def take_darks(self) -> None:
        """Take bias and darks; call it when the enclosure is closed."""
        wanted = [
            (f"darks of {darks.exposure_time:g} s x{darks.binning}", self._darks(darks)) for darks in self._plan.darks
        ]
        if self._plan.bias_count > 0:
            wanted.insert(0, (f"bias x{self._plan.bias_binning}", self._bias))
        for kind, take in wanted:
            if not self._is_done(kind):
                await self._take(kind, take)

    async def _take(self, kind: str, take: Callable[[CalibrationFrames], object]) -> None:
        try:
            if not self._module.has(CalibrationFrames):
                raise ModuleNotFound("no module takes bias and dark frames; is it started?")
            images: Sequence[str] = await take(self._module.find(CalibrationFrames, deadline=_FRAMES))  # type: ignore[misc]
        except PytelError as error:
            await self._log.mishap(error)
            await self._note(kind, 0, error.message)
            return
        await self._note(kind, len(images), None)

    async def _bias(self, frames: CalibrationFrames) -> Sequence[str]:
        return (await frames.take_bias(self._plan.bias_count, self._plan.bias_binning)).images

    def _darks(self, darks: Darks) -> Callable[[CalibrationFrames], object]:
        async def take(frames: CalibrationFrames) -> Sequence[str]:
            return (await frames.take_darks(darks.exposure_time, darks.count, darks.binning)).images

        return take

    def _is_done(self, kind: str) -> bool:
        return any(isinstance(entry, CalibrationDone) and entry.what == kind for entry in self._log.entries)

    async def _note(self, kind: str, taken: int, error: str | None) -> None:
        await self._log.note(CalibrationDone(time=clock.time(), what=kind, taken=taken, error=error))
