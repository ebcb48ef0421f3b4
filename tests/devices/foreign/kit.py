"""The stand-in as a child process, its hand, and the site of the page."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from pytel.base.threads import in_thread
from pytel.module.yaml_lines import read_yaml

HERE = Path(__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "foreign-systems.md"
PAGE_TEXT = PAGE.read_text(encoding="utf-8")
PASSWORD = "open sesame"


def shown_site() -> str:
    """The site file that the page has the reader save."""
    match = re.search(r"Save this as `site\.yaml`:\n\n```yaml\n(.*?)```", PAGE_TEXT, re.S)
    assert match is not None
    return match[1]


_SITE, _, _FAULTS = read_yaml(shown_site(), "site.yaml")


def site_at(port: int) -> dict[str, Any]:
    """The same as a mapping, for a stand-in at a port."""
    assert not _FAULTS
    site: dict[str, Any] = json.loads(json.dumps(_SITE))
    for module in site["modules"].values():
        if "system" in module:
            module["system"]["url"] = f"http://127.0.0.1:{port}/rpc"
    return site


class StandIn:
    """A stand-in: `start()` it, `kill()` it, and have it fail by `sim()`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}/rpc"

    def start(self) -> None:
        """Start it (blocking), at the port where it was before."""
        command = [sys.executable, "-I", "-S", str(HERE / "stand_in.py"), "--memory", str(self._directory / "memory")]
        command += ["--port", str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
        assert process.stdout is not None
        self._process, self.port = process, int(process.stdout.readline())

    def kill(self) -> None:
        """End it at once (blocking)."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()

    async def sim(self, **what: Any) -> dict[str, Any]:
        """Set its weather and faults; tells what it was asked."""
        return await in_thread(self._sim, what)

    def _sim(self, what: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/sim",
            data=json.dumps(what).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            told: dict[str, Any] = json.loads(response.read())
        return told

    async def calls(self, method: str) -> list[Any]:
        """The parameters of all calls of a method."""
        return [params for name, params in (await self.sim())["calls"] if name == method]


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for something, which may have to be asked for."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.05)
