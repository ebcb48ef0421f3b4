"""Switching the hardware's process on and off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from pytel.base.errors import DeviceError, PytelError
from pytel.base.files import write_atomically
from pytel.base.lock import AlreadyRunning, directory_lock
from pytel.base.threads import in_thread
from pytel.devices.simulated.world.client import SocketWorld
from pytel.devices.simulated.world.wire import SETUP, Setup, read_setup

START_WITHIN = 30.0
ABSENT_FOR = 5.0
"""Real seconds after which a process that nobody sees has failed."""
STOP_WITHIN = 10.0
_LOG = "world.log"


async def switch_on(directory: Path, setup: Setup) -> None:
    """Have hardware running in a directory; one that runs there as wanted is left alone.

    Raises `DeviceError` when it does not come up, with what it says.
    """
    running = await in_thread(_owner, directory)
    if running is not None and await in_thread(read_setup, directory) == setup:
        with contextlib.suppress(PytelError):
            await _until_it_answers(directory)
            return
    if running is not None:
        await switch_off(directory)
    await in_thread(_spawn, directory, setup)
    await _until_it_answers(directory)


async def switch_off(directory: Path) -> None:
    """Stop the hardware of a directory, if any runs; returns when it has ended."""
    await in_thread(_terminate, directory)


def _owner(directory: Path) -> int | None:
    """The process that serves a directory, None when nobody does."""
    try:
        with directory_lock(directory):
            return None
    except AlreadyRunning as error:
        return int(error.data["process"] or 0)


def _spawn(directory: Path, setup: Setup) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / SETUP, [msgspec.json.format(msgspec.json.encode(setup))])
    command = [sys.executable, "-m", "pytel.devices.simulated.world", str(directory)]
    with (directory / _LOG).open("ab") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=START_WITHIN, check=False)  # noqa: S603


async def _until_it_answers(directory: Path) -> None:
    world = SocketWorld(directory)
    begun = time.monotonic()
    try:
        while True:
            try:
                await world.execute("world", "status")
                return
            except PytelError as error:
                absent = time.monotonic() > begun + ABSENT_FOR and await in_thread(_owner, directory) is None
                if absent or time.monotonic() > begun + START_WITHIN:
                    said = await in_thread(_last_words, directory)
                    raise DeviceError(f"the simulated hardware does not start: {said}", device="world") from error
            await asyncio.sleep(0.05)
    finally:
        await world.close()


def _last_words(directory: Path) -> str:
    try:
        lines = (directory / _LOG).read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"it says nothing; see {directory / _LOG}"


def _terminate(directory: Path) -> None:
    ends = time.monotonic() + STOP_WITHIN
    asked = signal.SIGTERM
    while (process := _owner(directory)) is not None:
        if process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, asked)
        if time.monotonic() > ends:
            asked, ends = signal.SIGKILL, ends + STOP_WITHIN
        time.sleep(0.05)
