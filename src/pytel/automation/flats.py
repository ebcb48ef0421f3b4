"""Flat fields: the series that sky and lamp have in common."""

from __future__ import annotations

from abc import abstractmethod

from pytel.automation.flat_light import FlatLight
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Adu, Duration, Fraction, Pixels, Seconds
from pytel.interfaces.camera import Camera, CameraCapabilities, Window
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelState
from pytel.interfaces.flatfield import (
    FlatField,
    FlatFieldFailed,
    FlatFieldResult,
    FlatFieldState,
    FlatFieldStatus,
    FlatsTaken,
)
from pytel.interfaces.images import FrameType, ImageRef
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module

_MOVE: Seconds = 120.0
_MOST_TESTS = 12
_FAINT: Adu = 50.0
"""Above bias; with less a test says nothing."""
_STEP = 8.0
_LONGEST_NAP: Seconds = 30.0
_BRIGHTEST: Fraction = 0.95
"""Of the camera's saturation: a brighter flat is none, whatever the tolerance."""


class BaseFlatField(Module, FlatField):
    """Takes frames whose counts come near to what is wanted; where the light comes from is its heirs' business."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """What a good flat is, and for how long to try."""

        target: Fraction = 0.5
        """Counts that are wanted, as a share of the camera's saturation."""
        tolerance: Fraction = 0.4
        """A flat counts when its median is off by no more than this share."""
        min_exposure_time: Duration = 1.0
        """Shorter ones show the shutter's way over the detector."""
        max_exposure_time: Duration = 60.0
        test_window: Pixels = 512
        """Side of the window in the middle of the detector that test frames read."""
        patience: Duration = 2400.0
        """Longest wait for the light of one filter."""

        def __post_init__(self) -> None:
            if not 0.05 <= self.target <= 0.9:
                raise ValueError(f"target is a share of saturation from 0.05 to 0.9, not {self.target:g}")
            if not 0.01 < self.min_exposure_time < self.max_exposure_time:
                raise ValueError("min_exposure_time must be over 10 ms and below max_exposure_time")

    config: Config
    _last: FlatFieldResult | None = None

    # what heirs say

    @abstractmethod
    def slope(self, when: float) -> float:
        """Share by which the light grows in a second at a Unix time."""

    @abstractmethod
    async def light_up(self) -> None:
        """Bring the light in front of the detector: point to the sky, or switch a lamp on."""

    @abstractmethod
    async def moved_on(self) -> None:
        """Do what is to be done between two flats."""

    @abstractmethod
    async def put_out(self) -> None:
        """Leave things as they were."""

    @abstractmethod
    def in_order(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        """The order of filters that suits the light."""

    @abstractmethod
    async def adjust(self, light: FlatLight, wanted: Adu) -> Seconds:
        """Wait for a rate, or change the lamp, when no exposure time fits; how long the light was not seen.

        Raises `FlatFieldFailed` when it will not come.
        """

    def to_gauge(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        """Those filters whose place in the order needs a look at the light first."""
        return ()

    def gauged(self, filter_name: str | None, rate: float, when: float) -> None:
        """Take note of how bright the light is in a filter (ADU/s)."""

    # calls

    async def on_start(self) -> None:
        """Show that nothing is done."""
        self.follow(FilterWheelState)
        self._show(FlatFieldStatus.IDLE)

    @rpc(long=True)
    async def take_flats(self, count: int = 10, filter: str | None = None, binning: int = 1) -> FlatFieldResult:  # noqa: A002 - the field's word
        """Take flats in one filter."""
        try:
            await self.light_up()
            return await self._one_filter(count, filter, binning)
        finally:
            await self._end()

    @rpc(long=True)
    async def take_flat_sets(
        self, filters: tuple[str, ...], count: int = 10, binning: int = 1
    ) -> list[FlatFieldResult]:
        """Take flats in several filters."""
        results: list[FlatFieldResult] = []
        failures: list[str] = []
        try:
            await self.light_up()
            for name in self.to_gauge(filters):
                await (await self._series_of(1, name, binning)).gauge()
            for name in self.in_order(filters):
                try:
                    results.append(await self._one_filter(count, name, binning))
                except FlatFieldFailed as error:
                    failures.append(f"{name}: {error.message}")
                    self.log.warning("no flats in %s: %s", name, error.message)
        finally:
            await self._end()
        if filters and not results:
            raise FlatFieldFailed("no flats in any filter. " + " ".join(failures), taken=0)
        return results

    async def _end(self) -> None:
        try:
            await self.put_out()
        except PytelError as error:
            self.log.warning("the flats leave something behind: %s", error.message)
        self._show(FlatFieldStatus.IDLE)

    # the series

    async def _one_filter(self, count: int, name: str | None, binning: int) -> FlatFieldResult:
        result = await (await self._series_of(count, name, binning)).take()
        self._last = result
        self.publish(FlatsTaken(result=result))
        return result

    async def _series_of(self, count: int, name: str | None, binning: int) -> _Series:
        if name is not None:
            await self.find(FilterWheel, deadline=_MOVE).set_filter(name)
        return _Series(self, await self.capabilities_of(CameraCapabilities), count, self._filter(name), binning)

    def _filter(self, name: str | None) -> str | None:
        wheel = self.latest(FilterWheelState)
        return name if name is not None or wheel is None else wheel.filter

    def show(self, series: _Series, status: FlatFieldStatus, exposure_time: Seconds | None = None) -> None:
        """Publish how a series stands."""
        self.report_progress(min(1.0, len(series.images) / series.count))
        self._show(
            status,
            filter=series.filter,
            taken=len(series.images),
            wanted=series.count,
            exposure_time=exposure_time,
            counts=series.counts,
            progress=len(series.images) / series.count,
        )

    def _show(self, status: FlatFieldStatus, **said: object) -> None:
        self.publish(FlatFieldState(status=status, last=self._last, **said))  # type: ignore[arg-type]


class _Series:
    """The flats of one filter."""

    def __init__(
        self, module: BaseFlatField, camera: CameraCapabilities, count: int, filter_name: str | None, binning: int
    ) -> None:
        self.module, self.config, self.camera = module, module.config, camera
        self.count, self.filter, self.binning = max(1, count), filter_name, binning
        self.images: list[str] = []
        self.medians: list[Adu] = []
        self.counts: Adu | None = None
        self.light = FlatLight(module.slope)
        self._bias: Adu = 0.0
        self._ends = clock.time() + self.config.patience

    @property
    def wanted(self) -> Adu:
        """Counts above bias that a flat should have."""
        return self.config.target * self.camera.saturation - self._bias

    async def gauge(self) -> None:
        """Learn how bright the light is."""
        self._bias, _ = await self._expose(0.0, FrameType.BIAS, self._window())
        await self._test()

    async def take(self) -> FlatFieldResult:
        """Take them all. Raises `FlatFieldFailed`."""
        await self.gauge()
        misses = 0
        while len(self.images) < self.count:
            exposure_time = await self._next_exposure_time()
            self.module.show(self, FlatFieldStatus.EXPOSING, exposure_time)
            median, image = await self._measured(exposure_time, FrameType.FLAT, None)
            if is_good_flat(median, self._bias, self.wanted, self.config.tolerance, self.camera.saturation):
                self.images.append(image.id)
                self.medians.append(median)
            else:
                misses += 1
                self._refuse_misses(misses)
            if len(self.images) < self.count:
                await self.module.moved_on()
        return FlatFieldResult(
            taken=len(self.images),
            images=tuple(self.images),
            median_counts=sorted(self.medians)[len(self.medians) // 2],
            filter=self.filter,
        )

    def _refuse_misses(self, misses: int) -> None:
        if misses > 3 + self.count // 2:
            raise FlatFieldFailed(
                f"{misses} flats came out with the wrong counts, the last with {self.counts:.0f}: clouds?",
                taken=len(self.images),
            )

    async def _next_exposure_time(self) -> Seconds:
        """The exposure time for the next flat; waits for the light until one is possible."""
        while True:
            seconds = self.light.exposure_time(self.wanted, clock.time())
            if self.config.min_exposure_time <= seconds <= self.config.max_exposure_time:
                return round(seconds, 2)
            if clock.time() >= self._ends:
                raise FlatFieldFailed(
                    f"the light did not fit within {self.config.patience:.0f} s", taken=len(self.images)
                )
            self.module.show(self, FlatFieldStatus.WAITING)
            bound = (
                self.config.max_exposure_time
                if seconds > self.config.max_exposure_time
                else self.config.min_exposure_time
            )
            waited = await self.module.adjust(self.light, self.wanted / bound)
            if waited > 0:
                await clock.sleep(min(_LONGEST_NAP, waited, max(0.1, self._ends - clock.time())))
            await self._test()

    async def _test(self) -> None:
        """Find an exposure time that shows how bright the light is."""
        seconds = self._first_guess()
        for _ in range(_MOST_TESTS):
            self.module.show(self, FlatFieldStatus.TESTING, seconds)
            median, _ = await self._measured(seconds, FrameType.ACQUISITION, self._window())
            if self._is_saturated(median) and seconds > self.config.min_exposure_time:
                seconds = max(self.config.min_exposure_time, seconds / _STEP)
            elif median < _FAINT and seconds < self.config.max_exposure_time:
                seconds = min(self.config.max_exposure_time, seconds * _STEP)
            else:
                return

    def _is_saturated(self, counts: Adu) -> bool:
        return counts + self._bias > 0.9 * self.camera.saturation

    def _first_guess(self) -> Seconds:
        try:
            seconds = 0.2 * self.light.exposure_time(self.wanted, clock.time())
        except LookupError:
            seconds = self.config.min_exposure_time
        return min(10.0, max(self.config.min_exposure_time, seconds))

    async def _measured(
        self, exposure_time: Seconds, frame_type: FrameType, window: Window | None
    ) -> tuple[Adu, ImageRef]:
        start = clock.time()
        level, image = await self._expose(exposure_time, frame_type, window)
        self.counts = max(0.0, level - self._bias)
        rate = self.counts / exposure_time
        if self._is_saturated(self.counts):
            # That is a bound, and says nothing of how the light changes.
            self.light.forget()
        self.light.measured(start + exposure_time / 2, rate)
        self.module.gauged(self.filter, rate, start)
        return self.counts, image

    async def _expose(
        self, exposure_time: Seconds, frame_type: FrameType, window: Window | None
    ) -> tuple[Adu, ImageRef]:
        deadline = 1.5 * exposure_time + 3 * self.camera.readout_time + 120.0
        camera = self.module.find(Camera, deadline=deadline)
        image = await camera.expose(exposure_time, frame_type=frame_type, binning=self.binning, window=window)
        frame = await self.module.images.get(image)
        return await in_thread(_median, frame.pixels), image

    def _window(self) -> Window:
        camera, step = self.camera, self.binning
        width = min(camera.width, int(self.config.test_window)) // step * step
        height = min(camera.height, int(self.config.test_window)) // step * step
        return Window(
            x=(camera.width - width) // 2 // step * step,
            y=(camera.height - height) // 2 // step * step,
            width=width,
            height=height,
        )


def is_good_flat(counts: Adu, bias: Adu, wanted: Adu, tolerance: Fraction, saturation: Adu) -> bool:
    """Whether counts above bias are near to what is wanted, and the detector still tells them."""
    return counts + bias <= _BRIGHTEST * saturation and abs(counts - wanted) <= tolerance * wanted


def _median(pixels: object) -> Adu:
    """Median of a sparse sample: a flat is flat."""
    import numpy as np

    frame = np.asarray(pixels)
    step = max(1, frame.size // 200_000)
    return float(np.median(frame.reshape(-1)[::step]))
