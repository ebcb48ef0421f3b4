"""Acquisition and science-frame guiding over each bus, in processes where the bus has them; the same site file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.test_http_page import free_ports
from night_kit import PYTEL
from process_kit import is_alive
from pytel.base.errors import PytelError
from pytel.cli.client import reach_site
from pytel.cli.site_server import run_server_for
from pytel.module.sitefile import load_site
from pytel.sky.sphere import separation
from xmpp_kit import free_port

TARGET = (225.0, -30.0)
SITE = """\
site: {name: here, latitude: -32.38 deg, longitude: 20.81 deg, elevation: 1771 m}
time: {mode: scaled, rate: 5, start: 2026-06-15T20:00:00Z}
simulation:
  weather: {mode: clear}
  camera: {width: 512, height: 512}
  telescope: {drift: 120, periodic_error: 0}
modules:
  control: {type: lease-control}
  weather: {type: simulated-weather}
  safety: {type: weather-safety, clear_after: 0 s}
  roof: {type: simulated-roof}
  telescope: {type: simulated-telescope}
  focuser: {type: simulated-focuser}
  filters: {type: simulated-filter-wheel}
  camera: {type: simulated-camera}
  store: {type: directory-store, capacity: 1 GB}
  acquisition: {type: plate-solving-acquisition}
  guider: {type: science-frame-guider, autostart: false}
processes:
  mount: [control, weather, safety, roof, telescope, focuser, filters]
"""
MODULES = 11


class Site:
    """The running site, as its people reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"

    def call(self, method: str, **params: Any) -> Any:
        """The result of a short call."""
        with reach_site(self.state) as client:
            return client.call(method, params)

    def done(self, module: str, method: str, **params: Any) -> Any:
        """The result of a long call."""
        job = self.call(f"{module}.{method}", **params)["job"]
        for _ in range(60):
            report = self.call(f"{module}.job.wait", job=job, timeout=2.0)
            if report["status"] not in ("queued", "running"):
                assert report["status"] == "done", report
                return report["result"]
        raise AssertionError(f"{module}.{method} does not end: {report}")

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 90.0) -> None:
        """Wait for what must come."""
        ends = time.monotonic() + seconds
        while True:
            with contextlib.suppress(PytelError):
                if condition():
                    return
            assert time.monotonic() < ends, f"{what} does not come: {(self.folder / 'output').read_text()[-3000:]}"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether every module that starts by itself serves."""
        rows = {row["address"]: row for row in self.call("site.list_modules")}
        return len(rows) == MODULES and all(row["status"] == "ready" for name, row in rows.items() if name != "guider")

    def opened(self) -> bool:
        """Open the roof, if it may be."""
        job = self.call("roof.open")["job"]
        return bool(self.call("roof.job.wait", job=job, timeout=20.0)["status"] == "done")

    def guider(self) -> dict[str, Any]:
        """The guider's state."""
        told = [row for row in self.call("states.list") if ":AutoGuider:" in row["topic"]]
        found: dict[str, Any] = told[0]["data"] if told else {}
        return found

    def pointed(self) -> tuple[float, float]:
        """Where the last frame really was."""
        last = json.loads((self.state / "world" / "truth.jsonl").read_text().splitlines()[-1])
        return last["ra"], last["dec"]

    def expose(self, count: int) -> list[tuple[float, float]]:
        """Take frames; where they really were."""
        places = []
        for _ in range(count):
            self.done("camera", "expose", exposure_time=10.0)
            places.append(self.pointed())
        return places


@contextlib.contextmanager
def running(folder: Path, bus: str) -> Iterator[Site]:
    """Run the site over a bus: `local`, `http`, `prosody` or `ejabberd`."""
    how = {
        "local": "bus: local\n",
        "http": f"bus: http\nhttp: {{port: {free_ports(MODULES + 2)}}}\n",
    }.get(bus, f"bus: xmpp\nxmpp: {{port: {free_port()}, server: {bus}}}\n")
    text = SITE if bus != "local" else SITE[: SITE.index("processes:")]
    (folder / "site.yaml").write_text(text + how)
    environment = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}
    with contextlib.ExitStack() as stack:
        if bus in ("prosody", "ejabberd"):
            stack.enter_context(run_server_for(load_site(folder / "site.yaml")))
        output = stack.enter_context((folder / "output").open("wb"))
        process = subprocess.Popen(
            [str(PYTEL), "run", "site.yaml"], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            site = Site(folder)
            site.until((folder / "state" / "control.sock").exists, "the site")
            yield site
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
            process.wait()
            for lock in folder.glob("state/**/lock"):  # what a failed test leaves
                pid = lock.read_text().strip()
                if pid.isdecimal() and int(pid) != os.getpid() and is_alive(int(pid)):
                    os.kill(int(pid), signal.SIGKILL)


def apart(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Arcseconds between two places."""
    return float(separation(*first, *second)) * 3600


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("bus", ["local", "http", "prosody"])
def test_a_target_is_acquired_and_held_over_each_bus(tmp_path: Path, bus: str) -> None:
    with running(tmp_path, bus) as site:
        site.until(site.is_ready, "all modules ready")
        site.until(site.opened, "an open roof")
        site.done("telescope", "move_radec", ra=TARGET[0], dec=TARGET[1])
        result = site.done("acquisition", "acquire", ra=TARGET[0], dec=TARGET[1])
        assert result["attempts"] <= 3
        assert apart(site.pointed(), TARGET) < 1.0

        free = site.expose(4)
        site.call("site.start_module", address="guider")
        site.until(lambda: site.guider().get("status") == "waiting", "the guider")
        held = site.expose(9)
        assert site.guider()["status"] == "guiding"
        assert site.guider()["statistics"]["corrections"] >= 3
        site.call("site.stop_module", address="guider")
        left = site.expose(4)

        # It drifts by two arcseconds per minute when nobody holds it.
        rates = [apart(places[0], places[-1]) / (len(places) - 1) for places in (free, held[4:], left)]
        assert rates[1] < 0.5 * min(rates[0], rates[2]), rates
