"""Runs the demonstration: with a scaled clock and a live display, or whole nights on the virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from pytel.base import clock, ids, virtual
from pytel.base.errors import PytelError
from pytel.base.lock import directory_lock
from pytel.base.threads import in_thread, shutdown_threads
from pytel.cli.demo.folder import DemoFolder, nights_text
from pytel.cli.demo.options import DemoOptions
from pytel.cli.demo.summary import summary
from pytel.cli.demo.view import Line, NightView
from pytel.cli.logs import log_to
from pytel.cli.screen import console
from pytel.cli.site_clock import site_clock
from pytel.cli.site_process import running_site, stop_signals
from pytel.module.sitefile import SiteFile, load_site

log = logging.getLogger("pytel.demo")
AFTER_A_KILL = 10.0
"""Seconds of site time between the last sign of a killed virtual night and where it goes on."""


def run_demo(options: DemoOptions) -> bool:
    """Run the demonstration to its end; returns whether it got there."""
    folder = DemoFolder(options)
    note = folder.prepare()
    with directory_lock(folder.state):
        site = load_site(folder.site_file)
        log_to(folder.state, terminal=False)
        typer.echo(f"The observatory is in {folder.path}" + (", and goes on where it was." if folder.goes_on else "."))
        demo = _Demo(options, folder, site)
        finished = demo.run_virtual(note.start) if options.virtual else demo.run_scaled()
        shutdown_threads()
    reports = folder.read_reports()
    if reports:
        console().print(summary(reports))
        typer.echo(f"Images are in {folder.path / 'images'}, the report in {folder.path / 'night.json'}.")
    if not finished:
        roof = demo.roof
        typer.echo(f"The roof is {roof}. " * bool(roof) + "It was stopped before the end; the same command goes on.")
    return finished


class _Demo:
    def __init__(self, options: DemoOptions, folder: DemoFolder, site: SiteFile) -> None:
        self._options, self._folder, self._site = options, folder, site
        self._view = NightView()
        self._done = asyncio.Event()
        self._saving: set[asyncio.Task[None]] = set()

    @property
    def roof(self) -> str | None:
        """The last known status of the roof."""
        return self._view.state("Enclosure").get("status")

    def run_scaled(self) -> bool:
        with clock.using(site_clock(self._site)):
            return asyncio.run(self._run_until_signal())

    def run_virtual(self, start: datetime) -> bool:
        with _LastTime(self._folder.state / "site_time") as kept:
            begin, seed = start.timestamp(), self._options.seed
            if kept.time is not None:
                begin = kept.time + AFTER_A_KILL
                seed = ids.derived_seed(seed, begin)
            # What was wanted is done in no time: there is nothing to interrupt between two timers.
            return virtual.run(self._run(asyncio.Event(), kept), start=begin, seed=seed)

    async def _run_until_signal(self) -> bool:
        with stop_signals() as stop:
            return await self._run(stop, None)

    async def _run(self, stop: asyncio.Event, kept: _LastTime | None) -> bool:
        self._view.ended = self._night_ended
        # What a supervisor or a module can tell nobody but the log shall be seen as well.
        errors = _ErrorLines(self._view)
        logging.getLogger("pytel").addHandler(errors)
        try:
            return await self._run_site(stop, kept)
        finally:
            logging.getLogger("pytel").removeHandler(errors)

    async def _run_site(self, stop: asyncio.Event, kept: _LastTime | None) -> bool:
        async with running_site(self._site, door=kept is None) as process:
            process.bus.subscribe(None, self._view.hear)
            if kept is not None:
                process.bus.subscribe(None, lambda publication: kept.save(publication.time))
            with self._display():
                await _first_of(self._done, stop)
            if stop.is_set():
                typer.echo("Stopping: the roof closes, then the modules end.")
            for task in list(self._saving):
                await task
        return self._done.is_set()

    @contextlib.contextmanager
    def _display(self) -> Iterator[None]:
        if self._options.headless or self._options.virtual or not sys.stdout.isatty():
            for line in list(self._view.lines):  # what was said while the modules started
                _print_line(line)
            self._view.listeners.append(_print_line)
            yield
            return
        from rich.live import Live

        from pytel.cli.demo.live import LiveDisplay

        info = self._site.info
        display = LiveDisplay(self._view, info.name, info.location, nights_text(self._options.nights))
        with Live(display, console=console(), screen=True, refresh_per_second=4, transient=True):
            yield

    def _night_ended(self, data: Mapping[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._collect(str(data["night"])))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _collect(self, night: str) -> None:
        try:
            done = await in_thread(self._folder.collect)
        except (OSError, PytelError) as error:
            log.error("the report of the night of %s cannot be copied: %s", night, error)
            return
        if done >= self._options.nights:
            self._done.set()


class _LastTime:
    """Where a virtual night is, for the run after a kill: a few bytes in place, at every sign of life."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("r+b", buffering=0)
        content = self._file.read(8)
        self.time: float | None = struct.unpack("<d", content)[0] if len(content) == 8 else None

    def __enter__(self) -> _LastTime:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def save(self, time: float) -> None:
        """Remember a site time."""
        self._file.seek(0)
        self._file.write(struct.pack("<d", time))


class _ErrorLines(logging.Handler):
    """Takes errors of the log into the story."""

    def __init__(self, view: NightView) -> None:
        super().__init__(logging.ERROR)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, unless the module has said it itself."""
        text = record.getMessage().partition("\n")[0]
        if record.name == "pytel.notifier":
            return  # what it logs it publishes as well
        told = [line.text.partition(": ")[2] for line in list(self._view.lines)[-5:] if line.level == "error"]
        if not any(said and said in text for said in told):
            self._view.say(f"{record.name.removeprefix('pytel.')}: {text}", "error")


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _print_line(line: Line) -> None:
    typer.echo(f"{line.time:%Y-%m-%d %H:%M:%S}  {line.text}")
