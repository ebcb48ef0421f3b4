"""A site in processes of its own, one for each module, over a real bus, its roof open: to be killed piece by piece."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from docs.test_http_page import free_ports
from night_kit import PYTEL
from process_kit import is_alive
from pytel.base.errors import PytelError
from pytel.cli.client import reach_site
from pytel.cli.site_server import run_server_for
from pytel.devices.simulated.world.wire import SOCKET
from pytel.module.sitefile import load_site
from xmpp_kit import free_port

MODULES = (
    *("control", "notifier", "store", "archive", "weather", "safety", "roof", "telescope", "camera", "focuser"),
    *("filters", "autofocus", "tasks", "observer"),
)
TYPES = {
    "control": "lease-control",
    "notifier": "log-notifier",
    "store": "directory-store",
    "archive": "directory-archive",
    "weather": "simulated-weather",
    "safety": "weather-safety, clear_after: 0 s, sun: null",
    "roof": "simulated-roof",
    "telescope": "simulated-telescope",
    "camera": "simulated-camera",
    "focuser": "simulated-focuser",
    "filters": "simulated-filter-wheel",
    "autofocus": "series-autofocus",
    "tasks": "sql-task-store",
    "observer": "robot-observer",
}
SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
simulation: {weather: {mode: clear}, pixels: stamp, roof: {open_time: 4 s}}
time: {mode: scaled, rate: 1, start: 2026-06-15T10:00:00Z}  # by day, while the robot waits
"""


class Fate(NamedTuple):
    """What became of a module that was killed while the roof was open, real seconds after."""

    module: str
    after: float
    closing: bool
    """Whether the roof began to close; else the module was back."""


class KilledSite:
    """The running site, as its people reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"

    def call(self, method: str, **params: Any) -> Any:
        """Call a module or the supervisor (`site`)."""
        with reach_site(self.state) as client:
            return client.call(method, params)

    def modules(self) -> dict[str, dict[str, Any]]:
        """The modules as the supervisor sees them."""
        return {row["address"]: row for row in self.call("site.list_modules")}

    def roof(self) -> float:
        """How far the roof is truly open, as the hardware has it."""
        import json
        import socket

        from pytel.base.unix_sockets import reachable

        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
            reachable(self.state / "world" / SOCKET) as name,
        ):
            connection.settimeout(10.0)
            connection.connect(name)
            connection.sendall(b'{"device": "roof", "command": "status", "params": {}}\n')
            with connection.makefile("rb") as answer:
                return float(json.loads(answer.readline())["result"]["fraction"])

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
        """Whether every module serves."""
        rows = self.modules()
        return set(MODULES) <= set(rows) and all(row["status"] == "ready" for row in rows.values())

    def open_roof(self) -> None:
        """Have the roof fully open and everything in order."""
        self.until(self.is_ready, "a site that is ready")

        def is_open() -> bool:
            if self.roof() < 1.0:
                self.call("roof.open")
                time.sleep(1.0)
            return self.roof() == 1.0

        self.until(is_open, "an open roof")

    def kill(self, name: str) -> Fate:
        """`kill -9` of a module's process; returns when the roof closes or the module serves again."""
        before = self.modules()[name]["pid"]
        assert isinstance(before, int)
        began = time.monotonic()
        os.kill(before, signal.SIGKILL)
        while (after := time.monotonic() - began) < 90.0:
            if self.roof() < 1.0:
                return Fate(name, after, closing=True)
            row = self.modules()[name]
            if row["pid"] not in (None, before) and row["status"] == "ready":
                return Fate(name, after, closing=False)
            time.sleep(0.1)
        return Fate(name, after, closing=False)


@contextlib.contextmanager
def killed_site(folder: Path, bus: str) -> Iterator[KilledSite]:
    """Run the site over a bus: `http`, `prosody` or `ejabberd`."""
    how = f"bus: http\nhttp: {{port: {free_ports(len(MODULES) + 2)}}}\n"
    if bus != "http":
        how = f"bus: xmpp\nxmpp: {{port: {free_port()}, server: {bus}}}\n"
    modules = "".join(f"  {name}: {{type: {TYPES[name]}}}\n" for name in MODULES)
    (folder / "site.yaml").write_text(f"{SITE}{how}modules:\n{modules}")
    environment = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}
    with contextlib.ExitStack() as stack:
        if bus != "http":
            stack.enter_context(run_server_for(load_site(folder / "site.yaml")))
        output = stack.enter_context((folder / "output").open("wb"))
        process = subprocess.Popen(
            [str(PYTEL), "run", "site.yaml"], cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            site = KilledSite(folder)
            site.until((folder / "state" / "control.sock").exists, "the site")
            yield site
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()
            process.wait()
            for lock in folder.glob("state/**/lock"):  # what a failed test leaves
                text = lock.read_text().strip()
                if text.isdecimal() and int(text) != os.getpid() and is_alive(int(text)):
                    os.kill(int(text), signal.SIGKILL)
