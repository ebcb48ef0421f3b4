"""Observing a simulated night by the command that the README names, and reading what it left on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

PYTEL = Path(sys.executable).with_name("pytel")


def observe(directory: Path, *arguments: str) -> Path:
    """Run `pytel demo` on the virtual clock into a directory."""
    command = [str(PYTEL), "demo", "--headless", "--virtual", "--out", str(directory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return directory


class Night(NamedTuple):
    """What a night left on disk."""

    directory: Path
    report: dict[str, Any]

    def science_frames(self) -> list[Path]:
        """The science frames, in the order of their exposure."""
        wanted = [entry["image"] for entry in self.report["exposures"]]
        by_id = {path.name.partition(".")[0].rpartition("-")[2]: path for path in self.files()}
        return [by_id[image] for image in wanted]

    def files(self) -> list[Path]:
        """All images in the archive."""
        return sorted((self.directory / "images").rglob("*.fits*"))

    def truth(self) -> list[dict[str, Any]]:
        """Where the telescope really pointed, exposure by exposure."""
        lines = (self.directory / "state" / "world" / "truth.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def read_night(directory: Path) -> Night:
    """Read what a night left."""
    return Night(directory, json.loads((directory / "night.json").read_text()))
