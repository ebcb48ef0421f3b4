"""Section 2 of the paper: telescope, camera, image database and autofocus on HTTP alone, driven by cURL."""

from __future__ import annotations

import hashlib
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
from pytel.bus.contract import Role
from pytel.bus.people import FILE, add_account

MODULES = ("control", "weather", "safety", "roof", "telescope", "focuser", "camera", "imagedb", "autofocus")
SITE = """\
site: {{name: figure1, latitude: -32.38 deg, longitude: 20.81 deg, elevation: 1771 m}}
bus: http
http: {{port: {port}}}
time: {{mode: scaled, rate: 5, start: 2026-06-15T20:00:00Z}}
simulation:
  weather: {{mode: clear}}
modules:
  control: {{type: lease-control}}
  weather: {{type: simulated-weather}}
  safety: {{type: weather-safety, clear_after: 0 s, sun: null}}
  roof: {{type: simulated-roof}}
  telescope: {{type: simulated-telescope}}
  focuser: {{type: simulated-focuser}}
  camera: {{type: simulated-camera}}
  imagedb: {{type: directory-store, capacity: 1 GB, http: {{listen: "127.0.0.1:{store}"}}}}
  autofocus: {{type: series-autofocus, window: {{x: 768, y: 768, width: 512, height: 512}}}}
processes:
  mount: [control, weather, safety, roof, telescope, focuser]
"""
NAME, PASSWORD = "anna", "correct horse"
TRUE_FOCUS = 25.0
"""Millimetres at 10 °C, and what it changes with each degree."""
PER_DEGREE = -0.02


class Observatory:
    """`pytel run` of the four processes, and cURL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(len(MODULES) + 2)
        self.store = self.port + len(MODULES) + 1
        (folder / "site.yaml").write_text(SITE.format(port=self.port, store=self.store))
        add_account(folder / "state" / "gateway" / FILE, NAME, Role.OPERATOR, PASSWORD)
        environment = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [str(PYTEL), "run", "site.yaml"], cwd=folder, env=environment, stdout=output, stderr=output
            )

    def url(self, module: str) -> str:
        """Where a module answers: the supervisor has the first port, the modules follow in the order of the file."""
        return f"http://127.0.0.1:{self.port + ('site', *MODULES).index(module)}"

    def curl(self, *arguments: str, user: str | None = f"{NAME}:{PASSWORD}") -> subprocess.CompletedProcess[bytes]:
        """Run cURL with HTTP Basic."""
        login = ("--user", user) if user else ()
        return subprocess.run(["curl", "-sS", *login, *arguments], capture_output=True, timeout=100, check=False)

    def rpc(self, module: str, method: str, *options: str, **params: Any) -> Any:
        """The answer of a module, None where none came."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        done = self.curl(*options, "--json", json.dumps(request), f"{self.url(module)}/rpc")
        return json.loads(done.stdout) if done.stdout else None

    def result(self, module: str, method: str, **params: Any) -> Any:
        """The result of a call that must succeed."""
        answer = self.rpc(module, method, **params)
        assert answer is not None, f"{module} does not answer: {self.output()[-3000:]}"
        assert "result" in answer, answer
        return answer["result"]

    def finished(self, module: str, job: str) -> dict[str, Any]:
        """The report of a job that has ended: waited for and looked at in turn, as scripts do."""
        for _ in range(30):
            self.result(module, "job.wait", job=job, timeout=5)
            report: dict[str, Any] = self.result(module, "job.status", job=job)
            if report["status"] not in ("queued", "running"):
                return report
        raise AssertionError(f"{module}'s job does not end: {report}")

    def done(self, module: str, method: str, **params: Any) -> Any:
        """The result of a long call that must end well."""
        report = self.finished(module, self.result(module, method, **params)["job"])
        assert report["status"] == "done", json.dumps(report)
        return report["result"]

    def entries(self) -> dict[str, dict[str, Any]]:
        """The modules as the supervisor sees them; none while it does not answer."""
        answer = self.rpc("site", "list_modules") or {}
        return {entry["address"]: entry for entry in answer.get("result", ())}

    def ready(self) -> bool:
        """Whether all modules serve."""
        entries = self.entries()
        return set(MODULES) <= set(entries) and all(entry["status"] == "ready" for entry in entries.values())

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
        """Wait for what must come."""
        ends = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.output()[-3000:]
            assert time.monotonic() < ends, f"it has not come: {what}\n{self.output()[-3000:]}"
            time.sleep(0.2)

    def output(self) -> str:
        """What `pytel run` has printed."""
        return (self.folder / "output").read_text()

    def stop(self) -> None:
        """End it in good order."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(90)
        finally:
            self.process.kill()


@pytest.fixture
def observatory(tmp_path: Path) -> Iterator[Observatory]:
    running = Observatory(tmp_path)
    try:
        running.until(running.ready, "all modules ready")
        yield running
    finally:
        running.stop()


def opened(site: Observatory) -> bool:
    """Open the roof; it stays shut until the safety monitor has heard of the weather."""
    report = site.finished("roof", site.result("roof", "open")["job"])
    assert report["status"] == "done" or report["error"]["data"]["name"] == "Unsafe", json.dumps(report)
    return bool(report["status"] == "done")


def kill_camera(site: Observatory) -> int:
    """`kill -9` of the camera's process; returns its id."""
    pid: int = site.entries()["camera"]["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


def came_back(site: Observatory, pid: int) -> bool:
    """Whether the camera runs in another process and serves."""
    camera = site.entries().get("camera", {})
    return camera.get("pid") not in (None, pid) and camera["status"] == "ready"


def download(site: Observatory, image: dict[str, Any]) -> bytes:
    """An image straight from the store, with the same name and password; nobody gets it without."""
    url = f"http://127.0.0.1:{site.store}/images/{image['id']}"
    refused = site.curl("-o", "/dev/null", "-w", "%{http_code}", url, user=None)
    assert refused.stdout == b"401"
    return site.curl("--fail", url).stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_autofocus_run_by_curl_while_the_camera_is_killed(observatory: Observatory) -> None:
    site = observatory
    pids = {entry["pid"] for entry in site.entries().values()}
    assert len(pids) == 4
    assert site.process.pid not in pids
    refused = site.curl("-o", "/dev/null", "-w", "%{http_code}", "--json", "{}", f"{site.url('camera')}/rpc", user=None)
    assert refused.stdout == b"401"

    site.until(lambda: opened(site), "the safety monitor lets the roof open")
    site.done("telescope", "move_radec", ra=225.0, dec=-30.0)  # near the zenith, and tracking
    before = site.done("camera", "expose", exposure_time=5)

    # The camera dies in the middle of the run; the supervisor starts it again, and the run takes the lost frame again.
    run = site.result("autofocus", "focus")["job"]
    cut = site.rpc("autofocus", "job.wait", "--max-time", "0.2", job=run, timeout=60)
    assert cut is None
    site.until(lambda: site.result("autofocus", "job.status", job=run).get("progress"), "a frame of the series")
    pid = kill_camera(site)
    report = site.finished("autofocus", run)
    assert report["status"] == "done", json.dumps(report)
    found = report["result"]
    assert len(found["points"]) >= 7
    temperature = found["temperature"]
    assert abs(found["position"] - (TRUE_FOCUS + PER_DEGREE * (temperature - 10.0))) < 0.02, found
    curve = [point["hfd"] for point in found["points"] if point["hfd"] is not None]
    assert min(curve) not in (curve[0], curve[-1])

    # The other modules were not touched.
    site.until(lambda: came_back(site, pid), "the camera is back")
    assert {entry["pid"] for entry in site.entries().values()} - pids == {site.entries()["camera"]["pid"]}
    assert site.entries()["camera"]["restarts"] == 1

    # What was taken before the crash is still in the image database.
    kept = {image["id"] for image in site.result("imagedb", "list_images")}
    assert before["id"] in kept
    assert len(kept) > len(curve)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_image_is_downloaded_from_the_store_by_curl(observatory: Observatory) -> None:
    site = observatory
    taken = site.done("camera", "expose", exposure_time=1, frame_type="dark")
    (listed,) = site.result("imagedb", "list_images")
    assert listed == taken
    assert hashlib.sha256(download(site, taken)).hexdigest() == taken["sha256"]
