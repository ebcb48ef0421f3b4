"""Our drivers on our own server: one observatory drives the devices of another by Alpaca."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from alpaca_kit import until
from gateway.alpaca.kit import alpaca_site
from pytel.base import clock
from pytel.interfaces import (
    Camera,
    CoverCalibrator,
    CoverCalibratorState,
    CoverStatus,
    Focuser,
    FocuserState,
    GuideDirection,
    GuidePort,
    Switch,
    SwitchState,
    Telescope,
    TelescopeState,
    WeatherState,
)
from pytel.interfaces.images import NewImage
from pytel.sky.coordinates import altaz_to_radec, separation

from .site_kit import site_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_one_observatory_drives_another(tmp_path: Path) -> None:
    as_told = {"coordinates": "as the mount tells"}
    names = ("telescope", "guider", "camera", "focuser", "wheel", "cover", "power", "weather", "rotator")
    async with alpaca_site(tmp_path / "theirs") as theirs, contextlib.AsyncExitStack() as stack:
        place = theirs.observatory.site.info.location
        ours = await stack.enter_async_context(
            site_of(theirs.address, tmp_path / "ours", *names, place=place, telescope=as_told)
        )
        await theirs.safe()
        await until(lambda: ours.latest(WeatherState))
        seen, true = ours.state(WeatherState), theirs.observatory.state(WeatherState)
        assert seen.temperature == pytest.approx(true.temperature, abs=1.0)

        ra, dec = altaz_to_radec(60.0, 150.0, clock.time(), place)
        await ours.find(Telescope).move_radec(ra, dec)
        for site in (ours, theirs.observatory):
            there = site.state(TelescopeState)
            assert there.ra is not None
            assert there.dec is not None
            assert 3600 * separation(there.ra, there.dec, ra, dec) < 5

        await ours.find(Focuser).set_focus(5.0)
        assert theirs.observatory.state(FocuserState).position == pytest.approx(5.0, abs=0.01)
        await ours.find(CoverCalibrator).open_cover()
        await ours.find(CoverCalibrator).calibrator_on(0.5)
        lamp = theirs.observatory.state(CoverCalibratorState)
        assert lamp.cover is CoverStatus.OPEN
        assert lamp.brightness == pytest.approx(0.5, abs=0.01)
        await ours.find(CoverCalibrator).calibrator_off()
        await ours.find(Switch).set_port("heater", 40.0)
        assert theirs.observatory.state(SwitchState).values["heater"] == 40.0
        await ours.find(GuidePort).pulse_guide(GuideDirection.EAST, 0.5)

        image = await ours.image(await ours.find(Camera).expose(2.0))
        original = await theirs.observatory.image(theirs.observatory.heard(NewImage)[-1].image)
        assert np.array_equal(image.pixels, original.pixels), "bit for bit, and the same way up"
