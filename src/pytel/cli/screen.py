"""How commands write to the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

MARGIN = 160
"""Columns when the output goes to a file or another program."""

STATUS_STYLES = {
    "ready": "green",
    "starting": "cyan",
    "closing": "cyan",
    "error": "bold red",
    "stopped": "dim",
}


def console() -> Console:
    """A console for the present standard output."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else MARGIN, highlight=False, soft_wrap=False)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, STATUS_STYLES.get(status, ""))


def clock_time(iso: str) -> str:
    """The time of day of an ISO time, UTC."""
    return f"{datetime.fromisoformat(iso):%H:%M:%S}"


def shown(value: Any, unit: str | None = None) -> str:
    """A value in a line, with its unit."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, Mapping):
        text = " ".join(f"{key}={shown(item)}" for key, item in value.items() if item is not None)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        text = f"{len(value)} entries"
    elif isinstance(value, list):
        text = ", ".join(shown(item) for item in value) or "–"
    else:
        text = str(value)
    return f"{text} {unit}" if unit and unit != "1" else text


def as_json(value: Any) -> str:
    """A value as JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False)
