"""The clients of `docs/xmpp-clients.md` are carried out as they stand there, against real servers and a real site."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.harness import Endpoint
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.bus.contract import Bus, CallOptions, Card
from pytel.module.sitefile import load_site
from pytel.servers import XmppServer
from xmpp_kit import KINDS, Kind, server_account, started_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "xmpp-clients.md").read_text(encoding="utf-8")
MODULES = {
    "control": {"type": "lease-control"},
    "store": {"type": "directory-store"},
    "telescope": {"type": "simulated-telescope"},
    "camera": {"type": "simulated-camera"},
}


def saved(name: str) -> str:
    """The file that the page has the reader save."""
    found = re.search(rf"Save this as `{re.escape(name)}`[^\n]*\n\n```\w+\n(.*?)```", PAGE, re.S)
    assert found is not None, name
    return found[1]


def shown(file: str) -> list[str]:
    """The command that the page has the reader give for a file, without its environment and where to log in."""
    found = re.search(rf"^\$ (.*\b{re.escape(file)}) alice@\S+ \S+ \d+$", PAGE, re.M)
    assert found is not None, file
    return [word for word in shlex.split(found[1]) if "=" not in word]


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppServer]:
    kind: Kind = request.param
    running = await in_thread(started_server, kind, tmp_path / "xmpp")
    yield running
    await in_thread(running.stop)


class Site:
    """A site whose modules run on a server in a process of its own, and a seat at which to ask for images."""

    def __init__(self, server: XmppServer, passwords: dict[str, str], seat: Bus) -> None:
        self.server, self.passwords = server, passwords
        self._seat = seat

    async def expose(self) -> None:
        """Take an image and wait until it is stored."""
        camera, params = Address("camera"), {"exposure_time": 0.1, "frame_type": "dark"}
        job = await self._seat.call(camera, "expose", params, CallOptions())
        params = {"job": job["job"], "timeout": 30}
        done = await self._seat.call(camera, "job.wait", params, CallOptions(timeout=35))
        assert done["status"] == "done", done


@pytest.fixture
async def site(server: XmppServer, tmp_path: Path) -> AsyncIterator[Site]:
    passwords = {name: await in_thread(server_account, server, name) for name in (*MODULES, "cli", "alice", "eve")}
    await in_thread(_write_secret, tmp_path / "accounts.json", json.dumps(passwords))
    path = tmp_path / "site.yaml"
    await in_thread(path.write_text, json.dumps(site_on(server)))
    command = (sys.executable, str(Path(__file__).with_name("xmpp_site.py")), str(path))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        seat = await in_thread(lambda: make_bus(load_site(path), Address("cli")))
        await seat.open(Endpoint(), Card(interfaces=(), boot="seat"))
        yield Site(server, passwords, seat)
        await seat.close()
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def site_on(server: XmppServer) -> dict[str, Any]:
    """The site file (JSON is YAML)."""
    return {
        "site": {"name": "monet", "latitude": -32.38, "longitude": 20.81, "elevation": 1771},
        "bus": "xmpp",
        "xmpp": {
            "domain": server.domain,
            "host": server.host,
            "port": server.port,
            "ca": str(server.ca_file),
            "accounts": "accounts.json",
            "people": {"alice": "operator"},
        },
        "seed": 1,
        "simulation": {"weather": {"mode": "clear"}, "pixels": "stamp"},
        "modules": MODULES,
    }


def _write_secret(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


async def run_beside_exposures(site: Site, folder: Path, *command: str, account: str = "alice") -> tuple[int, str]:
    """Run a client while the camera takes images; its exit code and what it said."""
    await in_thread(shutil.copy, site.server.ca_file, folder / "ca.crt")
    process = await asyncio.create_subprocess_exec(
        *command,
        f"{account}@{site.server.domain}",
        site.server.host,
        str(site.server.port),
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PASSWORD": site.passwords[account],
            "NODE_EXTRA_CA_CERTS": "ca.crt",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    talk = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(90):
            while not talk.done():
                await site.expose()
                await asyncio.wait([talk], timeout=0.5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        output, _ = await talk
    assert process.returncode is not None
    return process.returncode, output.decode()


def check(code: int, output: str) -> None:
    assert code == 0, output
    assert re.search(r"^job \{['\"]job['\"]: ?['\"]\w+['\"], ?['\"]eta['\"]: ?[\d.]+\}$", output, re.M), output
    assert re.search(r"^image \{.*camera['\"]: ?['\"]camera['\"]", output, re.M), output


async def test_the_client_in_python(site: Site, tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(saved("watch.py"), encoding="utf-8")
    check(*await run_beside_exposures(site, tmp_path, *shown("watch.py")))


def test_the_client_in_python_is_short_and_knows_nothing_of_pytel() -> None:
    lines = [line for line in saved("watch.py").splitlines() if line.strip()]
    assert len(lines) <= 20
    assert not any("import pytel" in line or "from pytel" in line for line in lines)


async def test_who_is_not_named_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(saved("watch.py"), encoding="utf-8")
    code, output = await run_beside_exposures(site, tmp_path, *shown("watch.py"), account="eve")
    assert code != 0
    assert "forbidden" in output


@pytest.fixture
def javascript(tmp_path: Path) -> Path:
    """The reader's folder, with the library in it."""
    folder = tmp_path / "javascript"
    shutil.copytree(DOCS / "clients" / "javascript", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "watch.js").write_text(saved("watch.js"), encoding="utf-8")
    return folder


async def test_the_client_in_javascript(site: Site, javascript: Path) -> None:
    assert "$ npm ci\n" in PAGE
    install = await asyncio.create_subprocess_exec("npm", "ci", "--no-audit", "--no-fund", cwd=javascript)
    assert await install.wait() == 0
    check(*await run_beside_exposures(site, javascript, *shown("watch.js")))


def test_the_lock_file_names_no_place_to_download_from() -> None:
    lock = json.loads((DOCS / "clients" / "javascript" / "package-lock.json").read_text(encoding="utf-8"))
    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
