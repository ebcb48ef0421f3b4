"""How benchmarks measure and report: medians of interleaved rounds, the machine and the versions, as a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

RESULTS = Path("bench-results")


class Figure(NamedTuple):
    """The median of several rounds and their spread."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.4g} ({self.low:.3g}–{self.high:.3g})"


def rounds_of(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run all cases in turn, `rounds` times: what each took, by its name."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            taken[name].append(case())
    return taken


def figure_of(values: Sequence[float]) -> Figure:
    """The median of some values, the lowest and the highest."""
    return Figure(statistics.median(values), min(values), max(values))


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, Figure]:
    """Run all cases in turn, `rounds` times, and take medians."""
    return {name: figure_of(values) for name, values in rounds_of(cases, rounds).items()}


def run_python(code: str, python: str = sys.executable) -> tuple[float, float]:
    """Run code in a fresh interpreter; returns wall seconds and peak RSS in MiB."""
    tail = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    begun = time.perf_counter()
    done = subprocess.run([python, "-c", code + tail], check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, float(done.stdout.split()[-1])


def report(title: str, rows: Sequence[tuple[str, ...]], *packages: str, notes: Sequence[str] = ()) -> None:
    """Print a table with the machine, the versions and notes, and keep it as JSON."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print("\n".join([f"\n## {title}", f"{machine()}; {versions}", *notes]) + "\n")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    RESULTS.mkdir(exist_ok=True)
    name = title.lower().replace(":", "").replace(" ", "-")
    kept = {"title": title, "machine": machine(), "versions": versions, "notes": list(notes), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1))


def machine() -> str:
    """Name the machine."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
