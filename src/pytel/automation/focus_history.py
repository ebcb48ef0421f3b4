"""What earlier focus runs found, in files: results, the one in doubt, plots. All are bounded."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from pytel.base.files import storage_full_named, write_atomically
from pytel.base.units import Millimetres
from pytel.interfaces.autofocus import FocusResult

_KEPT = 500
_SPARE = 100
_PLOTS = 100


class FocusHistory:
    """The results in a directory, oldest first. A line that is damaged is left out."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.results = _read(self._file)

    @property
    def _file(self) -> Path:
        return self._directory / "results.jsonl"

    @property
    def _doubted(self) -> Path:
        return self._directory / "doubted.json"

    @property
    def _sweep(self) -> Path:
        return self._directory / "sweep.json"

    @property
    def last(self) -> FocusResult | None:
        """The newest result."""
        return self.results[-1] if self.results else None

    def since_change(self) -> list[FocusResult]:
        """The results since the optics changed last."""
        starts = [index for index, result in enumerate(self.results) if result.begins]
        return self.results[starts[-1] if starts else 0 :]

    def add(self, *results: FocusResult) -> None:
        """Keep results. Raises `StorageFull`."""
        self.results.extend(results)
        if len(self.results) > _KEPT + _SPARE:
            self.results = self.results[-_KEPT:]
            write_atomically(self._file, [_line(result) for result in self.results])
        else:
            with storage_full_named(self._file), self._file.open("ab", buffering=0) as file:
                file.write(b"".join(map(_line, results)))
                os.fsync(file.fileno())
        self._doubted.unlink(missing_ok=True)

    def doubt(self, result: FocusResult) -> None:
        """Keep a result that contradicts the law, until the next one. Raises `StorageFull`."""
        write_atomically(self._doubted, [_line(result)])

    def doubted(self) -> FocusResult | None:
        """The result of the run before, if it was in doubt."""
        results = _read(self._doubted)
        return results[-1] if results else None

    def begin(self, before: Millimetres) -> None:
        """Remember where the focus was when a sweep began, should the process end within it. Raises `StorageFull`."""
        write_atomically(self._sweep, [msgspec.json.encode(before)])

    def end(self) -> None:
        """Forget it: the focuser stands where it should."""
        self._sweep.unlink(missing_ok=True)

    def interrupted(self) -> Millimetres | None:
        """Where the focus was before a sweep that did not end."""
        try:
            return msgspec.json.decode(self._sweep.read_bytes(), type=float)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def keep_plot(self, when: datetime, picture: str) -> None:
        """Keep a picture (SVG) of a run. Raises `StorageFull`."""
        folder = self._directory / "plots"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / f"{when:%Y%m%dT%H%M%S}.svg", [picture.encode()])
        for old in sorted(folder.glob("*.svg"))[:-_PLOTS]:
            old.unlink(missing_ok=True)


def _line(result: FocusResult) -> bytes:
    return msgspec.json.encode(result) + b"\n"


def _read(path: Path) -> list[FocusResult]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    results = []
    for line in lines:
        try:
            results.append(msgspec.json.decode(line, type=FocusResult))
        except msgspec.MsgspecError:
            continue
    return results
