"""Over XMPP people have their accounts at the XMPP server: the gateway asks it whether a password is right."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from night_kit import PYTEL
from xmpp_kit import free_port

SITE = """\
site: {{name: here, latitude: -32.38 deg, longitude: 20.81 deg}}
bus: xmpp
xmpp: {{port: {port}, people: {{vera: viewer, otto: operator}}}}
time: {{mode: scaled, rate: 5}}
simulation: {{pixels: stamp}}
modules:
  gateway: {{type: gateway, listen: "127.0.0.1:{gateway}"}}
  store: {{type: directory-store, capacity: 100 MB}}
  telescope: {{type: simulated-telescope}}
  camera: {{type: simulated-camera}}
"""


class XmppSite:
    """A site with its own XMPP server, and cURL at its gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        gateway = free_port()
        self.url = f"http://127.0.0.1:{gateway}"
        (folder / "site.yaml").write_text(SITE.format(port=free_port(), gateway=gateway))
        environment = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [str(PYTEL), "run", "site.yaml"], cwd=folder, env=environment, stdout=output, stderr=output
            )

    def password(self, name: str) -> str:
        """The password that was made for an account."""
        found: str = json.loads((self.folder / "state" / "xmpp" / "accounts.json").read_text())[name]
        return found

    def curl(self, *arguments: str, user: str | None = None) -> tuple[int, bytes]:
        """Status and body; `user` as NAME:PASSWORD."""
        login = ("--user", user) if user else ()
        command = ("curl", "-sS", *login, "-w", "\n%{http_code}", *arguments)
        done = subprocess.run(command, capture_output=True, timeout=100, check=False)
        assert done.returncode == 0, (done.stderr, self.output())
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status or 0), body

    def rpc(self, method: str, params: dict[str, Any] | None = None, *, name: str = "otto") -> dict[str, Any]:
        """The answer to a call."""
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}})
        status, body = self.curl("--json", request, f"{self.url}/rpc", user=f"{name}:{self.password(name)}")
        assert status == 200, (status, body)
        answer: dict[str, Any] = json.loads(body)
        return answer

    def done(self, module: str, method: str, params: dict[str, Any]) -> Any:
        """The result of a job, waited for."""
        job = self.rpc(f"{module}.{method}", params)["result"]["job"]
        report = self.rpc(f"{module}.job.wait", {"job": job, "timeout": 60})["result"]
        assert report["status"] == "done", json.dumps(report)
        return report["result"]

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for what must come."""
        ends = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < ends, self.output()
            time.sleep(0.3)

    def is_ready(self) -> bool:
        """Whether all modules serve."""
        command = (str(PYTEL), "modules", "--json")
        asked = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        return asked.returncode == 0 and all(row["status"] == "ready" for row in json.loads(asked.stdout))

    def output(self) -> str:
        """The end of what was printed."""
        return (self.folder / "output").read_text()[-3000:]

    def stop(self) -> None:
        """End it in good order."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(90)
        finally:
            self.process.kill()


@pytest.fixture
def xmpp_site(tmp_path: Path) -> Iterator[XmppSite]:
    site = XmppSite(tmp_path)
    try:
        site.until(site.is_ready)
        yield site
    finally:
        site.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_xmpp_server_knows_the_people(xmpp_site: XmppSite) -> None:
    site = xmpp_site
    for stranger in ("otto:guessed", "nobody:guessed", f"camera:{site.password('camera')}"):
        assert site.curl(f"{site.url}/session", user=stranger)[0] == 401, stranger
    assert site.rpc("session.info", name="vera")["result"]["role"] == "viewer"
    assert "error" in site.rpc("camera.expose", {"exposure_time": 1}, name="vera")

    site.done("telescope", "move_altaz", {"alt": 60, "az": 180})
    frame = site.done("camera", "expose", {"exposure_time": 1, "frame_type": "dark"})
    status, image = site.curl(f"{site.url}/images/{frame['id']}", user=f"otto:{site.password('otto')}")
    assert status == 200
    assert image.startswith(b"SIMPLE  =                    T")

    log_in = json.dumps({"name": "otto", "password": site.password("otto")})
    cookies = str(site.folder / "cookies")
    assert site.curl("-c", cookies, "--json", log_in, f"{site.url}/session")[0] < 300
    status, body = site.curl("-b", cookies, f"{site.url}/session")
    assert (status, json.loads(body)["name"]) == (200, "otto")
    record = (site.folder / "state" / "gateway" / "audit.jsonl").read_text()
    assert re.search(r'"name":\s*"otto"', record)
    assert site.password("otto") not in record


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_another_password_at_the_server_is_another_at_the_gateway(xmpp_site: XmppSite) -> None:
    site = xmpp_site
    before, cookies = site.password("otto"), str(site.folder / "cookies")
    log_in = json.dumps({"name": "otto", "password": before})
    site.until(lambda: site.curl("-c", cookies, "--json", log_in, f"{site.url}/session")[0] < 300)
    assert site.curl(f"{site.url}/session", user=f"otto:{before}")[0] == 200
    command = shlex.split(f"{PYTEL} xmpp passwd site.yaml otto --generate")
    fresh = subprocess.run(command, cwd=site.folder, capture_output=True, text=True, timeout=60, check=True)
    assert site.curl(f"{site.url}/session", user=f"otto:{fresh.stdout.strip()}")[0] == 200
    site.until(lambda: site.curl(f"{site.url}/session", user=f"otto:{before}")[0] == 401)
    site.until(lambda: site.curl("-b", cookies, f"{site.url}/session")[0] == 401)
