"""Cameras on alpaca-simulators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpaca_kit import Cable, put_stars, until
from pytel.base import clock
from pytel.base.errors import Cancelled, ConnectionLost, InvalidParams
from pytel.interfaces import Camera, CameraCapabilities, CameraState, CameraStatus, FrameType, Telescope, Window
from pytel.sky.coordinates import altaz_to_radec
from pytel.sky.sphere import offset_by
from pytel.testing import Observatory

from .site_kit import site_of, works_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def exposes(observatory: Observatory) -> bool:
    state = observatory.latest(CameraState)
    return state is not None and state.status is CameraStatus.EXPOSING


async def expose(camera: Camera, exposure_time: float) -> None:
    await camera.expose(exposure_time, FrameType.DARK)


async def test_frames_windows_and_binning(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "camera", "wheel", "focuser") as observatory:
        camera = observatory.find(Camera)
        able = await observatory.capabilities_of(CameraCapabilities)
        assert (able.width, able.height, able.pixel_size, able.gain) == (1024, 1024, 10.0, 1.0)
        image = await observatory.image(await camera.expose(1.0, FrameType.DARK))
        assert image.pixels.shape == (1024, 1024)
        assert image.header["EXPTIME"] == pytest.approx(1.0)
        assert image.header["FOCUSPOS"] == pytest.approx(10.0)
        assert np.ptp(image.pixels) > 0
        binned = await observatory.image(await camera.expose(0.2, FrameType.DARK, 2))
        assert binned.pixels.shape == (512, 512)
        part = await observatory.image(
            await camera.expose(0.2, FrameType.DARK, 1, Window(x=100, y=40, width=300, height=200))
        )
        assert part.pixels.shape == (200, 300)
        assert (await observatory.image(await camera.expose(0.0, FrameType.BIAS))).pixels.shape == (1024, 1024)
        with pytest.raises(InvalidParams):
            await camera.expose(1.0, FrameType.DARK, 99)


async def test_stars_are_where_the_mount_points(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "telescope", "camera") as observatory:
        place = altaz_to_radec(60.0, 150.0, clock.time(), observatory.site.info.location)
        put_stars(tmp_path, (*place, 10.0), (*offset_by(*place, 0.0, 60.0), 11.0))
        await observatory.find(Telescope).move_radec(*place)
        camera = observatory.find(Camera)
        light = await observatory.image(await camera.expose(1.0))
        dark = await observatory.image(await camera.expose(1.0, FrameType.DARK))
        (row, column), peak = brightest(light.pixels)
        assert (row, column) == pytest.approx((512, 512), abs=20), "within 5 arcseconds"
        assert peak > 10 * brightest(dark.pixels)[1]
        others = light.pixels.copy()
        others[row - 30 : row + 30, column - 30 : column + 30] = 0
        (other_row, other_column), _ = brightest(others)
        # 10 micrometres at 8 metres.
        assert np.hypot(other_row - row, other_column - column) == pytest.approx(60.0 / 0.2578, abs=3)


def brightest(pixels: Any) -> tuple[tuple[int, int], float]:
    """The middle of the brightest 3 x 3 pixels, and how bright they are: a lone pixel may be hot."""
    smooth = (
        sum(np.roll(pixels.astype(float), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)) / 9
    )
    row, column = np.unravel_index(smooth.argmax(), smooth.shape)
    return (int(row), int(column)), float(smooth[row, column] - np.median(pixels))


async def test_an_exposure_is_aborted_and_another_taken(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "camera") as observatory:
        camera = observatory.find(Camera)
        job = asyncio.ensure_future(expose(camera, 60.0))
        await until(lambda: exposes(observatory))
        await camera.abort_exposure()
        with pytest.raises(Cancelled):
            await job
        image = await observatory.image(await camera.expose(0.5, FrameType.DARK))
        assert image.header["EXPTIME"] == pytest.approx(0.5)


async def test_the_link_is_cut_in_mid_exposure(alpaca_server: str, tmp_path: Path) -> None:
    cable = Cable(alpaca_server)
    server = await cable.start()
    try:
        async with site_of(server, tmp_path, "camera") as observatory:
            camera = observatory.find(Camera)
            job = asyncio.ensure_future(expose(camera, 8.0))
            await until(lambda: exposes(observatory))
            await cable.sever()
            with pytest.raises(ConnectionLost):
                await job
            await cable.splice()
            await works_again(lambda: expose(camera, 0.2))
    finally:
        await cable.stop()


async def test_the_cooler_is_set(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "camera", camera={"poll_period": "1 s"}) as observatory:
        await observatory.find(Camera).set_cooling(-10.0)
        await until(lambda: getattr(observatory.latest(CameraState), "temperature", None) == -10.0)
        assert observatory.state(CameraState).setpoint == -10.0
        await observatory.find(Camera).set_cooling(None)
        await until(lambda: observatory.state(CameraState).setpoint is None)
