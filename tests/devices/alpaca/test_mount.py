"""Mounts and guide ports on alpaca-simulators."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from alpaca_kit import Cable, until
from pytel.base import clock
from pytel.base.errors import Cancelled, ConnectionLost, DeviceError, DeviceTimeout, MethodNotFound
from pytel.interfaces import (
    GuideDirection,
    GuidePort,
    GuidePortCapabilities,
    GuidePortState,
    Telescope,
    TelescopeCapabilities,
    TelescopeState,
    TelescopeStatus,
)
from pytel.sky.coordinates import altaz_to_radec, apparent_place, separation
from pytel.testing import Observatory

from .liar import LIES, Liar
from .site_kit import put, site_of, value, works_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ARCSEC = 1 / 3600


def state(observatory: Observatory) -> TelescopeState:
    return observatory.state(TelescopeState)


def high(observatory: Observatory, away: float = 0.0) -> tuple[float, float]:
    """A place high in the sky."""
    return altaz_to_radec(60.0, (150.0 + away) % 360, clock.time(), observatory.site.info.location)


def off(observatory: Observatory, ra: float, dec: float) -> float:
    now = state(observatory)
    assert now.ra is not None
    assert now.dec is not None
    return separation(now.ra, now.dec, ra, dec) / ARCSEC


async def test_slew_track_offset_sync_and_park(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "telescope") as observatory:
        telescope = observatory.find(Telescope)
        able = await observatory.capabilities_of(TelescopeCapabilities)
        assert (able.focal_length, able.aperture) == (8000.0, 1000.0), "metres there, millimetres here"
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
        assert now.alt == pytest.approx(50.0, abs=0.1)
        assert now.az == pytest.approx(200.0, abs=0.1)
        await telescope.park()
        assert state(observatory).status is TelescopeStatus.PARKED
        await telescope.move_radec(*high(observatory))
        assert state(observatory).status is TelescopeStatus.TRACKING, "a slew unparks"


async def test_a_slew_is_stopped_and_one_loses_its_link(alpaca_server: str, tmp_path: Path) -> None:
    cable = Cable(alpaca_server)
    server = await cable.start()
    try:
        async with site_of(server, tmp_path, "telescope") as observatory:
            telescope = observatory.find(Telescope)
            await telescope.move_radec(*high(observatory))

            async def go() -> None:
                await telescope.move_radec(*high(observatory, 160.0))

            slewing = asyncio.ensure_future(go())
            await until(lambda: state(observatory).status is TelescopeStatus.SLEWING)
            await telescope.stop()
            with pytest.raises(Cancelled):
                await slewing
            await telescope.move_radec(*high(observatory))
            slewing = asyncio.ensure_future(go())
            await until(lambda: state(observatory).status is TelescopeStatus.SLEWING)
            await cable.sever()
            with pytest.raises(ConnectionLost):
                await slewing
            await cable.splice()
            ra, dec = high(observatory)

            async def point() -> None:
                await telescope.move_radec(ra, dec)

            await works_again(point)
            assert off(observatory, ra, dec) < 5
    finally:
        await cable.stop()


async def test_a_mount_that_tells_no_equinox_must_be_told_one(
    alpaca_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"coordinates": "as the mount tells"}
    async with site_of(alpaca_server, tmp_path, "telescope", telescope=named):
        await until(lambda: "EquatorialSystem 0" in caplog.text)
        assert "write 'coordinates: of date' or" in caplog.text


async def test_pulses_are_given(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "guider") as observatory:
        await put(alpaca_server, "telescope/0/unpark")
        able = await observatory.capabilities_of(GuidePortCapabilities)
        assert able.rate_ra == pytest.approx(3.6)
        port = observatory.find(GuidePort)
        await port.pulse_guide(GuideDirection.NORTH, 0.5)
        await port.pulse_guide(GuideDirection.WEST, 0.2)


async def test_a_link_is_cut_in_a_pulse(alpaca_server: str, tmp_path: Path) -> None:
    cable = Cable(alpaca_server)
    server = await cable.start()
    try:
        async with site_of(server, tmp_path, "guider") as observatory:
            await put(alpaca_server, "telescope/0/unpark")
            port = observatory.find(GuidePort)

            async def pulse(seconds: float) -> None:
                await port.pulse_guide(GuideDirection.EAST, seconds)

            job = asyncio.ensure_future(pulse(4.0))
            await until(lambda: any("pulseguide" in line for _, line in cable.heard))
            await cable.sever()
            with pytest.raises(ConnectionLost):
                await job
            await cable.splice()
            await works_again(lambda: pulse(0.2))
    finally:
        await cable.stop()


async def test_a_camera_gives_pulses(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "guider", guider={"device": "camera"}) as observatory:
        await observatory.find(GuidePort).pulse_guide(GuideDirection.SOUTH, 0.3)


async def test_a_short_pulse_ends_before_a_long_one_on_the_other_axis(
    alpaca_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIES, "true", lambda told: json.dumps(told | {"Value": True}).encode())
    async with Liar(alpaca_server) as liar, site_of(liar.address, tmp_path, "guider") as observatory:
        await put(alpaca_server, "telescope/0/unpark")
        port = observatory.find(GuidePort)

        async def pulse(direction: GuideDirection, seconds: float) -> None:
            await port.pulse_guide(direction, seconds)

        liar.about, liar.lie = (lambda path: path.endswith("/ispulseguiding")), "true"
        longer = asyncio.ensure_future(pulse(GuideDirection.EAST, 5.0))
        await until(lambda: getattr(observatory.latest(GuidePortState), "ra", None) is GuideDirection.EAST)
        await pulse(GuideDirection.NORTH, 0.1)
        assert not longer.done()
        liar.lie = None
        await longer


async def test_a_mount_that_counts_of_date_is_sent_there(alpaca_server: str, tmp_path: Path) -> None:
    async with site_of(alpaca_server, tmp_path, "telescope", telescope={"coordinates": "of date"}) as observatory:
        ra, dec = high(observatory)
        await observatory.find(Telescope).move_radec(ra, dec)
        assert off(observatory, ra, dec) < 5
        hours = await value(alpaca_server, "telescope/0/rightascension")
        degrees = await value(alpaca_server, "telescope/0/declination")
        of_date = apparent_place(ra, dec, clock.time())
        assert separation(15.0 * hours, degrees, *of_date) / ARCSEC < 5
        assert separation(15.0 * hours, degrees, ra, dec) / ARCSEC > 60, "precession is not nothing"


@pytest.mark.parametrize("lie", ["silence", "NaN", "too large", "a text", "gone", "a fault", "torn", "500"])
async def test_a_mount_lies_in_mid_slew(alpaca_server: str, tmp_path: Path, lie: str) -> None:
    async with Liar(alpaca_server) as liar, site_of(liar.address, tmp_path, "telescope") as observatory:
        telescope = observatory.find(Telescope)
        ra, dec = high(observatory)

        async def go(away: float) -> None:
            await telescope.move_radec(*high(observatory, away))

        await go(0.0)
        slewing = asyncio.ensure_future(go(160.0))
        await until(lambda: state(observatory).status is TelescopeStatus.SLEWING)
        liar.about, liar.lie = (lambda path: path.endswith(("/rightascension", "/declination"))), lie
        with pytest.raises((DeviceError, DeviceTimeout, MethodNotFound)):
            await slewing
        liar.lie = None

        async def back() -> None:
            await telescope.move_radec(ra, dec)

        await works_again(back)
        assert off(observatory, ra, dec) < 5
