"""The page on devices: its commands, one after the other, with Debian's INDI simulators."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indi_kit import IndiServer

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"
PYTEL = str(Path(sys.executable).with_name("pytel"))
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.S | re.M)


def commands() -> list[list[str]]:
    lines = [line for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")) for line in block.splitlines()]
    assert all(line.startswith("$ pytel ") for line in lines)
    return [line.removeprefix("$ pytel ").split() for line in lines]


def carry_out(folder: Path, server: str, command: list[str]) -> str:
    if command[:2] == ["devices", "scan"]:
        command = [*command, "--only-named", "--indi", server, "--wait", "10"]
    done = subprocess.run([PYTEL, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def complete(path: Path) -> None:
    """What the page asks of the reader."""
    text = path.read_text(encoding="utf-8")
    assert "  # focuser: {" in text
    path.write_text(text.replace("  # focuser: {", "  focuser: {").replace("step_size: ?", "step_size: 1 um"))


def run(folder: Path, command: list[str]) -> None:
    with subprocess.Popen([PYTEL, *command], cwd=folder, stderr=subprocess.PIPE, text=True) as site:
        assert site.stderr is not None
        try:
            assert any("is running" in line for line in site.stderr)
        finally:
            site.send_signal(signal.SIGTERM)
            site.stderr.read()
        assert site.wait(60) == 0


def evening(folder: Path, server: str) -> None:
    scan, write, check, try_one, start = commands()
    assert "CCD Simulator" in carry_out(folder, server, scan)
    assert "does not tell step_size" in carry_out(folder, server, write)
    carry_out(folder, server, check)
    complete(folder / "site.yaml")
    carry_out(folder, server, check)
    assert "no deviations" in carry_out(folder, server, try_one)
    run(folder, start)


@pytest.mark.slow
async def test_one_evening(tmp_path: Path) -> None:
    drivers = ("indi_simulator_telescope", "indi_simulator_ccd", "indi_simulator_focus")
    text = await asyncio.to_thread(PAGE.read_text, encoding="utf-8")
    assert f"indiserver {' '.join(drivers)}" in text
    server = await IndiServer(tmp_path / "indi").start(*drivers)
    try:
        await asyncio.to_thread(evening, tmp_path, server.address)
    finally:
        await server.kill()
