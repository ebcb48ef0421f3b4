"""The driver of mounts against INDI's telescope simulator."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from indi_kit import Starter
from pytel.base import clock
from pytel.base.errors import Cancelled, ConnectionLost, InvalidParams, PytelError
from pytel.interfaces import (
    GuideDirection,
    GuidePort,
    GuidePortCapabilities,
    IndiProperties,
    Telescope,
    TelescopeCapabilities,
    TelescopeState,
    TelescopeStatus,
)
from pytel.sky.coordinates import altaz_to_radec, separation
from pytel.testing import Observatory

from .site_kit import site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ARCSEC = 1 / 3600


def state(observatory: Observatory) -> TelescopeState:
    found = observatory.latest(TelescopeState)
    assert found is not None
    return found


def high(observatory: Observatory, away: float = 0.0) -> tuple[float, float]:
    """A place high in the sky."""
    return altaz_to_radec(60.0, (150.0 + away) % 360, clock.time(), observatory.site.info.location)


def off(observatory: Observatory, ra: float, dec: float) -> float:
    now = state(observatory)
    assert now.ra is not None
    assert now.dec is not None
    return separation(now.ra, now.dec, ra, dec) / ARCSEC


async def test_slew_track_offset_sync_and_park(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "telescope") as (observatory, _):
        telescope = observatory.find(Telescope)
        able = await observatory.capabilities_of(TelescopeCapabilities)
        assert (able.focal_length, able.aperture) == (900.0, 120.0), "what the mount was told of its optics"
        ra, dec = high(observatory)
        await telescope.move_radec(ra, dec)
        assert state(observatory).status is TelescopeStatus.TRACKING
        assert off(observatory, ra, dec) < 5
        await asyncio.sleep(6)
        assert off(observatory, ra, dec) < 5, "it tracks"
        await telescope.offset_radec(0.0, 120.0)
        assert off(observatory, ra, dec + 120 * ARCSEC) < 5
        await telescope.sync_radec(ra, dec)
        await until(lambda: off(observatory, ra, dec) < 5)
        await telescope.move_altaz(50.0, 200.0)
        await until(lambda: state(observatory).status is TelescopeStatus.IDLE)
        now = state(observatory)
        assert now.alt == pytest.approx(50.0, abs=0.05)
        assert now.az == pytest.approx(200.0, abs=0.05)
        await telescope.park()
        assert state(observatory).status is TelescopeStatus.PARKED
        await telescope.move_radec(*high(observatory))
        assert state(observatory).status is TelescopeStatus.TRACKING, "a slew unparks"


async def test_a_slew_is_aborted(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "telescope") as (observatory, _):
        telescope = observatory.find(Telescope)
        await telescope.move_radec(*high(observatory))
        ra, dec = high(observatory, 120.0)
        job = asyncio.ensure_future(_awaited(telescope, ra, dec))
        await until(lambda: state(observatory).status is TelescopeStatus.SLEWING)
        await telescope.stop()
        with pytest.raises(Cancelled):
            await job
        assert off(observatory, ra, dec) > 3600
        await telescope.move_radec(*high(observatory))


async def _awaited(telescope: Telescope, ra: float, dec: float) -> None:
    await telescope.move_radec(ra, dec)


async def test_the_server_dies_in_mid_slew(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "telescope") as (observatory, server):
        telescope = observatory.find(Telescope)
        await telescope.move_radec(*high(observatory))
        job = asyncio.ensure_future(_awaited(telescope, *high(observatory, 120.0)))
        await until(lambda: state(observatory).status is TelescopeStatus.SLEWING)
        await server.kill()
        with pytest.raises(ConnectionLost):
            await job
        await until(lambda: state(observatory).status is TelescopeStatus.ERROR)
        await server.restart()
        await until(lambda: state(observatory).status is not TelescopeStatus.ERROR)
        ra, dec = high(observatory)
        await telescope.move_radec(ra, dec)
        assert off(observatory, ra, dec) < 5


async def test_pulses_move_the_mount(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "telescope", "guider") as (observatory, _):
        telescope, port = observatory.find(Telescope), observatory.find(GuidePort)
        ra, dec = high(observatory)
        await telescope.move_radec(ra, dec)
        able = await observatory.capabilities_of(GuidePortCapabilities)
        assert able.rate_dec == pytest.approx(0.5 * 15.041)
        with pytest.raises(PytelError):
            await port.pulse_guide(GuideDirection.NORTH, 60.0)
        before = state(observatory).dec
        assert before is not None
        await port.pulse_guide(GuideDirection.NORTH, 2.0)
        # Which way north is depends on the side of the pier, which this simulator does not take into account.
        expected = 2.0 * able.rate_dec * ARCSEC
        await until(lambda: abs(abs((state(observatory).dec or 0.0) - before) - expected) < 5 * ARCSEC)


async def test_what_no_interface_knows_is_within_reach(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "telescope") as (observatory, _):
        indi = observatory.find(IndiProperties)
        told = await indi.indi_set("GUIDE_RATE", {"GUIDE_RATE_WE": 0.7, "GUIDE_RATE_NS": 0.8})
        assert told.values["GUIDE_RATE_WE"] == pytest.approx(0.7)
        with pytest.raises(InvalidParams):
            await indi.indi_set("GUIDE_RATE", {"NONE": 1.0})
        assert "TELESCOPE_PARK" in await indi.indi_names()
