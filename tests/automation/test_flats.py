"""Flats on the simulated sky and lamp, bias and darks, on the virtual clock."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.flat_light import FlatLight
from pytel.automation.flats import is_good_flat
from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.location import Location
from pytel.base.threads import in_thread
from pytel.imaging.fits import read_fits
from pytel.interfaces import (
    CalibrationFrames,
    CoverCalibrator,
    CoverCalibratorState,
    CoverStatus,
    Enclosure,
    FlatField,
    FlatFieldFailed,
    FrameType,
    TelescopeState,
)
from pytel.sky.almanac import next_crossing
from pytel.testing import Observatory, on_virtual_clock
from pytel.testing.observatory import default_site

PLACE = Location(latitude=-32.38, longitude=20.81, elevation=1771.0)


def sun_at(altitude: float, hour: int, rising: bool) -> datetime:
    """When the Sun next passes an altitude after an hour of the 1st of March."""
    crossing = next_crossing(altitude, datetime(2026, 3, 1, hour, tzinfo=UTC).timestamp(), PLACE, rising)
    assert crossing is not None
    return datetime.fromtimestamp(crossing, UTC)


SUNSET = sun_at(-2.0, 12, rising=False)
DAWN = sun_at(-11.0, 22, rising=True)
SATURATION = 65535.0


def site(**more: Any) -> dict[str, Any]:
    described = default_site()
    described["simulation"] |= {
        "camera": {"width": 128, "height": 128, "hot_pixels": 4, "cosmic_rays": 0.0, "readout_time": 1.0, **more},
        "cover": {"present": True},
        "star_limit": 12.0,
    }
    for name in ("observer", "tasks", "autofocus"):
        described["modules"].pop(name)
    described["modules"] |= {
        "flats": {"type": "twilight-flats"},
        "cover": {"type": "simulated-cover"},
        "darks": {"type": "dark-frames"},
    }
    return described


async def level(observatory: Observatory, image: str) -> float:
    """The median of a stored frame."""

    def median() -> float:
        path = next(observatory.site.info.state_dir.rglob(f"*{image}*.fits*"))
        return float(np.median(read_fits(path)[0]))

    return await in_thread(median)


async def opened(observatory: Observatory) -> None:
    await observatory.until(lambda: observatory.latest(CoverCalibratorState) is not None)
    await clock.sleep(60.0)
    await observatory.find(Enclosure).open()
    await observatory.find(CoverCalibrator).open_cover()


@on_virtual_clock(start=SUNSET)
@pytest.mark.slow
async def test_evening_flats_follow_the_fading_light() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await opened(observatory)
        results = await observatory.find(FlatField, deadline=6000).take_flat_sets(("Clear", "I", "B"), 5)
        assert {result.filter for result in results} == {"Clear", "I", "B"}
        for result in results:
            assert result.taken == len(result.images) == 5
            assert abs(result.median_counts - (0.5 * SATURATION - 500)) < 0.15 * SATURATION
        state = observatory.state(TelescopeState)
        assert math.hypot(state.offset_ra, state.offset_dec) > 15.0
        # The filters are known from then on: least sensitive first in the evening.
        again = await observatory.find(FlatField, deadline=6000).take_flat_sets(("Clear", "I"), 1)
        assert [result.filter for result in again] == ["I", "Clear"]


@pytest.mark.slow
@on_virtual_clock(start=DAWN)
async def test_morning_flats_wait_for_the_light() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await opened(observatory)
        result = await observatory.find(FlatField, deadline=6000).take_flats(4, "V")
        assert result.taken == 4
        assert abs(result.median_counts - (0.5 * SATURATION - 500)) < 0.15 * SATURATION


@on_virtual_clock(start=datetime(2026, 3, 1, 22, tzinfo=UTC))
async def test_there_are_no_flats_at_night() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        with pytest.raises(FlatFieldFailed, match="no twilight"):
            await observatory.find(FlatField).take_flats(4, "V")


@on_virtual_clock(start=SUNSET)
async def test_a_closed_roof_makes_no_flats() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await clock.sleep(60.0)
        with pytest.raises(FlatFieldFailed, match=r"too dark|did not fit"):
            await observatory.find(FlatField, deadline=6000).take_flats(4, "V")


@on_virtual_clock(start=datetime(2026, 3, 1, 15, tzinfo=UTC))
async def test_flats_on_the_lamp_dim_it_where_it_is_too_bright() -> None:
    described = site()
    described["simulation"]["cover"]["brightness"] = 400_000.0
    described["modules"]["flats"] = {"type": "panel-flats"}
    async with Observatory(described, pixels="full") as observatory:
        await clock.sleep(30.0)
        results = await observatory.find(FlatField, deadline=6000).take_flat_sets(("Clear", "B"), 3)
        assert [result.filter for result in results] == ["Clear", "B"]
        assert all(abs(result.median_counts - (0.5 * SATURATION - 500)) < 0.1 * SATURATION for result in results)
        state = observatory.state(CoverCalibratorState)
        assert state.cover is CoverStatus.CLOSED
        assert state.brightness == 0.0


@on_virtual_clock(start=datetime(2026, 3, 1, 15, tzinfo=UTC))
async def test_a_lamp_that_is_broken_is_told() -> None:
    described = site()
    described["simulation"]["cover"]["brightness"] = 1.0
    described["modules"]["flats"] = {"type": "panel-flats"}
    async with Observatory(described, pixels="full") as observatory:
        await clock.sleep(30.0)
        with pytest.raises(FlatFieldFailed, match="lamp is too dark"):
            await observatory.find(FlatField, deadline=6000).take_flats(3, "Clear")


@on_virtual_clock(start=datetime(2026, 3, 1, 15, tzinfo=UTC))
async def test_bias_and_darks_are_dark() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await clock.sleep(30.0)
        frames = observatory.find(CalibrationFrames, deadline=600)
        bias = await frames.take_bias(3)
        darks = await frames.take_darks(20.0, 2)
        assert (bias.frame_type, len(bias.images), darks.exposure_time) == (FrameType.BIAS, 3, 20.0)
        nothing = await level(observatory, bias.images[0])
        assert nothing == pytest.approx(500.0, abs=10.0)
        assert await level(observatory, darks.images[0]) > nothing


@on_virtual_clock(start=datetime(2026, 3, 1, 15, tzinfo=UTC))
async def test_a_camera_without_a_shutter_needs_something_closed() -> None:
    described = site(shutter=False)
    described["modules"].pop("cover")
    async with Observatory(described, pixels="full") as observatory:
        await clock.sleep(60.0)
        frames = observatory.find(CalibrationFrames, deadline=600)
        assert len((await frames.take_darks(1.0, 1)).images) == 1
        await observatory.find(Enclosure).open()
        with pytest.raises(DeviceError, match="no shutter"):
            await frames.take_darks(1.0, 1)


@on_virtual_clock(start=datetime(2026, 3, 1, 15, tzinfo=UTC))
async def test_no_darks_under_a_lamp_that_shines() -> None:
    async with Observatory(site(shutter=False), pixels="full") as observatory:
        await clock.sleep(60.0)
        await observatory.find(CoverCalibrator).calibrator_on(0.5)
        with pytest.raises(DeviceError, match="lamp"):
            await observatory.find(CalibrationFrames, deadline=600).take_darks(1.0, 1)


# how long to expose


@given(
    rate=st.floats(10.0, 1e6),
    slope=st.floats(-0.02, 0.02).map(lambda value: round(value, 6)),
    counts=st.floats(100.0, 5e4),
)
def test_the_exposure_collects_what_is_wanted(rate: float, slope: float, counts: float) -> None:
    light = FlatLight(lambda _: slope)
    light.measured(0.0, rate)
    seconds = light.exposure_time(counts, 10.0)
    begin = rate * math.exp(10.0 * slope)
    if math.isinf(seconds):
        assert slope < 0
        assert begin / -slope <= counts * (1 + 1e-6)
    else:
        collected = begin * (math.expm1(slope * seconds) / slope if slope else seconds)
        assert collected == pytest.approx(counts, rel=1e-3)


def test_frames_tell_the_slope_better_than_the_model() -> None:
    light = FlatLight(lambda _: 0.0)
    for when in (0.0, 20.0, 40.0, 60.0):
        light.measured(when, 1000.0 * math.exp(-0.01 * when))
    assert light.slope(60.0) == pytest.approx(-0.01)
    assert light.wait(light.rate(60.0) / 2, 60.0) == pytest.approx(math.log(2) / 0.01)
    assert math.isinf(light.wait(light.rate(60.0) * 2, 60.0))


@pytest.mark.parametrize(
    ("counts", "good"), [(45_000.0, True), (60_000.0, True), (62_500.0, False), (65_035.0, False), (20_000.0, False)]
)
def test_a_saturated_flat_is_none_whatever_the_tolerance(counts: float, good: bool) -> None:
    assert is_good_flat(counts, 500.0, 48_650.0, 0.4, SATURATION) is good
