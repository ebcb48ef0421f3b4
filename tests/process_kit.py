"""A small site whose modules run in processes and do what a test tells them: crash, hang, talk too much."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec

from pytel.bus.local import LocalHub
from pytel.module.patience import Patience
from pytel.module.process_supervisor import ProcessSupervisor
from pytel.module.sitefile import SiteFile, load_site
from pytel.module.supervisor import ModuleEntry

COMMAND = (sys.executable, str(Path(__file__).parent / "module" / "child_alone.py"))
QUICK = Patience(first_pause=0.05, longest_pause=0.4, steady=30.0, silence=20.0, start=30.0, dump=2.0, margin=10.0)
HASTY = msgspec.structs.replace(QUICK, silence=4.0)
SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
modules:
  roof: {type: mine.Roof, word: closed}
  camera: {type: mine.Odd}
  focuser: {type: mine.Odd}
  filters: {type: mine.Odd}
  spare: {type: mine.Odd, autostart: false}
processes:
  optics: [focuser, filters]
"""
MINE = '''\
"""Modules that do what a file beside them says: `camera.do` holds what camera is to do."""
import asyncio
import os
import sys
import time
from pathlib import Path

from pytel.base.errors import ConfigError, DeviceError
from pytel.services import Module, ModuleConfig, background


class Odd(Module):
    """Says what it does, and does what it is told."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        word: str = "nothing"

    config: Config

    async def on_start(self):
        self.log.info("%s begins, %s", self.address, self.config.word)
        self._note("begins")
        await self._obey("start")

    async def on_stop(self):
        self._note("ends")
        await self._obey("stop")

    def _note(self, what):
        with open(self.site.state_dir / "notes", "a") as notes:
            notes.write(f"{self.address} {what} {os.getpid()}\\n")

    async def _obey(self, when):
        file = self.site.state_dir / f"{self.address}.{when}"
        if not file.exists():
            return
        order = file.read_text()
        self.log.info("%s: %s", when, order)
        if order == "exit":
            os._exit(3)
        elif order == "raise":
            raise DeviceError("the cable is loose")
        elif order == "config":
            raise ConfigError("the port is missing: write port: /dev/ttyS0")
        elif order == "hang":
            file.unlink()
            time.sleep(1000)
        elif order == "linger":
            await asyncio.sleep(1.0)
        elif order == "print":
            file.unlink()
            print("printed by hand")
            print("told on stderr", file=sys.stderr)
        elif order == "flood":
            file.unlink()
            for number in range(20_000):
                self.log.info("line %d", number)
            self.log.warning("the flood is over")
        elif order == "die talking":
            file.unlink()
            self.log.error("the last words")
            sys.stderr.write("Traceback (most recent call last):\\n  in mine.py\\nKeyError: 'lens'\\n")
            os._exit(1)

    @background
    async def listen(self):
        while True:
            await self._obey("now")
            await asyncio.sleep(0.02)


class Roof(Odd):
    """As odd."""
'''


class Site:
    """A site in a folder of its own."""

    def __init__(self, folder: Path, text: str = SITE) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        (folder / "site.yaml").write_text(text)
        (folder / "mine.py").write_text(MINE)

        self.file: SiteFile = load_site(folder / "site.yaml")

    def order(self, module: str, when: str, what: str | None) -> None:
        """Tell a module what to do: "now", at its "start" or "stop"; None: nothing any more."""
        file = self.state / f"{module}.{when}"
        if what is None:
            file.unlink(missing_ok=True)
        else:
            temporary = file.with_suffix(".part")
            temporary.write_text(what)
            temporary.rename(file)

    def notes(self) -> list[str]:
        """What the modules have noted: "camera begins"."""
        return [line.rpartition(" ")[0] for line in self._notes()]

    def pids_of(self, module: str) -> list[int]:
        """The processes in which a module has begun."""
        return [int(line.split()[2]) for line in self._notes() if line.startswith(f"{module} begins")]

    def _notes(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.state / "notes").read_text().splitlines()
        return []

    def supervisor(self, patience: Patience = QUICK) -> ProcessSupervisor:
        return ProcessSupervisor(self.file, LocalHub().bus, command=COMMAND, patience=patience)

    @contextlib.asynccontextmanager
    async def running(self, *only: str, patience: Patience = QUICK) -> AsyncIterator[ProcessSupervisor]:
        supervisor = self.supervisor(patience)
        try:
            await supervisor.start(only)
            yield supervisor
        finally:
            await supervisor.stop()

    @contextlib.contextmanager
    def no_orphans(self) -> Iterator[None]:
        """Kill what a failed test leaves."""
        try:
            yield
        finally:
            for lock in self.state.glob("processes/*/lock"):
                if (text := lock.read_text().strip()).isdecimal() and is_alive(int(text)):
                    os.kill(int(text), signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that only waits to be buried does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def entry(supervisor: ProcessSupervisor, address: str) -> ModuleEntry:
    return next(entry for entry in supervisor.entries() if entry.address == address)


async def until(condition: Callable[[], bool], what: str = "", seconds: float = 30.0) -> None:
    """Wait for something that must come."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"it has not come: {what or condition}")
        await asyncio.sleep(0.02)


def pretty(supervisor: ProcessSupervisor) -> str:
    return json.dumps([str(entry) for entry in supervisor.entries()], indent=1)
