"""The command `pytel catalogue …` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

catalogue = typer.Typer(
    name="catalogue",
    help="Make a star catalogue of the site's own.\n\nExample: pytel catalogue pack gaia.csv gaia.bin",
    short_help="Make a star catalogue of the site's own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@catalogue.callback()
def _root() -> None: ...


@catalogue.command(short_help="Pack a table of stars, deeper than the bundled Tycho-2.")
def pack(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Stars as CSV with a line of names, or as FITS.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The packed catalogue to write.")],
    ra: Annotated[str, typer.Option(help="Column of right ascensions, ICRS degrees.")] = "ra",
    dec: Annotated[str, typer.Option(help="Column of declinations, ICRS degrees.")] = "dec",
    mag: Annotated[str, typer.Option(help="Column of magnitudes.")] = "phot_g_mean_mag",
) -> None:
    """Pack a table of stars into a catalogue that plates are solved with: five bytes a star.

    Example: pytel catalogue pack gaia.csv gaia.bin --mag phot_g_mean_mag
    """
    from pytel.cli.catalogue import pack_table

    typer.echo(pack_table(table, out, ra, dec, mag))


@catalogue.command(short_help="Answer as the program gsc does, which INDI's camera simulator asks for stars.")
def gsc(
    centre: Annotated[tuple[float, float], typer.Option("-c", metavar="RA DEC", help="Centre, ICRS degrees.")],
    radius: Annotated[float, typer.Option("-r", min=0.0, max=600.0, help="Radius in arcminutes.")] = 10.0,
    mag: Annotated[tuple[float, float], typer.Option("-m", metavar="BRIGHT FAINT", help="Magnitudes.")] = (0.0, 16.0),
    most: Annotated[int, typer.Option("-n", min=1, help="The brightest so many.")] = 3000,
) -> None:
    """Print the stars of a field: Tycho-2, and invented ones below it, in the columns of the GSC's own program.

    Example: pytel catalogue gsc -c 83.82 -5.39 -r 20 -m 0 14 -n 3000
    """
    from pytel.cli.catalogue import gsc_lines

    typer.echo(gsc_lines(centre, radius, mag, most), nl=False)
