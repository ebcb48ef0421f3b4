"""Where log lines go: the terminal and `log/pytel.log` in the state directory, stamped with site time."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from pytel.base import clock
from pytel.module.log_lines import line_formatter

SIZE = 10_000_000
KEEP = 5


def log_to(state_dir: Path, *, terminal: bool, level: int = logging.INFO) -> None:
    """Send the log of this process to the state directory and, if wanted, to the terminal."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    directory = state_dir / "log"
    directory.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(directory / "pytel.log", maxBytes=SIZE, backupCount=KEEP, encoding="utf-8")
    file.setFormatter(line_formatter())
    root.addHandler(file)
    if terminal:
        root.addHandler(_terminal_handler())


def _terminal_handler() -> logging.Handler:
    if sys.stderr.isatty():
        return RichHandler(
            console=Console(stderr=True), show_path=False, log_time_format=lambda _: _time_text(), markup=False
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(line_formatter())
    return handler


def _time_text() -> Text:
    return Text(f"{clock.now():%H:%M:%S}")
