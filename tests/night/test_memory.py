"""A process that observes night after night does not grow."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from night_kit import PYTEL
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions

LONGEST = 3600.0


def memory_after_each_night(directory: Path, nights: int) -> list[int]:
    """Run nights in one process; gives its resident bytes as each report appears."""
    command = [str(PYTEL), "demo", "--headless", "--virtual", "--nights", str(nights), "--out", str(directory)]
    with (directory.parent / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    watched = psutil.Process(process.pid)
    seen: list[int] = []
    ends = time.monotonic() + LONGEST
    while process.poll() is None and time.monotonic() < ends:
        if len(list(directory.glob("night-????-??-??.json"))) > len(seen):
            seen.append(watched.memory_info().rss)
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert len(seen) >= nights, (directory.parent / "output").read_text()[-2000:]
    return seen


def grown(directory: Path, nights: int) -> float:
    """Memory after the last night in units of that after the second."""
    seen = memory_after_each_night(directory, nights)
    print("MiB after each night:", [round(size / 2**20, 1) for size in seen], file=sys.stderr)
    return seen[-1] / seen[1]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("nights", [pytest.param(5, marks=pytest.mark.slow), pytest.param(10, marks=pytest.mark.soak)])
def test_nights_without_pixels_do_not_grow(tmp_path: Path, nights: int) -> None:
    folder = DemoFolder(DemoOptions(out=tmp_path / "nights", virtual=True, nights=nights))
    folder.prepare()
    text = folder.site_file.read_text()
    folder.site_file.write_text(text.replace("simulation:\n", "simulation:\n  pixels: stamp\n"))
    assert grown(tmp_path / "nights", nights) <= 1.05


@pytest.mark.soak
def test_nights_with_pixels_do_not_grow(tmp_path: Path) -> None:
    assert grown(tmp_path / "nights", 10) <= 1.05
