"""The process of modules that `pytel run` and systemd start: `python -m pytel.cli.child DIRECTORY [MODULE…]`.

DIRECTORY is that of the process below the state directory of the site, with its plan. `--site SITE.yaml` before it
makes the plan anew when the file is another one than it was made from; without modules all run that start by
themselves. This file imports little: what it imports, every process has in its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict
from pytel.base.lock import directory_lock
from pytel.base.threads import shutdown_threads
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.bus.contract import Bus
from pytel.cli.site_clock import site_clock
from pytel.module.module_process import ModuleProcess
from pytel.module.plan import checksum, loaded, parse_plan, read_plan, source_of
from pytel.module.process_wire import EXIT_CONFIG, EXIT_CONFLICT, PLAN
from pytel.module.specs import SiteFile
from pytel.module.stderr_log import StderrLog, log_to_stderr
from pytel.module.watchdog import watched

BusMaker = Callable[[SiteFile, Address], Bus]
_ROOMS = {"xmpp": "pytel.bus.xmpp.connection", "http": "pytel.bus.http.connection"}
"""What a connection needs, by the kind of bus."""
_STALL = 2.0
_PLAN_WITHIN = 120.0
_SERVER_WITHIN = 5.0
"""Real seconds after which it is told that the server is not there; it is tried without end."""
_log = logging.getLogger("pytel.process")


def _connection(site: SiteFile, address: Address) -> Bus:
    return make_bus(site, address, patience=_SERVER_WITHIN)


def main(arguments: Sequence[str], bus: BusMaker = _connection) -> int:
    """Run the modules of a process; returns the exit status."""
    faulthandler.enable()  # SIGABRT, as of a supervisor that waits in vain, tells where it stood
    site_file = Path(arguments[1]) if arguments[0] == "--site" else None
    directory, *modules = arguments[2:] if site_file else arguments
    log = log_to_stderr()
    try:
        with directory_lock(Path(directory), f"the process {Path(directory).name}"):
            return _run(site_file, Path(directory), modules, log, bus)
    except ConfigError as error:
        _log.critical("%s", error.message)
        return EXIT_CONFIG
    except Conflict as error:
        _log.critical("%s", error.message)
        return EXIT_CONFLICT
    finally:
        shutdown_threads()


def _run(site_file: Path | None, directory: Path, modules: Sequence[str], log: StderrLog, bus: BusMaker) -> int:
    path = directory / PLAN
    data = path.read_bytes() if site_file is None else _fresh_plan(site_file, path)
    plan = parse_plan(data, path)
    site = loaded(plan)
    if site.bus in _ROOMS:
        importlib.import_module(_ROOMS[site.bus])  # here it holds up nobody
    supervised = site_file is None
    if supervised:
        log.fall_back_to(site.info.state_dir / "log" / "pytel.log")
    wanted = modules or plan.autostart
    with clock.using(site_clock(site)):
        process = ModuleProcess(
            site, checksum(data), directory, lambda address: bus(site, address), log if supervised else None
        )
        return asyncio.run(_watched(process, wanted))


async def _watched(process: ModuleProcess, modules: Sequence[str]) -> int:
    async with watched(_STALL):
        return await process.run(modules)


def _fresh_plan(site_file: Path, path: Path) -> bytes:
    """The plan of the site file as it is now; whoever finds an old one has it made, in a process that ends."""
    with contextlib.suppress(ConfigError):
        if read_plan(path).source == source_of(site_file):
            return path.read_bytes()
    made = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytel.cli.plan", str(site_file)], timeout=_PLAN_WITHIN, check=False
    )
    if made.returncode != 0:
        raise ConfigError(f"{site_file} is not in order; 'pytel check {site_file}' says why")
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
