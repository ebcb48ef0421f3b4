"""`pytel devices check`: try a device of a running site, or of a site that is started for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from pytel.base import clock
from pytel.base.errors import ControlHeld, PytelError, Timeout
from pytel.base.lock import directory_lock
from pytel.base.threads import in_thread, shutdown_threads
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin
from pytel.cli.call import with_way_out
from pytel.cli.client import SiteClient, reach_site
from pytel.cli.hardware import missing_world
from pytel.cli.logs import log_to
from pytel.cli.screen import as_json, console, shown
from pytel.cli.site_clock import site_clock
from pytel.cli.site_process import refuse_unknown, running_site
from pytel.conformance.check import check_module
from pytel.conformance.report import Finding, Options, Report, Verdict
from pytel.interfaces.control import Control
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.imagestore import ImageStore
from pytel.interfaces.safety import SafetyMonitor
from pytel.interfaces.weather import WeatherStation
from pytel.module.faults import raise_for
from pytel.module.interface import Interface
from pytel.module.sitefile import load_site
from pytel.module.specs import SiteFile

Tell = Callable[[Finding], None]
_STYLES = {Verdict.OK: "green", Verdict.DEVIATION: "bold red", Verdict.NOT_TRIED: "dim"}
_READY_WITHIN: Seconds = 60.0


def check_device(module: str, state: Path | None, site: Path | None, options: Options, json_wanted: bool) -> None:
    """Try a device and print what was found; ends with status 1 after deviations, 130 after Ctrl-C."""

    def tell(finding: Finding) -> None:
        typer.echo(f"{finding.verdict}: {finding.interface} {finding.what}", err=True)

    try:
        if site is None:
            with reach_site(state) as client:
                report = asyncio.run(check_module(_ClientLink(client), module, options, tell))
        else:
            report = _check_site(site, module, options, tell)
    except ControlHeld as error:
        raise with_way_out(error) from error
    except KeyboardInterrupt:
        typer.echo("interrupted; what was moved is put back as far as the lines above say", err=True)
        raise typer.Exit(130) from None
    finally:
        shutdown_threads()
    if json_wanted:
        typer.echo(as_json({**msgspec.to_builtins(report), "deviations": report.deviations}))
    else:
        print_report(report)
    if report.deviations:
        raise typer.Exit(1)


class _ClientLink:
    """A connection of the command line, one call at a time."""

    def __init__(self, client: SiteClient) -> None:
        self._client, self._turn = client, asyncio.Lock()

    async def call(self, method: str, params: Mapping[str, Builtin], within: Seconds) -> Builtin:
        """Call; one that is given up is waited for before the next, so that answers do not mix."""
        return await asyncio.shield(asyncio.ensure_future(self._call(method, params, within)))

    async def _call(self, method: str, params: Mapping[str, Builtin], within: Seconds) -> Builtin:
        async with self._turn:
            return await in_thread(self._client.call, method, dict(params), within)


def _check_site(path: Path, module: str, options: Options, tell: Tell) -> Report:
    """Run the module, and what it needs, for the check alone. Raises `ConfigError`, `AlreadyRunning`."""
    site = load_site(path)
    raise_for(missing_world(site))
    refuse_unknown(site, [module])
    with directory_lock(site.info.state_dir), clock.using(site_clock(site)):
        log_to(site.info.state_dir, terminal=False)
        return asyncio.run(_checked(site, module, options, tell))


async def _checked(site: SiteFile, module: str, options: Options, tell: Tell) -> Report:
    async with running_site(site, _needed(site, module)), _connected(site) as link:
        await _until_ready(link, module)
        return await check_module(link, module, options, tell)


@contextlib.asynccontextmanager
async def _connected(site: SiteFile) -> AsyncIterator[_ClientLink]:
    with contextlib.ExitStack() as stack:
        client = await in_thread(stack.enter_context, reach_site(site.info.state_dir))
        yield _ClientLink(client)


def _needed(site: SiteFile, module: str) -> list[str]:
    """The module, who lends control, who keeps images; for a roof also who says that it is safe."""
    kinds: list[type[Interface]] = [Control, ImageStore]
    target = next(spec for spec in site.modules if str(spec.address) == module)
    if issubclass(target.kind, Enclosure):
        kinds += [SafetyMonitor, WeatherStation]
    return [
        str(spec.address)
        for spec in site.modules
        if spec is target or any(issubclass(spec.kind, kind) for kind in kinds)
    ]


async def _until_ready(link: _ClientLink, module: str) -> None:
    """Wait for the device. Raises `Timeout` with what keeps it from starting."""
    loop = asyncio.get_running_loop()
    ends, why = loop.time() + _READY_WITHIN, "state/log/pytel.log says why"
    while loop.time() < ends:
        with contextlib.suppress(PytelError):
            for told in await link.call("states.list", {}, 10.0):
                if told["publisher"] != module or ":Module:" not in told["topic"]:
                    continue
                if told["data"].get("status") in ("ready", "error"):
                    return
                why = (told["data"].get("error") or {}).get("message", why)
        await asyncio.sleep(0.3)
    raise Timeout(f"{module} is not ready after {_READY_WITHIN:g} s: {why}")


def print_report(report: Report) -> None:
    """Print capabilities and findings for people."""
    out = console()
    out.print(Text.assemble((report.module, "bold"), f": {report.type.rpartition(':')[2]}"))
    grid = Table.grid(padding=(0, 2))
    for name, told in report.capabilities.items():
        for key, value in (told if isinstance(told, Mapping) else {}).items():
            grid.add_row(Text(f"  {name.removesuffix('Capabilities')}"), Text(key), Text(shown(value)))
    out.print(grid)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("interface", "step", "result", "time", "why"):
        table.add_column(heading, no_wrap=heading in ("interface", "result", "time"))
    for finding in report.findings:
        table.add_row(
            Text(finding.interface),
            Text(finding.what),
            Text(finding.verdict.value, _STYLES[finding.verdict]),
            Text(f"{finding.seconds:.1f} s"),
            Text(finding.detail),
        )
    out.print(table)
    count = report.deviations
    out.print(Text(f"{count or 'no'} deviation{'' if count == 1 else 's'}", "bold red" if count else "green"))


__all__ = ["check_device", "print_report"]
