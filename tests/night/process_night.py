"""A night of the demonstration over XMPP with a process for each module, watched from outside while it is tormented."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil

from night_kit import PYTEL
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.bus.contract import Publication, Topic
from pytel.bus.control_socket import Mute
from pytel.bus.door import NOBODY
from pytel.bus.xmpp.accounts import read_accounts
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.link import Server
from pytel.bus.xmpp.people import person_bus
from pytel.cli.client import reach_site
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions
from pytel.cli.site_clock import site_clock
from pytel.devices.simulated.world.client import SocketWorld
from pytel.interfaces import SafetyMonitorState
from pytel.module.rpc import from_builtins
from pytel.module.sitefile import load_site

CLOSING_TIME = 30.0
"""Seconds of site time that the simulated roof needs."""
REACTION = 6.0
"""Real seconds for what computers do on a busy machine: hear, decide, command; and for a verdict to expire."""
LOOK = 0.1


class ProcessNight:
    """The running demonstration."""

    def __init__(self, folder: DemoFolder, options: DemoOptions) -> None:
        self.folder, self.options = folder, options
        self.state = folder.state
        self.announced: dict[str, Any] = {}
        self.violations: list[str] = []
        self.restarts: dict[str, int] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._verdict: SafetyMonitorState | None = None
        self._roof_back: float | None = None

    # the demonstration

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it for the length of a block."""
        options = self.options
        command = [str(PYTEL), "demo", "--headless", "--bus", "xmpp", "--server", options.server]
        command += ["--rate", f"{options.rate:g}", "--out", str(self.folder.path), "--seed", str(options.seed)]
        log = self.folder.path.with_suffix(".out")
        with log.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
        try:
            await self.until(lambda: (self.state / "control.sock").exists(), 60)
            yield
        finally:
            if self._process.returncode is None:
                self._process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self._process.wait(), 180)

    def printed(self) -> str:
        """What the demonstration has printed."""
        return self.folder.path.with_suffix(".out").read_text()

    async def ended(self) -> None:
        """Wait for the end of the night."""
        assert self._process is not None
        await self._process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether the demonstration is over."""
        return self._process is None or self._process.returncode is not None

    async def until(self, condition: Callable[[], Any], seconds: float) -> None:
        """Wait for what should come while the demonstration runs."""
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.has_ended, self.printed()[-3000:]
                await asyncio.sleep(LOOK)

    async def modules(self) -> dict[str, dict[str, Any]]:
        """The modules as the supervisor sees them."""

        def ask() -> list[dict[str, Any]]:
            with reach_site(self.state) as client:
                found: list[dict[str, Any]] = client.call("site.list_modules")
                return found

        return {row["address"]: row for row in await in_thread(ask)}

    async def all_ready(self, seconds: float = 90.0) -> None:
        """Wait until every module serves."""
        async with asyncio.timeout(seconds):
            while any(row["status"] != "ready" for row in (await self.modules()).values()):  # noqa: ASYNC110
                await asyncio.sleep(0.3)

    async def kill_module(self, name: str) -> None:
        """`kill -9` of a module's process; returns when it serves again."""
        row = (await self.modules())[name]
        os.kill(row["pid"], signal.SIGKILL)
        if name == "roof":
            self._roof_back = None
        async with asyncio.timeout(60):
            while True:
                now = (await self.modules())[name]
                if now["pid"] not in (None, row["pid"]) and now["status"] == "ready":
                    break
                await asyncio.sleep(0.2)
        self.restarts[name] = now["restarts"]
        if name == "roof":
            self._roof_back = asyncio.get_running_loop().time()

    async def kill_server(self) -> None:
        """`kill -9` of the XMPP server; returns when another one runs."""
        before = self._server()
        assert before is not None, "no server was found among the children"
        before.kill()
        await self.until(lambda: (now := self._server()) is not None and now.pid != before.pid, 60)

    def _server(self) -> psutil.Process | None:
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if self.options.server in " ".join(child.cmdline()) and "pytel" not in Path(child.cmdline()[0]).name:
                    return child
        return None

    # watching

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[SocketWorld]:
        """Keep an eye on the true roof and an ear on what is announced, for the length of a block."""
        site = await in_thread(load_site, self.folder.site_file)
        assert site.xmpp is not None
        passwords = await in_thread(read_accounts, site.xmpp.accounts)
        server = Server(domain=site.xmpp.domain, host=site.xmpp.host, port=site.xmpp.port, ca=site.xmpp.ca)
        bus = person_bus(server, "visitor", passwords["visitor"], patience=30.0)
        bus.subscribe(Topic("event", "NewImage"), self._image)
        bus.subscribe(Topic("state", "SafetyMonitor"), self._safety)
        world = SocketWorld(self.state / "world")
        with clock.using(await in_thread(site_clock, site)):
            await bus.open(Mute(), NOBODY)
            self._roof_back = asyncio.get_running_loop().time()
            watching = asyncio.create_task(self._watch(world, bus))
            try:
                yield world
            finally:
                watching.cancel()
                await asyncio.wait([watching])
                await bus.close()
                await world.close()

    def _image(self, publication: Publication) -> None:
        self.announced[publication.data["image"]["id"]] = publication.data

    def _safety(self, publication: Publication) -> None:
        self._verdict = from_builtins(publication.data, SafetyMonitorState, "the verdict")

    def _may_be_open(self) -> bool:
        return self._verdict is not None and self._verdict.verdict(clock.now())[0]

    async def _watch(self, world: SocketWorld, bus: XmppBus) -> None:
        """The rule: where no good verdict stands and the roof's module lives, the roof is shut in time."""
        loop = asyncio.get_running_loop()
        bad_since: float | None = None
        while True:
            await asyncio.sleep(LOOK)
            if self._may_be_open() or self._roof_back is None or not bus.is_up:
                bad_since = None
                continue
            bad_since = max(bad_since or loop.time(), self._roof_back)
            if loop.time() - bad_since < CLOSING_TIME / self.options.rate + REACTION:
                continue
            truth = await world.execute("roof", "status")
            if truth["fraction"] > 0.0:
                self.violations.append(f"{clock.now():%H:%M:%S} no verdict allows it, and the roof is {truth}")

    # what is left on disk

    def archived(self) -> list[tuple[str, str | None, int | None]]:
        """Id, task and index of each image in the archive."""
        with contextlib.closing(sqlite3.connect(self.state / "archive" / "archive.sqlite")) as database:
            return list(database.execute("select id, task, exposure_index from images"))


def prepared(path: Path, server: str, rate: float, *, seed: int = 1) -> ProcessNight:
    """A demonstration with small frames under a clear sky, not running yet."""
    options = DemoOptions(out=path, rate=rate, bus="xmpp", server=server, seed=seed)
    folder = DemoFolder(options)
    folder.prepare()
    text = folder.site_file.read_text()
    folder.site_file.write_text(text.replace("simulation:\n", "simulation:\n  pixels: stamp\n"))
    return ProcessNight(folder, options)
