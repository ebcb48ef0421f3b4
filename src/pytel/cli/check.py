"""`pytel check`."""

from __future__ import annotations

from pathlib import Path

import typer

from pytel.bus.http.config import borrowed_ports
from pytel.cli.hardware import missing_world
from pytel.module.sitefile import check_site


def check_file(path: Path) -> bool:
    """Print what is wrong with a site file; returns whether it is fine."""
    site, faults = check_site(path)
    faults += missing_world(site) if site else []
    for fault in faults:
        typer.echo(str(fault))
    if site is None or faults:
        return False
    count = len(site.modules)
    typer.echo(f"{path} is fine: {count} module{'' if count == 1 else 's'}")
    if site.bus == "http" and site.http is not None and (sentence := borrowed_ports(site.http)):
        typer.echo(f"note: {sentence}")
    return True
