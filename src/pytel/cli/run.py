"""`pytel run`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import typer

from pytel.base import clock
from pytel.base.lock import directory_lock
from pytel.base.threads import shutdown_threads
from pytel.cli.hardware import missing_world
from pytel.cli.logs import log_to
from pytel.cli.site_clock import site_clock
from pytel.cli.site_process import refuse_unknown, running_site, stop_signals
from pytel.module.faults import raise_for
from pytel.module.sd_notify import notify
from pytel.module.sitefile import SiteFile, load_site
from pytel.module.watchdog import watched


def run_file(path: Path, only: Sequence[str]) -> None:
    """Run a site until a signal. Raises `ConfigError`, `AlreadyRunning`."""
    site = load_site(path)
    raise_for(missing_world(site))
    refuse_unknown(site, only)
    with directory_lock(site.info.state_dir), clock.using(site_clock(site)):
        log_to(site.info.state_dir, terminal=True)
        asyncio.run(_run(site, only))
        shutdown_threads()


async def _run(site: SiteFile, only: Sequence[str]) -> None:
    with stop_signals() as stop:
        async with watched(), running_site(site, only):
            typer.echo(f"{site.info.name} is running in {site.info.state_dir}; Ctrl-C stops it", err=True)
            notify("READY=1")
            await stop.wait()
            notify("STOPPING=1")
            typer.echo("stopping: the roof closes, then the modules end", err=True)
    typer.echo(f"{site.info.name} has stopped", err=True)
