"""What a scan found, for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from pytel.cli.devices.found import Findings, FoundDevice
from pytel.cli.screen import console

NOTHING = (
    "nothing was found. Start the server of your devices (indiserver, an ASCOM Remote server, the device's own) and "
    "scan again; a server on another host is named: --indi HOST[:PORT] or --alpaca HOST[:PORT]. --wait 10 waits longer"
)


def print_findings(findings: Findings) -> None:
    """Print servers, devices and what is odd about them."""
    out = console()
    if findings.devices:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("device", "kind", "server", "module", "type"):
            table.add_column(heading)
        for device in findings.devices:
            table.add_row(*(Text(cell) for cell in _row(device)))
        out.print(table)
    for server in findings.servers:
        for note in server.notes:
            out.print(Text(f"{server.address}: {note}"), soft_wrap=True)
    for device in findings.devices:
        if device.note:
            out.print(Text(f"{device.name}: {device.note}"), soft_wrap=True)
    for trouble in findings.troubles:
        out.print(Text(trouble, "red"), soft_wrap=True)
    if not findings.devices:
        out.print(Text(NOTHING), soft_wrap=True)


def _row(device: FoundDevice) -> tuple[str, ...]:
    return (device.name, device.kind, device.server, device.module or "–", device.type or "no driver")


__all__ = ["NOTHING", "print_findings"]
