"""Autofocus by a series of frames through the focus."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Literal

import msgspec

from pytel.automation.focus_camera import FocusCamera
from pytel.automation.focus_history import FocusHistory
from pytel.automation.focus_model import FocusLaw, agree, contradicts, expected_for, law_of
from pytel.automation.focus_series import FocusSeries
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Millimetres, MillimetresPerKelvin, Seconds
from pytel.interfaces.autofocus import (
    AutoFocus,
    AutoFocusState,
    AutoFocusStatus,
    FocusFailed,
    FocusFound,
    FocusModel,
    FocusPrediction,
    FocusResult,
)
from pytel.interfaces.camera import Window
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.focuser import FocuserCapabilities, FocuserState
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module
from pytel.services.timing import patient

if TYPE_CHECKING:
    from pytel.imaging.focus import FocusFit
    from pytel.imaging.focus_frame import FocusFrame

_USUAL_FRAMES = 9
_LEFT = "left in a run"
_BLIND_STEPS = 12
"""How far from where the focus should be stars are looked for when there are none: no farther, it may be a cloud."""


class SeriesAutoFocus(Module, AutoFocus):
    """Takes frames about the expected focus, where they tell most, fits the sizes of their stars and sets the best one.

    The run begins where the law of temperature, learnt from earlier results, expects the focus. It goes on until the
    focus is known, repeats what a cloud spoiled, and ends with a frame at the focus, which has to be as sharp as the
    curve promises. When no focus is found or a result is in doubt, or the run is cancelled, the focuser goes back to
    where it was. Results are kept in `results.jsonl`, pictures of the runs in `plots`.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The frames: the first are `step` apart, `min_stars` good stars make one count."""

        step: Millimetres = 0.08
        """About two to three times the critical focus zone; a run finds its way from much farther off."""
        max_exposures: int = 20
        """Of a run, without the frames that prove its result."""
        method: Literal["hfd", "projection", "both"] = "hfd"
        """Sizes by half-flux diameters of stars, by projections of whole frames (crowded fields), or both in accord."""
        exposure_time: Duration = 5.0
        binning: int = 1
        window: Window | None = None
        min_stars: int = 3
        backlash: Millimetres = 0.0
        """Every position is reached from below, from this far at least."""
        temperature_coefficient: MillimetresPerKelvin | None = None
        """Of the focus, until the results tell it."""
        patience: Duration = 60.0
        """How long a camera or focuser that restarts is waited for."""
        cloud_pause: Duration = 20.0
        """How long to wait before a frame that a cloud spoiled is repeated."""

        def __post_init__(self) -> None:
            if self.max_exposures < 8:
                raise ValueError(f"max_exposures must be at least 8, not {self.max_exposures}")
            if self.step <= 0:
                raise ValueError(f"step must be positive, not {self.step:g} mm")
            if self.backlash < 0:
                raise ValueError(f"backlash must not be negative, but is {self.backlash:g} mm")

    config: Config
    _restoring: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        """Remember the results."""
        self.follow(FocuserState, FilterWheelState)
        self._history = await in_thread(FocusHistory, self.directory)
        self._law = self._learn()
        self._camera = FocusCamera(self, self.config)
        self._show(None)
        before = await in_thread(self._history.interrupted)
        if before is not None:
            self._restoring = self.spawn(self._restore(before), "undo a sweep")

    @rpc(long=True)
    async def focus(self) -> FocusResult:
        """Find the focus and set it."""
        if self._restoring is not None:
            await asyncio.wait([self._restoring])
        series = await self._series()
        await in_thread(self._history.begin, series.before)
        self._show(0.0)
        try:
            result = await self._find_focus(series)
        except PytelError as error:
            await self._put_back(series.before)
            raise await self._failed(error, series) from error
        except BaseException:
            # Cancelled, or a fault of the program: neither may leave the focuser in the middle of a sweep.
            await self._put_back(series.before)
            raise
        else:
            await self._left_well()
            return result
        finally:
            self._show(None)

    def estimate_focus(self) -> Seconds:
        """Seconds for a usual run; readout and moves by experience."""
        return _USUAL_FRAMES * (self.config.exposure_time + 5.0)

    async def predict(self) -> FocusPrediction | None:
        """Tell where best focus is expected now."""
        state = self.latest(FocuserState)
        if self._law is None or state is None:
            return None
        name, shift = await self._filter()
        position, uncertainty = self._law.at(state.temperature)
        return FocusPrediction(
            position=position + shift - state.offset,
            uncertainty=uncertainty,
            temperature=state.temperature,
            filter=name,
        )

    @rpc(long=True)
    async def focus_by_model(self) -> FocusPrediction:
        """Set the focus where it is expected."""
        expected = await self.predict()
        if expected is None or expected.uncertainty > self.config.step:
            raise FocusFailed("where the focus should be is not known well enough: run the autofocus", points=[])
        await self._camera.move(expected.position)
        return expected

    async def _find_focus(self, series: FocusSeries) -> FocusResult:
        from pytel.automation.focus_run import find_focus
        from pytel.imaging.focus_search import FocusSearch, SearchSettings

        limits = await self.capabilities_of(FocuserCapabilities)
        expected = await self.predict()
        is_good = expected is not None and expected.uncertainty <= self.config.step
        series.predicted = expected.position if expected is not None and is_good else None
        settings = SearchSettings(
            step=self.config.step,
            low=limits.min_position - min(0.0, series.offset),
            high=limits.max_position - max(0.0, series.offset),
            most=self.config.max_exposures,
            method=self.config.method,
            resolution=max(1e-4, limits.step),
            blind=math.inf if series.predicted is None else _BLIND_STEPS * self.config.step,
        )
        series.search = FocusSearch(series.before if series.predicted is None else series.predicted, settings)

        async def take(position: Millimetres) -> FocusFrame:
            frame = await self._camera.frame(position)
            series.frames.append((position, frame))
            self._show(min(0.95, len(series.frames) / (_USUAL_FRAMES + 1)))
            return frame

        async def wait() -> None:
            await clock.sleep(self.config.cloud_pause)

        series.fit = fit = await find_focus(series.search, take, wait)
        return await self._keep(series, self._result(series, fit))

    # results

    def _result(self, series: FocusSeries, fit: FocusFit) -> FocusResult:
        state = self.latest(FocuserState)
        return FocusResult(
            position=fit.position,
            uncertainty=fit.uncertainty if math.isfinite(fit.uncertainty) else 0.0,
            hfd=fit.hfd,
            time=clock.now(),
            filter=series.filter,
            temperature=series.temperature if state is None or state.temperature is None else state.temperature,
            points=series.points(),
            zone=fit.zone,
            offset=series.offset,
            filter_offset=series.filter_offset,
            predicted=series.predicted,
        )

    async def _keep(self, series: FocusSeries, result: FocusResult) -> FocusResult:
        """Take a result that agrees with the law, or with one that contradicted it in the same way just before."""
        kept, law = [result], self._law
        if law is not None and contradicts(law, result):
            before = await in_thread(self._history.doubted)
            if before is None or not agree(law, before, result):
                await in_thread(self._history.doubt, result)
                raise FocusFailed(_doubt(result, *expected_for(law, result)))
            self.log.warning("two runs contradict the law of temperature in the same way: it begins anew with them")
            kept = [msgspec.structs.replace(before, begins=True), result]
        await in_thread(self._history.add, *kept)
        self._law = self._learn()
        await self._draw(series, f"best focus {result.position:.4f} mm, HFD {result.hfd:.2f} px", result)
        self.publish(FocusFound(result=result))
        return result

    def _learn(self) -> FocusLaw | None:
        return law_of(self._history.since_change(), self.config.temperature_coefficient)

    async def _failed(self, error: PytelError, series: FocusSeries) -> FocusFailed:
        points = await in_thread(series.points)
        await self._draw(series, f"no focus: {error.message}", None)
        return FocusFailed(
            f"the focus stays as it was: {error.message}",
            points=[msgspec.to_builtins(point) for point in points],
            cause=error.name,
            **_device(error),
        )

    async def _draw(self, series: FocusSeries, title: str, result: FocusResult | None) -> None:
        """Keep a picture; what stands in the way is logged, for the focus matters more."""
        if not series.frames:
            return
        try:
            picture = await in_thread(series.picture, title)
            await in_thread(self._history.keep_plot, result.time if result else clock.now(), picture)
        except PytelError as error:
            self.log.warning("the picture of the focus run could not be kept: %s", error)

    # devices

    async def _series(self) -> FocusSeries:
        state = self.latest(FocuserState)
        if state is None or state.base is None:
            raise FocusFailed("the focuser does not tell where it stands; look at its state", points=[])
        name, shift = await self._filter()
        # A run that was killed has left the focuser somewhere in its sweep.
        before = await in_thread(self._history.interrupted)
        return FocusSeries(state.base if before is None else before, state.offset, state.temperature, name, shift)

    async def _filter(self) -> tuple[str | None, Millimetres]:
        """The filter in the beam, and what it shifts the focus."""
        state = self.latest(FilterWheelState)
        if state is None or state.filter is None or not self.has(FilterWheel):
            return None, 0.0
        with contextlib.suppress(PytelError):
            able = await self.capabilities_of(FilterWheelCapabilities)
            return state.filter, next((one.focus_offset for one in able.filters if one.name == state.filter), 0.0)
        return state.filter, 0.0

    async def _restore(self, before: Millimetres) -> None:
        """Undo the sweep in which the process ended."""
        ends = clock.time() + patient(self.config.patience, 10.0)
        while self.latest(FocuserState) is None and clock.time() < ends:
            await clock.sleep(1.0)
        self.log.warning("a focus run was cut short; the focuser goes back to %.3f mm, where it was before", before)
        await self._put_back(before)

    async def _put_back(self, position: Millimetres) -> None:
        """Leave the focus as it was; what stands in the way is told, for the first error matters more."""
        try:
            await self._camera.move(position)
            await self._left_well()
        except PytelError as error:
            self.raise_alarm(_LEFT, _left(position, error))

    async def _left_well(self) -> None:
        await in_thread(self._history.end)
        self.clear_alarm(_LEFT)

    def _show(self, progress: float | None) -> None:
        status = AutoFocusStatus.IDLE if progress is None else AutoFocusStatus.FOCUSING
        if progress is not None:
            self.report_progress(progress)
        self.publish(AutoFocusState(status=status, progress=progress, last=self._history.last, model=_model(self._law)))


def _left(position: Millimetres, error: PytelError) -> FocusFailed:
    return FocusFailed(
        f"the focuser was left in the middle of a run and could not be put back to {position:.3f} mm "
        f"({error.message}): run the autofocus, or set the focus",
        points=[],
        cause=error.name,
        **_device(error),
    )


def _model(law: FocusLaw | None) -> FocusModel | None:
    return None if law is None else msgspec.convert(law, FocusModel, from_attributes=True)


def _doubt(result: FocusResult, position: Millimetres, uncertainty: Millimetres) -> str:
    return (
        f"{result.position:.3f} mm contradicts the law of temperature, which has {position:.3f} ± {uncertainty:.3f}; "
        "run it again: a second run that agrees is believed"
    )


def _device(error: PytelError) -> dict[str, str]:
    return {"device": str(error.data["device"])} if "device" in error.data else {}
