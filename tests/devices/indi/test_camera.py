"""The driver of cameras against INDI's CCD simulator."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indi_kit import Starter
from pytel.base.errors import Cancelled, ConnectionLost, InvalidParams, PytelError
from pytel.interfaces import (
    Camera,
    CameraCapabilities,
    CameraState,
    CameraStatus,
    FrameType,
    GuideDirection,
    GuidePort,
    ImageRef,
    IndiProperties,
    Window,
)

from .site_kit import site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def expose(camera: Camera, *arguments: Any, **named: Any) -> ImageRef:
    return await camera.expose(*arguments, **named)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
async def test_frames_with_our_headers(indi_server: Starter, tmp_path: Path, unix: bool) -> None:
    names = ("store", "camera", "telescope", "wheel", "focuser")
    async with site_of(indi_server, tmp_path, *names, unix=unix) as (observatory, _):
        camera = observatory.find(Camera)
        able = await observatory.capabilities_of(CameraCapabilities)
        assert (able.width, able.height, able.saturation) == (1280, 1024, 65535.0)
        assert able.pixel_size == pytest.approx(5.2)
        image = await observatory.image(await camera.expose(1.0))
        assert image.pixels.shape == (1024, 1280)
        header = image.header
        assert header["EXPTIME"] == pytest.approx(1.0)
        assert header["FILTER"] == "Red"
        assert header["FOCUSPOS"] == pytest.approx(50.0)
        assert {"RA", "DEC", "AIRMASS", "DATE-OBS", "FOCALLEN", "XPIXSZ"} <= set(header)
        binned = await observatory.image(await camera.expose(0.2, FrameType.OBJECT, 2))
        assert binned.pixels.shape == (512, 640)
        part = await observatory.image(
            await camera.expose(0.2, FrameType.DARK, 1, Window(x=100, y=40, width=300, height=200))
        )
        assert part.pixels.shape == (200, 300)
        bias = await observatory.image(await camera.expose(0.0, FrameType.BIAS))
        assert np.median(bias.pixels) < np.median(image.pixels) + 1000
        with pytest.raises(InvalidParams):
            await camera.expose(1.0, FrameType.OBJECT, 99)


async def test_an_exposure_is_aborted_and_another_taken(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "store", "camera") as (observatory, _):
        camera = observatory.find(Camera)
        job = asyncio.ensure_future(expose(camera, 60.0))
        await until(lambda: observatory.state(CameraState).status is CameraStatus.EXPOSING)
        await camera.abort_exposure()
        with pytest.raises(Cancelled):
            await job
        image = await observatory.image(await camera.expose(0.5))
        assert image.header["EXPTIME"] == pytest.approx(0.5)


async def test_the_server_dies_in_mid_exposure(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "store", "camera") as (observatory, server):
        camera = observatory.find(Camera)
        job = asyncio.ensure_future(expose(camera, 30.0))
        await until(lambda: observatory.state(CameraState).status is CameraStatus.EXPOSING)
        await server.kill()
        with pytest.raises(ConnectionLost):
            await job
        await server.restart()

        async def works() -> bool:
            with contextlib.suppress(PytelError):
                await camera.expose(0.2)
                return True
            return False

        async with asyncio.timeout(60):
            while not await works():  # noqa: ASYNC110 - asked again, not waited for
                await asyncio.sleep(0.5)


async def test_a_detector_that_is_another_after_a_connect_is_read_anew(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "store", "camera") as (observatory, _):
        camera, device = observatory.find(Camera), observatory.find(IndiProperties)
        assert (await observatory.image(await camera.expose(0.2))).pixels.shape == (1024, 1280)
        await device.indi_set("SIMULATOR_SETTINGS", {"SIM_XRES": 640.0, "SIM_YRES": 512.0})
        await device.indi_set("CONNECTION", {"DISCONNECT": True})

        async def shape() -> tuple[int, ...]:
            with contextlib.suppress(PytelError):
                return (await observatory.image(await camera.expose(0.2))).pixels.shape
            return ()

        async with asyncio.timeout(60):
            while await shape() != (512, 640):  # noqa: ASYNC110 - asked again, not waited for
                await asyncio.sleep(0.5)


async def test_the_cooler_is_set(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "store", "camera", camera={"poll_period": "1 s"}) as (observatory, _):
        await observatory.find(Camera).set_cooling(-10.0)
        await until(lambda: (observatory.state(CameraState).temperature or 0.0) < -1.0)
        assert observatory.state(CameraState).setpoint == -10.0


async def test_a_guide_camera_takes_guide_frames_and_gives_pulses(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "store", "guide_camera", "st4") as (observatory, _):
        frame = await observatory.image(await observatory.find(Camera).take_guide_frame(0.5))
        assert frame.pixels.ndim == 2
        assert frame.header["EXPTIME"] == pytest.approx(0.5)
        port = observatory.find(GuidePort)
        await port.pulse_guide(GuideDirection.NORTH, 0.3)
        await port.pulse_guide(GuideDirection.WEST, 0.3)
