"""`pytel devices check`, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PYTEL, start, wait_for

SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
simulation: {}
modules:
  control: {type: lease-control}
  store: {type: directory-store}
  focuser: {type: simulated-focuser}
  filters: {type: simulated-filter-wheel}
  lazy: {type: "mine:Lazy", autostart: false}
  slow: {type: "mine:Slow", autostart: false, primary: true}
"""
MINE = '''\
from pytel.base import clock
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import rpc
from pytel.services import Module


class Lazy(Module, Focuser):
    """Says that it has arrived, and has not moved."""

    async def on_start(self) -> None:
        self.publish(FocuserState(status=MotionStatus.IDLE, position=5.0, base=5.0))

    def capabilities(self):
        return [FocuserCapabilities(min_position=0.0, max_position=10.0, step=0.001)]

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        pass

    async def stop(self) -> None:
        pass


class Slow(Lazy):
    """Takes its time."""

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        await clock.sleep(3.0)
        self.publish(FocuserState(status=MotionStatus.IDLE, position=position, base=position))
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checked")
    (made / "site.yaml").write_text(SITE)
    (made / "mine.py").write_text(MINE)
    return made


def pytel(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTEL, "devices", "check", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=110
    )


@pytest.mark.slow
def test_a_site_is_started_for_the_check(folder: Path) -> None:
    done = pytel(folder, "focuser", "--site", "site.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "moves by 10 steps" in done.stdout
    assert "no deviations" in done.stdout
    assert not (folder / "state" / "control.sock").exists()


@pytest.mark.slow
def test_deviations_are_status_1_and_json_has_them(folder: Path) -> None:
    done = pytel(folder, "lazy", "--site", "site.yaml", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["deviations"] >= 2
    assert {"ok", "deviation"} <= {finding["verdict"] for finding in told["findings"]}
    assert told["capabilities"]["FocuserCapabilities"]["max_position"] == 10.0


def test_without_a_site_it_says_what_to_do(tmp_path: Path) -> None:
    done = pytel(tmp_path, "focuser")
    assert done.returncode == 1
    assert "pytel run site.yaml" in done.stderr


@pytest.mark.slow
def test_a_running_site_is_checked_and_ctrl_c_puts_everything_back(folder: Path) -> None:
    site = start(folder, "run", "site.yaml")
    try:
        wait_for(lambda: "is running" in (folder / "output").read_text(), site, folder, 60)
        done = pytel(folder, "filters")
        assert done.returncode == 0, done.stdout + done.stderr
        assert pytel(folder, "control").returncode == 1
        started = subprocess.run([*PYTEL, "start", "slow"], cwd=folder, capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stderr
        _interrupted(folder)
    finally:
        site.send_signal(signal.SIGTERM)
        site.wait(60)


def _interrupted(folder: Path) -> None:
    told = folder / "told"
    with told.open("w") as output:
        checking = subprocess.Popen([*PYTEL, "devices", "check", "slow"], cwd=folder, stderr=output, text=True)
    try:
        wait_for(lambda: "refuses a method" in told.read_text(), checking, folder, 60)
        time.sleep(1.0)  # into the motion, which takes three seconds
        checking.send_signal(signal.SIGINT)
        assert checking.wait(60) == 130
    finally:
        checking.kill()
    assert "ok: Focuser back at 5.0000 mm" in told.read_text()
