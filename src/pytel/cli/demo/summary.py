"""What came of the nights, as a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def summary(reports: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each night report."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("night", no_wrap=True)
    for heading in ("frames", "open shutter", "clear dark", "share", "tasks", "lost", "errors"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        done = sum(task["status"] == "done" for task in report["tasks"])
        share = report["open_shutter_fraction"]
        table.add_row(
            str(report["night"]),
            str(len(report["exposures"])),
            _hours(report["open_shutter"]),
            _hours(report["clear_dark_time"]),
            "–" if share is None else f"{share:.0%}",
            f"{done} of {len(report['tasks'])}",
            _hours(sum(lost["seconds"] for lost in report["lost"])),
            str(len(report["errors"])),
        )
    return table


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
