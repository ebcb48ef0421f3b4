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
