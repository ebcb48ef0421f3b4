"""Plate solving without a good hint: by astrometry.net's `solve-field`, where it is installed.

    solution = solve_anywhere(sources, pixels.shape, hint, stars)

tries the hint first, and asks `solve-field` only when it fails. Takes seconds to minutes: from a coroutine, call it by
`pytel.base.threads.in_thread`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from pytel.base.errors import InvalidParams, PytelError
from pytel.base.units import ArcsecPerPixel, Seconds
from pytel.imaging.headers import HeaderCard, cards
from pytel.imaging.solving import FieldHint, FieldSolution, NotSolved, solution_of_wcs, solve_field
from pytel.imaging.sources import SourceList
from pytel.sky.catalogue import StarSource, cone

PROGRAM = "solve-field"
_SOURCES = 100
_SCALE_RANGE = 1.25
_CONFIRMED = 0.1
_KEYWORDS = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


class BlindSolverMissing(PytelError):
    """astrometry.net's `solve-field` is not installed on this host."""


class BlindSolverFailed(PytelError):
    """`solve-field` did not run as it should, or not in time; `data` has the end of what it said."""


def solve_anywhere(
    sources: SourceList,
    shape: tuple[int, int],
    hint: FieldHint,
    stars: StarSource = cone,
    *,
    timeout: Seconds = 60.0,
) -> FieldSolution:
    """Solve a frame by its hint or, when that fails and `solve-field` is installed, wherever it is on the sky.

    A blind solution is measured again on `stars`; its own is given where these are too few. Raises `NotSolved`, and
    `BlindSolverFailed` when the program does not do its work in `timeout` (real time).
    """
    try:
        return solve_field(sources, shape, hint, stars)
    except NotSolved:
        if shutil.which(PROGRAM) is None:
            raise
    blind = solve_blind(sources, shape, scale=hint.scale, timeout=timeout)
    around = FieldHint(blind.ra, blind.dec, _CONFIRMED, blind.scale, blind.flipped, blind.position_angle)
    try:
        return solve_field(sources, shape, around, stars)
    except NotSolved:
        return blind


def solve_blind(
    sources: SourceList, shape: tuple[int, int], *, scale: ArcsecPerPixel, timeout: Seconds = 60.0
) -> FieldSolution:
    """Find a frame anywhere on the sky with `solve-field`; its scale is known to 25 percent.

    Which fields can be solved depends on the indexes that are installed. Raises `NotSolved`, `BlindSolverMissing` and
    `BlindSolverFailed`.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise BlindSolverMissing(f"{PROGRAM} is not installed here: install astrometry.net and indexes for it")
    if not (scale > 0 and timeout > 0 and min(shape) > 1):
        raise InvalidParams(f"no plate can be solved with a scale of {scale}, {shape} pixels and {timeout} s")
    with tempfile.TemporaryDirectory(prefix="pytel-solve-") as name:
        folder = Path(name)
        _write_sources(folder / "field.xyls", sources)
        _run(_command(program, folder, shape, scale, timeout), folder, timeout)
        if not (folder / "field.wcs").exists():
            raise NotSolved(
                f"no place on the sky fits the {len(sources)} sources of this frame: check scale, focus and clouds",
                sources=len(sources),
            )
        return solution_of_wcs(_read_wcs(folder / "field.wcs"), shape)


def _command(program: str, folder: Path, shape: tuple[int, int], scale: float, timeout: float) -> list[str]:
    options = {
        "--x-column": "X",
        "--y-column": "Y",
        "--sort-column": "FLUX",
        "--width": shape[1],
        "--height": shape[0],
        "--scale-units": "arcsecperpix",
        "--scale-low": f"{scale / _SCALE_RANGE:.6g}",
        "--scale-high": f"{scale * _SCALE_RANGE:.6g}",
        "--cpulimit": max(1, int(timeout)),
        "--dir": folder,
        "--temp-dir": folder,
    }
    given = [str(word) for option in options.items() for word in option]
    return [program, "--no-plots", "--no-tweak", "--overwrite", *given, str(folder / "field.xyls")]


def _write_sources(path: Path, sources: SourceList) -> None:
    from astropy.io import fits

    bright = sources.select(slice(0, _SOURCES))
    # FITS counts pixels from 1.
    values = (("X", bright.x + 1), ("Y", bright.y + 1), ("FLUX", bright.flux))
    fits.BinTableHDU.from_columns([fits.Column(name, "D", array=value) for name, value in values]).writeto(path)


def _run(command: list[str], folder: Path, timeout: float) -> None:
    """Run the program and all that it starts for so long at most."""
    said = folder / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,  # so that its children can be ended with it
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise BlindSolverFailed(f"{PROGRAM} found nothing within {timeout:g} s", said=_end_of(said)) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code != 0:
        raise BlindSolverFailed(f"{PROGRAM} ended with code {code}: check its installation", said=_end_of(said))


def _end_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-500:]


def _read_wcs(path: Path) -> dict[str, HeaderCard]:
    from astropy.io import fits

    try:
        header = fits.getheader(path)
        values = {keyword: float(header[keyword]) for keyword in _KEYWORDS}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BlindSolverFailed(f"the WCS that {PROGRAM} wrote cannot be read: {error}") from error
    if not np.isfinite(list(values.values())).all():
        raise BlindSolverFailed(f"the WCS that {PROGRAM} wrote is none")
    return cards(dict(values))
