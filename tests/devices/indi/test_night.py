"""The worked example: a robotic night on INDI simulators alone, in real time, where it is night now."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from indi_kit import CAMERA, DOME, IndiServer, Starter
from pytel.base.threads import in_thread
from pytel.devices.indi.client import IndiClient
from pytel.imaging.solving import FieldHint, NotSolved, solve_field
from pytel.imaging.sources import find_sources
from pytel.module.yaml_lines import read_yaml
from pytel.sky.catalogue import star_source
from pytel.sky.sphere import separation

PAGE = (Path(__file__).parents[3] / "docs" / "indi-night.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def block(language: str, number: int = 0) -> str:
    """A block of the page."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return found[number]


def prepare(folder: Path, count: int) -> None:
    """What the reader saves; so many exposures of a field instead of five."""
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "gsc"
    script.write_text(block("sh"))
    script.chmod(0o755)
    (folder / "tasks.yaml").write_text(block("yaml", 1).replace("count: 5", f"count: {count}"))


def write_site(folder: Path, server: str) -> None:
    """The page's site file, at a longitude where it is midnight, for a server of the test's own."""
    site: dict[str, Any] = read_yaml(block("yaml"), "site.yaml").value
    now = datetime.now(UTC)
    hours = now.hour + now.minute / 60
    site["site"]["longitude"] = -15.0 * hours if hours < 12 else 15.0 * (24 - hours)
    for module in site["modules"].values():
        if module["type"].startswith("indi-"):
            module["server"] = server
    (folder / "site.yaml").write_text(json.dumps(site))


class Night:
    """`pytel run` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}

    async def pytel(self, *arguments: str) -> str:
        """What a command prints; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            BIN / "pytel",
            *arguments,
            cwd=self.folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def begin(self) -> None:
        """Start it."""
        with (self.folder / "output").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                BIN / "pytel", "run", "site.yaml", cwd=self.folder, env=self._environment, stdout=output, stderr=output
            )

    async def end(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(120):
            await self._process.wait()
        assert self._process.returncode == 0, self.printed()

    def kill(self) -> None:
        """Leave nothing running."""
        if self._process.returncode is None:
            self._process.kill()

    def printed(self) -> str:
        """The end of what it printed."""
        return (self.folder / "output").read_text()[-6000:]

    def frames(self) -> list[Path]:
        """What is archived, oldest first."""
        found = (self.folder / "state" / "archive").glob("**/*object*.fits")
        return sorted(found, key=lambda path: path.stat().st_mtime)

    async def until(self, condition: Any, seconds: float) -> None:
        """Wait for what must come."""
        ends = time.monotonic() + seconds
        while not condition():
            assert self._process.returncode is None, self.printed()
            assert time.monotonic() < ends, self.printed()
            await asyncio.sleep(0.5)


async def observe(indi_server: Starter, folder: Path, seconds: float, count: int = 5) -> tuple[Night, IndiServer]:
    """A night of so many seconds; in its midst the server is killed."""
    await in_thread(prepare, folder, count)
    environment = {"PATH": f"{folder / 'bin'}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"}
    drivers = ("telescope", "ccd", "focus", "wheel", "dome", "weather")
    server = await indi_server(*(f"indi_simulator_{driver}" for driver in drivers), env=environment)
    await in_thread(write_site, folder, server.address)
    night = Night(folder)
    assert "is fine" in await night.pytel("check", "site.yaml")
    await night.begin()
    try:
        ends = time.monotonic() + seconds
        await night.until(lambda: len(night.frames()) >= 3, 180)
        await exposing(server)
        await server.kill()
        await asyncio.sleep(3)
        await server.restart()
        before = len(night.frames())
        await night.until(lambda: len(night.frames()) >= before + 3, 180)
        await night.until(lambda: time.monotonic() >= ends, seconds + 60)
        modules = json.loads(await night.pytel("modules", "--json"))
        assert {row["status"] for row in modules} == {"ready"}, modules
        await night.end()
    finally:
        night.kill()
    return night, server


async def exposing(server: IndiServer) -> None:
    """Wait for the midst of an exposure."""
    client = IndiClient(server.address)
    await client.start()
    try:
        await client.require(CAMERA, "CCD_EXPOSURE", 30)
        await client.wait(CAMERA, "CCD_EXPOSURE", lambda now: 1.0 < now.number("CCD_EXPOSURE_VALUE") < 3.5, 120)
    finally:
        await client.stop()


async def is_shut(server: IndiServer) -> bool:
    """Whether the dome says that it is closed."""
    client = IndiClient(server.address)
    await client.start()
    try:
        shutter = await client.require(DOME, "DOME_SHUTTER", 30)
        return shutter.members_on("SHUTTER_CLOSE") and shutter.state.value != "busy"
    finally:
        await client.stop()


def distances(frames: list[Path]) -> list[float]:
    """How far from where its header says each frame was taken, arcsec; those that cannot be solved are left out."""
    found = []
    for path in frames:
        with fits.open(path) as units:
            image = next(unit for unit in units if unit.data is not None)
            header, pixels = image.header, image.data
        hint = FieldHint(header["RA"], header["DEC"], 0.3, 206.265 * header["XPIXSZ"] / header["FOCALLEN"])
        try:
            solved = solve_field(find_sources(pixels), pixels.shape, hint, stars=star_source(invent=True))
        except NotSolved:
            continue
        found.append(separation(solved.ra, solved.dec, header["RA"], header["DEC"]) * 3600)
    return found


def check_frames(night: Night, least: int) -> None:
    """Frames with our cards, of the sky where the header says."""
    frames = night.frames()
    assert len(frames) >= least, night.printed()
    for path in frames:
        header = fits.getheader(path, 0) if fits.getheader(path, 0)["NAXIS"] else fits.getheader(path, 1)
        missing = {"OBJECT", "FILTER", "EXPTIME", "DATE-OBS", "RA", "DEC", "AIRMASS", "FOCUSPOS", "TASKID"} - set(
            header
        )
        assert not missing, (path, missing)
        assert header["EXPTIME"] == pytest.approx(5.0)
    off = distances(frames[:8])
    assert len(off) >= 3, "the simulator draws our stars"
    assert max(off) < 30, off


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_five_minutes_of_a_night_in_which_the_server_dies_once(indi_server: Starter, tmp_path: Path) -> None:
    night, server = await observe(indi_server, tmp_path / "night", 300.0)
    assert await is_shut(server)
    await in_thread(check_frames, night, 8)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_an_hour_of_a_night(indi_server: Starter, tmp_path: Path) -> None:
    night, server = await observe(indi_server, tmp_path / "night", 3600.0, count=100)
    assert await is_shut(server)
    await in_thread(check_frames, night, 200)
