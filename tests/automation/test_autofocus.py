from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytel.automation.autofocus import SeriesAutoFocus
from pytel.base import clock
from pytel.base.errors import DeviceTimeout, PytelError
from pytel.interfaces.autofocus import AutoFocus, AutoFocusState, AutoFocusStatus, FocusFailed, FocusFound, FocusResult
from pytel.interfaces.camera import Camera, CameraCapabilities, Window
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.images import FrameType, ImageRef
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, rpc
from pytel.module.handlers import on
from pytel.services import Module
from pytel.services.images import Image

Run = Callable[[Callable[[Any], Any]], Any]
BEST = 25.13


class Focus(Module, Focuser):
    async def on_start(self) -> None:
        self.temperature = 8.0
        self.moves: list[float] = []
        self.tell(25.0)

    def tell(self, position: float) -> None:
        self.position = position
        self.publish(
            FocuserState(status=MotionStatus.IDLE, base=position, position=position, temperature=self.temperature)
        )

    def capabilities(self) -> list[Capabilities]:
        return [FocuserCapabilities(min_position=0.0, max_position=50.0, step=0.001)]

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        await clock.sleep(0.2)
        self.moves.append(position)
        self.tell(position)


class Eye(Module, Camera):
    """Remembers the focus of each frame; `stars` on a small or a large frame."""

    async def on_start(self) -> None:
        self.frames: dict[str, float] = {}
        self.best = BEST
        self.focuser: Focus | None = None
        self.size, self.stars = 256, 12
        self.fault: PytelError | None = None
        self.dimmed: set[int] = set()
        self.blurred: set[int] = set()

    def capabilities(self) -> list[Capabilities]:
        return [
            CameraCapabilities(
                width=256, height=256, pixel_size=9.0, gain=1.5, read_noise=6.0, saturation=65535.0, binnings=(1,),
                readout_time=3.0, has_shutter=True, has_cooler=False,
            )
        ]  # fmt: skip

    @rpc(long=True)
    async def expose(
        self,
        exposure_time: float,
        frame_type: FrameType = FrameType.OBJECT,
        binning: int = 1,
        window: Window | None = None,
    ) -> ImageRef:
        assert frame_type is FrameType.FOCUS
        assert self.focuser is not None
        await clock.sleep(exposure_time + 3.0)
        if self.fault is not None and len(self.frames) == 2:
            raise self.fault
        image = f"frame-{len(self.frames)}"
        self.frames[image] = self.focuser.position
        return ImageRef(id=image, sha256="", size=1, store="store")

    async def get(self, ref: ImageRef) -> Image:
        number = int(ref.id.removeprefix("frame-"))
        light = 0.2 if number in self.dimmed else 1.0
        seeing = 1.2 * 1.4 ** (number - 5) if number in self.blurred else 1.2
        return Image(self.render(self.frames[ref.id], light, seeing), {})

    def render(self, position: float, light: float = 1.0, seeing: float = 1.2) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(5)
        sigma = math.hypot(seeing, 12.0 * (position - self.best))
        y, x = np.mgrid[0 : self.size, 0 : self.size]
        frame = rng.normal(1000.0, 8.0, (self.size, self.size))
        for _ in range(self.stars):
            x0, y0 = rng.uniform(24, self.size - 24, 2)
            frame += light * 60000.0 / sigma**2 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))
        return frame.clip(0, 65535).astype(np.uint16)


class Listener(Module):
    async def on_start(self) -> None:
        self.found: list[FocusResult] = []

    @on(FocusFound)
    async def focused(self, event: FocusFound) -> None:
        self.found.append(event.result)


async def begin(bench: Any, **settings: Any) -> tuple[Focus, Eye, Listener]:
    focuser, camera = await bench.start("focuser", Focus), await bench.start("camera", Eye)
    camera.focuser = focuser
    autofocus = await bench.start("autofocus", SeriesAutoFocus, SeriesAutoFocus.Config(**settings))
    autofocus.__dict__["images"] = camera
    return focuser, camera, await bench.start("listener", Listener)


def test_the_focus_is_found_set_told_and_remembered(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        focuser, camera, listener = await begin(bench)
        result = await listener.find(AutoFocus).focus()
        assert result.position == pytest.approx(BEST, abs=0.02)
        assert focuser.position == pytest.approx(result.position)
        assert len(result.points) == len(camera.frames) <= 9
        assert not any(point.rejected for point in result.points)
        assert result.temperature == 8.0
        await clock.sleep(0.1)
        assert listener.found == [result]
        await bench.crash("autofocus")
        await bench.start("autofocus", SeriesAutoFocus)
        await clock.sleep(0.1)
        state = listener.latest(AutoFocusState)
        assert state is not None
        assert (state.status, state.progress, state.last) == (AutoFocusStatus.IDLE, None, result)
        assert state.model is not None
        assert state.model.position == pytest.approx(result.position)

    bench(scenario)


@pytest.mark.parametrize("start", [24.75, 25.5, 24.4, 26.0])
def test_a_minimum_outside_is_followed(bench: Run, start: float) -> None:
    async def scenario(bench: Any) -> None:
        focuser, camera, listener = await begin(bench)
        await focuser.set_focus(start)
        await clock.sleep(0.1)
        result = await listener.find(AutoFocus).focus()
        assert result.position == pytest.approx(BEST, abs=0.03)
        assert len(camera.frames) <= 11

    bench(scenario)


def test_one_star_in_a_small_frame_is_enough(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        _, camera, listener = await begin(bench)
        camera.size, camera.stars = 64, 1
        result = await listener.find(AutoFocus).focus()
        assert result.position == pytest.approx(BEST, abs=0.03)

    bench(scenario)


def test_without_stars_the_focuser_goes_back(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        focuser, camera, listener = await begin(bench)
        camera.stars = 0
        with pytest.raises(FocusFailed) as caught:
            await listener.find(AutoFocus).focus()
        assert all(point["hfd"] is None for point in caught.value.data["points"])
        assert 7 <= len(caught.value.data["points"]) <= 20
        assert focuser.position == 25.0
        assert listener.found == []

    bench(scenario)


def test_a_device_that_fails_is_named(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        focuser, camera, listener = await begin(bench)
        camera.fault = DeviceTimeout("camera did not answer", device="camera")
        with pytest.raises(FocusFailed, match="camera did not answer") as caught:
            await listener.find(AutoFocus).focus()
        assert caught.value.data["device"] == "camera"
        assert focuser.position == 25.0

    bench(scenario)


def test_a_cancelled_run_puts_the_focuser_back(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        focuser, _, listener = await begin(bench)
        run = asyncio.create_task(_await(listener.find(AutoFocus)))
        await clock.sleep(20)
        assert focuser.position != 25.0
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await clock.sleep(5)
        assert focuser.position == 25.0

    bench(scenario)


def test_a_fault_of_the_program_puts_the_focuser_back(bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Any) -> None:
        focuser, camera, listener = await begin(bench)

        async def broken(ref: ImageRef) -> Image:
            if len(camera.frames) > 2:
                raise ValueError("a frame that nobody understands")
            return await Eye.get(camera, ref)

        monkeypatch.setattr(camera, "get", broken)
        with pytest.raises(PytelError):
            await listener.find(AutoFocus).focus()
        assert len(set(focuser.moves)) > 2
        assert focuser.position == 25.0

    bench(scenario)


async def _await(autofocus: AutoFocus) -> FocusResult:
    return await autofocus.focus()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"step": 0.0}, "step"), ({"max_exposures": 3}, "max_exposures"), ({"backlash": -1.0}, "backlash")],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SeriesAutoFocus.Config(**wrong)
