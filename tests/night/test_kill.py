"""`kill -9` in a live night: the hardware goes on, the same command goes on, no image is lost or doubled."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from night_kit import PYTEL
from pytel.base.lock import AlreadyRunning, directory_lock
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world"), pytest.mark.timeout(300)]
RATE = 600.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DemoFolder]:
    """A demonstration on a fast clock with small frames under a clear sky."""
    made = DemoFolder(DemoOptions(out=tmp_path / "night", rate=RATE))
    made.prepare()
    text = made.site_file.read_text()
    made.site_file.write_text(text.replace("simulation:\n", "simulation:\n  pixels: stamp\n"))
    yield made
    stop_hardware(made)


def stop_hardware(folder: DemoFolder) -> None:
    """End what a failed test leaves."""
    try:
        with directory_lock(folder.state / "world"):
            return
    except AlreadyRunning as running:
        subprocess.run(["kill", str(running.data["process"])], check=False)


def start(folder: DemoFolder) -> subprocess.Popen[bytes]:
    command = [str(PYTEL), "demo", "--headless", "--rate", f"{RATE:g}", "--out", str(folder.path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def images(folder: DemoFolder) -> set[str]:
    return {path.name for path in (folder.path / "images").glob("*/*object*.fits")}


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the demonstration ended"
        assert time.monotonic() < ends, "it takes too long"
        time.sleep(0.05)


def rows(folder: DemoFolder) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder.state / "archive" / "archive.sqlite") as database:
        return list(database.execute("select id, task, exposure_index, path from images where frame_type = 'object'"))


def test_a_killed_night_goes_on(folder: DemoFolder) -> None:
    first = start(folder)
    until(lambda: len(images(folder)) >= 8, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = images(folder)
    with pytest.raises(AlreadyRunning), directory_lock(folder.state / "world"):
        pass  # the hardware outlives its drivers
    second = start(folder)
    until(lambda: len(images(folder)) >= len(before) + 8, second)
    second.send_signal(signal.SIGTERM)
    second.wait(timeout=120)
    archived = rows(folder)
    assert before <= {Path(row[3]).name for row in archived} <= images(folder)
    assert len({row[0] for row in archived}) == len(archived)
    shots = [(row[1], row[2]) for row in archived]
    assert len(set(shots)) == len(shots), "an exposure was taken twice"
    with directory_lock(folder.state / "world"):  # switched off with the site, and the roof is shut
        roof = json.loads((folder.state / "world" / "state.json").read_text())["roof"]
    assert roof["travel"]["target"] == 0.0, roof
