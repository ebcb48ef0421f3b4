"""`pytel run` with a process for each module, over real servers, as a person sees it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from process_kit import is_alive
from pytel.cli.site_server import run_server_for
from pytel.module.sitefile import load_site
from xmpp_kit import KINDS, Kind, free_port

pytestmark = pytest.mark.slow
PYTEL = [sys.executable, "-c", "from pytel.cli import main; main()"]
SITE = """\
site: {{name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}}
simulation: {{weather: {{mode: clear}}, pixels: stamp}}
time: {{mode: scaled, rate: 10, start: 2026-06-15T10:00:00}}
bus: xmpp
xmpp: {{port: {port}, server: {kind}}}
modules:
  weather: {{type: simulated-weather}}
  safety: {{type: weather-safety, clear_after: 10 s, sun: null}}
  roof: {{type: simulated-roof}}
  telescope: {{type: simulated-telescope}}
  focuser: {{type: simulated-focuser}}
  filters: {{type: simulated-filter-wheel}}
  broken: {{type: mine.Broken}}
processes:
  optics: [focuser, filters]
"""
MINE = """\
from pytel.base.errors import ConfigError
from pytel.services import Module


class Broken(Module):
    '''Cannot start.'''

    async def on_start(self):
        raise ConfigError("the port is missing: write port: /dev/ttyS0")
"""


class Running:
    """A site and the command line, in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*PYTEL, "run", "site.yaml"], cwd=self.folder, stdout=output, stderr=output, text=True
            )
        self.until(lambda: "is running" in self.output.read_text())

    def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > ends:
                raise AssertionError(f"{self.output.read_text()}\n{self.pytel('modules')}")
            time.sleep(0.1)

    def pytel(self, *arguments: str) -> str:
        command = [*PYTEL, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def modules(self) -> dict[str, dict[str, Any]]:
        return {row["address"]: row for row in json.loads(self.pytel("modules", "--json"))}

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    kind: Kind = request.param
    (tmp_path / "site.yaml").write_text(SITE.format(port=free_port(), kind=kind))
    (tmp_path / "mine.py").write_text(MINE)
    running = Running(tmp_path)
    with run_server_for(load_site(tmp_path / "site.yaml")):
        try:
            yield running
        finally:
            for lock in tmp_path.glob("state/**/lock"):  # what a failed test leaves
                text = lock.read_text().strip()
                if text.isdecimal() and int(text) != os.getpid() and is_alive(int(text)):
                    os.kill(int(text), signal.SIGKILL)


def test_a_site_in_processes_from_its_start_to_its_end(running: Running) -> None:
    running.start()
    modules = running.modules()
    pids = {name: row["pid"] for name, row in modules.items()}
    assert pids["focuser"] == pids["filters"]
    assert pids["broken"] is None
    assert len(set(pids.values())) == 6
    assert "port: /dev/ttyS0" in modules["broken"]["error"]
    running.until(lambda: re.search(r"may_open\s+yes", running.pytel("state", "roof")))
    running.pytel("call", "roof.open")
    running.pytel("call", "telescope.unpark")

    for module in ("weather", "roof", "filters"):  # one after the other dies and comes back
        os.kill(pids[module], signal.SIGKILL)
        running.until(lambda module=module: running.modules()[module]["restarts"] == 1)  # type: ignore[misc]
        running.until(lambda module=module: running.modules()[module]["status"] == "ready")  # type: ignore[misc]
    assert running.modules()["telescope"]["restarts"] == 0

    running.pytel("stop", "focuser")
    assert running.modules()["focuser"]["status"] is None
    running.pytel("restart", "safety")
    running.pytel("start", "focuser")
    running.until(lambda: re.search(r"may_open\s+yes", running.pytel("state", "roof")))
    running.pytel("call", "roof.open")

    before = {name: row["pid"] for name, row in running.modules().items()}
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(is_alive(pid) for pid in before.values() if pid is not None)
    running.start()
    assert {name: row["pid"] for name, row in running.modules().items()} == before
    assert re.search(r"opening\s+1", running.pytel("state", "roof"))  # it was guarded all the time

    assert running.end(signal.SIGTERM) == 0
    assert not any(is_alive(pid) for pid in before.values() if pid is not None)
    log = (running.folder / "state" / "log" / "pytel.log").read_text()
    assert "the supervisor is gone; its modules go on" in log
    assert "killed by SIGKILL" in log
    world = json.loads((running.folder / "state" / "world" / "state.json").read_text())
    assert world["roof"]["travel"]["target"] == 0.0
    assert world["mount"]["parked"]
