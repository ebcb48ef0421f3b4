"""The simulated hardware as a process: it outlives its drivers, and goes on where it was when it was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from pytel.base import clock
from pytel.base.clock import ScaledClock
from pytel.base.errors import ConnectionLost, MethodNotFound
from pytel.base.location import Location
from pytel.base.lock import AlreadyRunning, directory_lock
from pytel.base.threads import in_thread
from pytel.devices.simulated.world.client import SocketWorld
from pytel.devices.simulated.world.config import CameraConfig, RoofConfig, WorldConfig
from pytel.devices.simulated.world.process import switch_off, switch_on
from pytel.devices.simulated.world.wire import SOCKET, Setup, setup_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]
RATE = 60.0


def small_world() -> Setup:
    config = WorldConfig(camera=CameraConfig(width=256, height=256), roof=RoofConfig(open_time=600.0))
    epoch = ScaledClock(1_781_560_800.0, time.time(), RATE)
    return setup_for(config, Location(latitude=-32.38, longitude=20.81, elevation=1771.0), 1, epoch)


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    """A world that runs in `tmp_path`."""
    made = small_world()
    with clock.using(made.clock()):
        await switch_on(tmp_path, made)
        try:
            yield made
        finally:
            await switch_off(tmp_path)


def owner(directory: Path) -> int:
    """The process that serves a directory."""
    with pytest.raises(AlreadyRunning) as caught, directory_lock(directory):
        pass
    process = caught.value.data["process"]
    assert isinstance(process, int)
    return process


def kill_and_wait(directory: Path) -> None:
    """End the process that serves a directory, at once."""
    os.kill(owner(directory), signal.SIGKILL)
    for _ in range(1000):
        try:
            with directory_lock(directory):
                return
        except AlreadyRunning:
            time.sleep(0.01)
    raise TimeoutError("it does not die")


async def test_devices_answer_and_frames_come_whole(setup: Setup, tmp_path: Path) -> None:
    world = SocketWorld(tmp_path)
    assert (await world.execute("roof", "status"))["status"] == "closed"
    whole = {"binning": 1, "x": 0, "y": 0, "width": 256, "height": 256}
    await world.execute("camera", "start", exposure_time=10.0, shutter=True, **whole)
    await clock.sleep(30.0)
    frame = await world.execute("camera", "read")
    assert frame.dtype == np.uint16
    assert frame.shape == (256, 256)
    assert 400 < np.median(frame) < 600
    with pytest.raises(MethodNotFound, match="no device 'toaster'"):
        await world.execute("toaster", "status")
    await world.close()


async def test_it_outlives_a_client_that_is_killed(setup: Setup, tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib, os, signal\n"
        "from pytel.devices.simulated.world.client import SocketWorld\n"
        "async def main():\n"
        "    await SocketWorld(pathlib.Path(sys.argv[1])).execute('roof', 'open')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = await in_thread(subprocess.run, [sys.executable, "-c", script, str(tmp_path)], timeout=30)
    assert done.returncode == -signal.SIGKILL
    world = SocketWorld(tmp_path)
    assert (await world.execute("roof", "status"))["status"] in ("opening", "open")
    await world.close()


async def test_killed_hardware_goes_on_at_the_killed_instant_plus_the_down_time(setup: Setup, tmp_path: Path) -> None:
    world = SocketWorld(tmp_path)
    await world.execute("roof", "open")
    begun = clock.time()
    await asyncio.sleep(1.0)
    await in_thread(kill_and_wait, tmp_path)
    with pytest.raises(ConnectionLost, match="roof is off"):
        await world.execute("roof", "status")
    await asyncio.sleep(1.0)
    await switch_on(tmp_path, setup)
    status = await world.execute("roof", "status")
    elapsed = clock.time() - begun
    assert status["fraction"] == pytest.approx(min(1.0, elapsed / 600.0), abs=0.1)
    assert (await world.execute("world", "status"))["time"] == pytest.approx(clock.time(), abs=30.0)
    await world.close()


async def test_hardware_that_runs_is_not_started_twice(setup: Setup, tmp_path: Path) -> None:
    before = await in_thread(owner, tmp_path)
    await switch_on(tmp_path, setup)
    assert await in_thread(owner, tmp_path) == before


async def test_hostile_lines_harm_nobody(setup: Setup, tmp_path: Path) -> None:
    for line in (b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"device":1,"command":2}\n', b"x" * 200_000 + b"\n"):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        writer.write(line)
        try:
            assert b"error" in await asyncio.wait_for(reader.readline(), 10)
        except ConnectionError:
            assert len(line) > 65_536  # hung up on what has no end
        writer.close()
    world = SocketWorld(tmp_path)
    assert (await world.execute("roof", "status"))["status"] == "closed"
    await world.close()
