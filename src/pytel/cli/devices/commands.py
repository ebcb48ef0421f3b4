"""The command `pytel devices …` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

devices = typer.Typer(
    name="devices",
    help="Find devices, and try them.\n\nExample: pytel devices scan",
    short_help="Find devices, and try them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@devices.callback()
def _root() -> None: ...


@devices.command(short_help="Find the devices of INDI and Alpaca servers.")
def scan(
    indi: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="An INDI server elsewhere, or its Unix socket; may be repeated."),
    ] = None,
    alpaca: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST[:PORT]", help="An Alpaca server that does not answer by itself; may be repeated."),
    ] = None,
    only_named: Annotated[
        bool, typer.Option("--only-named", help="Look nowhere but where --indi and --alpaca say.")
    ] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, max=120.0, help="How long to wait for answers.")
    ] = 3.0,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a site file for what was found.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also over a file that is there.")] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="The name of the site in that file.")] = "observatory",
    latitude: Annotated[
        float | None, typer.Option(metavar="DEGREES", min=-90.0, max=90.0, help="Of the site, north positive.")
    ] = None,
    longitude: Annotated[
        float | None, typer.Option(metavar="DEGREES", min=-180.0, max=360.0, help="Of the site, east positive.")
    ] = None,
    elevation: Annotated[float, typer.Option(metavar="METRES", help="Of the site above sea level.")] = 0.0,
    discovery_port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="The UDP port by which Alpaca servers are found.")
    ] = 32227,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find INDI servers of this host and Alpaca servers of the network, and print the devices they have.

    Nothing is connected, moved or set. With --write the site file that drives them is written.

    Examples: pytel devices scan

    pytel devices scan --indi dome.local --write site.yaml --latitude 49.2 --longitude 8.4
    """
    from pytel.cli.devices.scan import Wanted, scan_devices
    from pytel.cli.devices.site_file import Place

    wanted = Wanted(
        indi=tuple(indi or ()),
        alpaca=tuple(alpaca or ()),
        only_named=only_named,
        wait=wait,
        discovery_port=discovery_port,
    )
    place = Place(name=name, latitude=latitude, longitude=longitude, elevation=elevation)
    scan_devices(wanted, write, place, overwrite, as_json)


@devices.command(short_help="Try a device, moving no more than is harmless.")
def check(
    module: Annotated[str, typer.Argument(metavar="MODULE", help="The module that drives it, such as focuser.")],
    site: Annotated[
        Path | None,
        typer.Option("--site", metavar="SITE.yaml", help="Start this site's module for the check: no site is running."),
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Also move covers, light lamps, and unpark a parked telescope.")
    ] = False,
    open_roof: Annotated[
        bool, typer.Option("--open-roof", help="Also open a closed roof or dome, if it is safe, and close it again.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Where the running site keeps its state (default: PYTEL_STATE)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try a device of the running site: what it says of itself, how long it takes, and where it deviates.

    It takes control, moves a few steps, and puts everything back, also after Ctrl-C. Status 1 tells of deviations.

    Examples: pytel devices check focuser

    pytel devices check camera --site site.yaml
    """
    from pytel.cli.devices.check import check_device
    from pytel.conformance.report import Options

    check_device(module, state, site, Options(move=move, open_roof=open_roof), as_json)
