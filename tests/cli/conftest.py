"""A small site with a module of its own, and the command line in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
modules:
  focuser: {type: mine:SlowFocuser}
  spare: {type: mine:SlowFocuser, primary: true, autostart: false}
"""
MINE = '''\
from pytel.base import clock
from pytel.base.errors import LimitExceeded
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import rpc
from pytel.services import Module


class SlowFocuser(Module, Focuser):
    """Moves slowly."""

    async def on_start(self) -> None:
        self.publish(FocuserState(status=MotionStatus.IDLE, position=2.0))

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        if position > 100:
            raise LimitExceeded("100 mm is the end of travel")
        self.publish(FocuserState(status=MotionStatus.MOVING, position=2.0))
        await clock.sleep(30.0 if position > 50 else 0.2)
        self.publish(FocuserState(status=MotionStatus.IDLE, position=position))
'''
PYTEL = [sys.executable, "-c", "from pytel.cli import main; main()"]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "site.yaml").write_text(SITE)
    (folder / "mine.py").write_text(MINE)
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a folder of its own, with its output going to a file there."""
    with (folder / "output").open("w") as output:
        return subprocess.Popen([*PYTEL, *arguments], cwd=folder, stdout=output, stderr=output, text=True)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], folder: Path, seconds: float = 60) -> None:
    """Wait for something that the process should bring about."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError((folder / "output").read_text())
        time.sleep(0.02)


@pytest.fixture(scope="session")
def running(site_folder: Path) -> Iterator[Path]:
    """A running site; gives its folder."""
    process = start(site_folder, "run", "site.yaml")
    wait_for(lambda: "is running" in (site_folder / "output").read_text(), process, site_folder)
    yield site_folder
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0, (site_folder / "output").read_text()
    assert "has stopped" in (site_folder / "output").read_text()
    assert not (site_folder / "state" / "control.sock").exists()


@pytest.fixture
def in_folder(running: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present directory is that of the running site."""
    monkeypatch.chdir(running)
    monkeypatch.delenv("PYTEL_STATE", raising=False)
    return running


@pytest.fixture
def pid(running: Path) -> int:
    """The process of the running site."""
    assert os.getpid() != 0
    return int((running / "state" / "lock").read_text())
