"""pytel as an INDI driver: its devices through real indiserver tools, our own client and our own drivers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from devices.indi.site_kit import until
from indi_kit import free_port
from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.threads import in_thread
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.properties import PropertyState
from pytel.interfaces import EnclosureState, EnclosureStatus, FilterWheelState, FocuserState, TelescopeState
from pytel.module.sitefile import parse_site
from pytel.module.yaml_lines import read_yaml
from pytel.sky.coordinates import altaz_to_radec, apparent_place, separation
from pytel.testing import Observatory
from pytel.testing.observatory import default_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PATIENCE = 60.0


@contextlib.asynccontextmanager
async def offering(folder: Path, **config: Any) -> AsyncIterator[tuple[Observatory, IndiClient]]:
    """A simulated site whose devices are offered, and a client."""
    site, port = default_site(), free_port()
    # How far the telescope has to go depends on the time of day: half the sky in seconds.
    site["simulation"]["telescope"] = {"slew_rate": 30.0, "acceleration": 15.0}
    site["modules"]["indi"] = {"type": "indi-server", "listen": f"127.0.0.1:{port}", "update_period": 0.2, **config}
    async with Observatory(site, directory=folder) as observatory:
        client = IndiClient(f"127.0.0.1:{port}")
        await client.start()
        try:
            await client.until_connected(PATIENCE)
            yield observatory, client
        finally:
            await client.stop()


async def test_a_telescope_is_slewed_parked_and_refuses(tmp_path: Path) -> None:
    async with offering(tmp_path) as (observatory, client):
        name = "pytel Telescope"
        await client.require(name, "EQUATORIAL_EOD_COORD", PATIENCE)
        ra, dec = altaz_to_radec(60.0, 150.0, clock.time(), observatory.site.info.location)
        there = apparent_place(ra, dec, clock.time())
        values = {"RA": there[0] / 15, "DEC": there[1]}
        await client.set(
            name, "EQUATORIAL_EOD_COORD", values, PATIENCE, done=lambda now: now.state is PropertyState.BUSY
        )
        await client.wait(name, "EQUATORIAL_EOD_COORD", lambda now: now.state is PropertyState.OK, PATIENCE)
        now = observatory.state(TelescopeState)
        assert now.ra is not None
        assert now.dec is not None
        assert separation(now.ra, now.dec, ra, dec) * 3600 < 5
        with pytest.raises(DeviceError, match="altitude"):
            await client.set(name, "EQUATORIAL_EOD_COORD", {"RA": values["RA"], "DEC": 85.0}, PATIENCE)
        await client.set(name, "TELESCOPE_PARK", {"PARK": True}, PATIENCE, done=lambda now: now.members_on("PARK"))


async def test_a_frame_comes_as_fits(tmp_path: Path) -> None:
    async with offering(tmp_path) as (_, client):
        name = "pytel Camera"
        await client.require(name, "CCD1", PATIENCE)
        await client.set(name, "CCD_FRAME_TYPE", {"FRAME_DARK": True}, PATIENCE)
        await client.set(name, "CCD_BINNING", {"HOR_BIN": 2.0, "VER_BIN": 2.0}, PATIENCE)
        async with client.blobs(name, "CCD1") as frames:
            await client.send(name, "CCD_EXPOSURE", {"CCD_EXPOSURE_VALUE": 0.5})
            blob = await frames.get(PATIENCE)
            path = tmp_path / "frame.fits"
            await in_thread(path.write_bytes, bytes(blob.data))
            blob.close()
        with fits.open(path) as units:
            assert units[0].header["EXPTIME"] == pytest.approx(0.5)
            assert units[0].header["XBINNING"] == 2
            assert units[0].data.ndim == 2


async def test_focuser_wheel_and_roof(tmp_path: Path) -> None:
    async with offering(tmp_path) as (observatory, client):
        await client.require("pytel Focuser", "ABS_FOCUS_POSITION", PATIENCE)
        now = observatory.state(FocuserState).base or 0.0
        steps = round(now * 1000) + 50.0
        await client.set(
            "pytel Focuser",
            "ABS_FOCUS_POSITION",
            {"FOCUS_ABSOLUTE_POSITION": steps},
            PATIENCE,
            done=lambda told: told.state is PropertyState.OK and told.number("FOCUS_ABSOLUTE_POSITION") == steps,
        )
        assert observatory.state(FocuserState).base == pytest.approx(steps / 1000)
        wheel = client.vector("pytel Filter Wheel", "FILTER_NAME")
        assert wheel is not None
        wanted = wheel.text("FILTER_SLOT_NAME_2")
        await client.set("pytel Filter Wheel", "FILTER_SLOT", {"FILTER_SLOT_VALUE": 2.0}, PATIENCE)
        await until(lambda: observatory.state(FilterWheelState).filter == wanted)
        # The site is not safe yet: it refuses in words.
        with pytest.raises(DeviceError, match="Unsafe"):
            await client.set("pytel Dome", "DOME_SHUTTER", {"SHUTTER_OPEN": True}, PATIENCE)
        await until(lambda: observatory.state(EnclosureState).may_open)
        await client.set(
            "pytel Dome",
            "DOME_SHUTTER",
            {"SHUTTER_OPEN": True},
            PATIENCE,
            done=lambda told: told.state is PropertyState.OK and told.members_on("SHUTTER_OPEN"),
        )
        assert observatory.state(EnclosureState).status is EnclosureStatus.OPEN
        await client.set("pytel Dome", "DOME_SHUTTER", {"SHUTTER_CLOSE": True}, PATIENCE)
        await until(lambda: observatory.state(EnclosureState).status is EnclosureStatus.CLOSED)


async def test_indiserver_takes_it_for_a_driver_of_its_own(tmp_path: Path) -> None:
    """indiserver chains remote drivers: its clients see the devices as if they were its own."""
    async with offering(tmp_path) as (_, client):
        port = free_port()
        drivers = [f'"{name}"@{client.address}' for name in ("pytel Telescope", "pytel Weather")]
        server = await asyncio.create_subprocess_exec("indiserver", "-p", str(port), "-u", "", *drivers)
        try:

            def asked() -> str:
                command = ("indi_getprop", "-p", str(port), "-t", "2", "pytel Telescope.DRIVER_INFO.DRIVER_INTERFACE")
                return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout

            async with asyncio.timeout(PATIENCE):
                while "DRIVER_INTERFACE=1" not in await in_thread(asked):  # noqa: ASYNC110 - asked anew
                    await asyncio.sleep(0.5)
        finally:
            server.kill()
            await server.wait()


def test_what_cannot_be_offered_is_told(tmp_path: Path) -> None:
    site = default_site()
    site["modules"]["indi"] = {"type": "indi-server", "listen": "nowhere", "devices": ["oven"]}
    _, faults = parse_site(site, directory=tmp_path)
    told = "\n".join(str(fault) for fault in faults)
    assert "'nowhere' is not HOST:PORT" in told
    assert "'oven' cannot be offered" in told


def test_the_page_s_site_is_fine(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "indi-server.md").read_text(encoding="utf-8")
    modules = read_yaml(re.findall(r"```yaml\n(.*?)```", page, re.S)[0], "page.yaml").value["modules"]
    site = default_site()
    _, faults = parse_site({**site, "modules": modules}, directory=tmp_path)
    assert not faults
