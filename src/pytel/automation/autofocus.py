"""Autofocus by a series of frames through the focus."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.files import storage_full_named
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Millimetres, Seconds
from pytel.interfaces.autofocus import (
    AutoFocus,
    AutoFocusState,
    AutoFocusStatus,
    FocusFailed,
    FocusFound,
    FocusPoint,
    FocusResult,
)
from pytel.interfaces.camera import Camera, CameraCapabilities, Window
from pytel.interfaces.filterwheel import FilterWheelState
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.images import FrameType
from pytel.module import rpc
from pytel.module.config import ModuleConfig
from pytel.services import Module

if TYPE_CHECKING:
    from pytel.imaging.focus import FocusFit

_MOVE: Seconds = 300.0
"""No focuser takes longer for its whole travel."""


class SeriesAutoFocus(Module, AutoFocus):
    """Takes frames at equal steps around the present focus, fits the HFDs of their stars and sets the best focus.

    When the minimum lies outside, the series goes on once towards it. When no focus is found, or the run is cancelled,
    the focuser goes back to where it was. Results are kept in `results.jsonl`.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The series: `steps` (odd) frames, `step` apart; `min_stars` good ones make a frame count."""

        step: Millimetres = 0.08
        steps: int = 7
        exposure_time: Duration = 5.0
        binning: int = 1
        window: Window | None = None
        min_stars: int = 5

        def __post_init__(self) -> None:
            if self.steps < 5 or self.steps % 2 == 0:
                raise ValueError(f"steps must be odd and at least 5, not {self.steps}")
            if self.step <= 0:
                raise ValueError(f"step must be positive, not {self.step:g} mm")

    config: Config

    async def on_start(self) -> None:
        """Remember the last result."""
        self.follow(FocuserState, FilterWheelState)
        self._last = await in_thread(_last_result, self._file)
        self._show(None)

    @rpc(long=True)
    async def focus(self) -> FocusResult:
        """Find the focus and set it."""
        before = self._base_position()
        points: dict[float, float | None] = {}
        self._show(0.0)
        try:
            return await self._find_focus(before, points)
        except asyncio.CancelledError:
            await self._put_back(before)
            raise
        except PytelError as error:
            await self._put_back(before)
            raise _failed(error, points) from error
        finally:
            self._show(None)

    def estimate_focus(self) -> Seconds:
        """Seconds for a series that needs no extension; readout and moves by experience."""
        return self.config.steps * (self.config.exposure_time + 5.0)

    async def _find_focus(self, before: Millimetres, points: dict[float, float | None]) -> FocusResult:
        series = await self._within_travel(_around(before, self.config.step, self.config.steps))
        await self._measure(series, points, 0.0, 0.9)
        try:
            fit = await in_thread(_fit, points)
        except PytelError as error:
            more = await self._within_travel(self._beyond(points, error))
            if not more:
                raise
            await self._measure(more, points, 0.5, 0.9)
            fit = await in_thread(_fit, points)
        await self.find(Focuser, deadline=_MOVE).set_focus(fit.position)
        result = self._result(fit.position, fit.uncertainty, fit.hfd, points)
        await in_thread(_append, self._file, msgspec.json.encode(result) + b"\n")
        self._last = result
        self.publish(FocusFound(result=result))
        return result

    def _beyond(self, points: dict[float, float | None], error: PytelError) -> list[float]:
        """Where the series goes on when the minimum lies outside what was sampled."""
        direction, step = error.data.get("direction"), self.config.step
        more = self.config.steps // 2 + 1
        if direction == 1:
            return [max(points) + step * (index + 1) for index in range(more)]
        if direction == -1:
            return [min(points) - step * (index + 1) for index in range(more)]
        return []

    async def _within_travel(self, series: list[float]) -> list[float]:
        limits = await self.capabilities_of(FocuserCapabilities)
        return [round(place, 4) for place in series if limits.min_position <= place <= limits.max_position]

    async def _measure(
        self, series: list[float], points: dict[float, float | None], progress: float, until: float
    ) -> None:
        focuser = self.find(Focuser, deadline=_MOVE)
        readout = (await self.capabilities_of(CameraCapabilities)).readout_time
        camera = self.find(Camera, deadline=self.config.exposure_time + readout + 120.0)
        for index, position in enumerate(series):
            await focuser.set_focus(position)
            frame = await camera.expose(
                self.config.exposure_time,
                frame_type=FrameType.FOCUS,
                binning=self.config.binning,
                window=self.config.window,
            )
            image = await self.images.get(frame)
            points[position] = await in_thread(_hfd_of, image.pixels, self.config.min_stars)
            self._show(progress + (until - progress) * (index + 1) / len(series))

    def _base_position(self) -> Millimetres:
        state = self.latest(FocuserState)
        if state is None or state.base is None:
            raise FocusFailed("the focuser does not tell where it stands; look at its state", points=[])
        return state.base

    async def _put_back(self, position: Millimetres) -> None:
        """Leave the focus as it was; what stands in the way is logged, for the first error matters more."""
        try:
            await self.find(Focuser, deadline=_MOVE).set_focus(position)
        except PytelError as error:
            self.log.warning("the focuser could not be put back to %.3f mm: %s", position, error)

    def _result(
        self, position: float, uncertainty: float, hfd: float, points: dict[float, float | None]
    ) -> FocusResult:
        wheel, focuser = self.latest(FilterWheelState), self.latest(FocuserState)
        return FocusResult(
            position=position,
            uncertainty=uncertainty if math.isfinite(uncertainty) else 0.0,
            hfd=hfd,
            time=clock.now(),
            filter=wheel.filter if wheel else None,
            temperature=focuser.temperature if focuser else None,
            points=_points(points),
        )

    @property
    def _file(self) -> Path:
        return self.directory / "results.jsonl"

    def _show(self, progress: float | None) -> None:
        status = AutoFocusStatus.IDLE if progress is None else AutoFocusStatus.FOCUSING
        if progress is not None:
            self.report_progress(progress)
        self.publish(AutoFocusState(status=status, progress=progress, last=self._last))


def _around(centre: float, step: float, steps: int) -> list[float]:
    """Positions in one direction, so that backlash shows once at most."""
    return [centre + step * (index - steps // 2) for index in range(steps)]


def _fit(points: dict[float, float | None]) -> FocusFit:
    """Fit the points that have stars. Raises `FocusError`."""
    from pytel.imaging.focus import fit_focus_curve

    good = {position: hfd for position, hfd in points.items() if hfd is not None}
    return fit_focus_curve(list(good), list(good.values()))


def _points(points: dict[float, float | None]) -> tuple[FocusPoint, ...]:
    return tuple(FocusPoint(position=position, hfd=points[position]) for position in sorted(points))


def _failed(error: PytelError, points: dict[float, float | None]) -> FocusFailed:
    measured = [msgspec.to_builtins(point) for point in _points(points)]
    return FocusFailed(f"no focus was found: {error.message}", points=measured, cause=error.name, **_device(error))


def _device(error: PytelError) -> dict[str, str]:
    return {"device": str(error.data["device"])} if "device" in error.data else {}


def _hfd_of(pixels: object, min_stars: int) -> float | None:
    """HFD of a frame, None without stars. A small window may hold a single star."""
    import numpy as np

    from pytel.imaging.sources import NoStars, image_quality

    frame = np.asarray(pixels)
    try:
        return image_quality(frame, min_stars=1 if max(frame.shape) <= 128 else min_stars).hfd
    except NoStars:
        return None


def _append(path: Path, line: bytes) -> None:
    with storage_full_named(path), path.open("ab", buffering=0) as file:
        file.write(line)
        os.fsync(file.fileno())


def _last_result(path: Path) -> FocusResult | None:
    """The newest line that is whole."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            return msgspec.json.decode(line, type=FocusResult)
        except msgspec.MsgspecError:
            continue
    return None
