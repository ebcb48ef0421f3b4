"""Frames at focuser positions, from whatever camera and focuser are there; ones that restart are waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytel.base import clock
from pytel.base.errors import JobLost, PytelError, Timeout
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Millimetres, Seconds
from pytel.interfaces.camera import Camera, CameraCapabilities, Window
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.images import FrameType
from pytel.services import Module
from pytel.services.patience import PASSING
from pytel.services.timing import patient

if TYPE_CHECKING:
    from pytel.imaging.focus_frame import FocusFrame

T = TypeVar("T")
_MOVE: Seconds = 300.0
"""No focuser takes longer for its whole travel."""
_REPEATS = 2
_SATURATED = 0.98
"""Of the camera's saturation: a flat field may lower it."""


class Settings(Protocol):
    """How frames are taken and measured."""

    @property
    def exposure_time(self) -> Duration:
        """Seconds."""
        ...

    @property
    def binning(self) -> int:
        """Pixels to a side."""
        ...

    @property
    def window(self) -> Window | None:
        """Part of the detector, None for all."""
        ...

    @property
    def min_stars(self) -> int:
        """Good stars that a frame needs."""
        ...

    @property
    def method(self) -> str:
        """How stars are measured."""
        ...

    @property
    def backlash(self) -> Millimetres:
        """What the focuser loses when it turns."""
        ...

    @property
    def patience(self) -> Duration:
        """How long a device that restarts is waited for."""
        ...


class FocusCamera:
    """Moves the focuser, takes frames and measures these."""

    def __init__(self, module: Module, settings: Settings) -> None:
        self._module = module
        self._settings = settings

    async def frame(self, position: Millimetres) -> FocusFrame:
        """Take a frame at a position and measure it. Raises what focuser, camera and store raise."""
        return await self._patiently(lambda: self._frame(position))

    async def move(self, position: Millimetres) -> None:
        """Move the focuser, upwards at the end. Raises what it raises."""
        await self._patiently(lambda: self._move(position))

    async def _frame(self, position: Millimetres) -> FocusFrame:
        from pytel.imaging.focus_frame import measure_frame

        settings, module = self._settings, self._module
        await self._move(position)
        able = await module.capabilities_of(CameraCapabilities)
        camera = module.find(Camera, deadline=settings.exposure_time + able.readout_time + 120.0)
        frame = await camera.expose(
            settings.exposure_time, frame_type=FrameType.FOCUS, binning=settings.binning, window=settings.window
        )
        image: Any = await module.images.get(frame)
        return await in_thread(
            measure_frame,
            image.pixels,
            min_stars=settings.min_stars,
            saturation=_SATURATED * able.saturation,
            project=settings.method != "hfd",
        )

    async def _move(self, position: Millimetres) -> None:
        focuser, backlash = self._module.find(Focuser, deadline=_MOVE), self._settings.backlash
        state = self._module.latest(FocuserState)
        if backlash > 0 and (state is None or state.base is None or position < state.base + backlash):
            limits = await self._module.capabilities_of(FocuserCapabilities)
            low = limits.min_position - min(0.0, state.offset if state else 0.0)
            await focuser.set_focus(max(low, position - backlash))
        await focuser.set_focus(position)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat what failed because a module restarts; a frame that was lost under way is taken again twice."""
        ends, lost = clock.time() + patient(self._settings.patience, 30.0), 0
        while True:
            try:
                return await call()
            except (*PASSING, JobLost) as error:
                lost += isinstance(error, JobLost | Timeout)
                if clock.time() >= ends or lost > _REPEATS:
                    raise
                self._tell(error)
            await clock.sleep(patient(1.0))

    def _tell(self, error: PytelError) -> None:
        self._module.log.info("the frame is tried again: %s", error)
