"""Many calibration frames made into a master. Blocking."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytel.archive.reduction.fetch import fetched, master_pixels
from pytel.archive.reduction.frame import Stopwatch
from pytel.archive.reduction.jobs import MasterJob, Product
from pytel.archive.reduction.provenance import carried_over, master_provenance
from pytel.imaging.headers import COMMENTS, CardValue, HeaderCard
from pytel.interfaces.images import FrameType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UNITS = {FrameType.BIAS: "adu", FrameType.DARK: "adu/s", FrameType.FLAT: ""}
_OF_ONE_FRAME = {"OBJECT", "TASKID", "TASKEXP", "RA", "DEC", "OBJCTRA", "OBJCTDEC", "OBJCTALT", "OBJCTAZ", "AIRMASS"}


def make_master(job: MasterJob) -> Product:
    """Combine bias, dark or flat frames; the same job gives the same bytes.

    Raises what `pytel.imaging.masters` raises, `NotFound`, `ChecksumError`, `StorageFull`.
    """
    from pytel.imaging.calibration_file import render_calibrated, write_calibrated
    from pytel.imaging.fits import Written, read_header

    watch = Stopwatch()
    with contextlib.ExitStack() as stack:
        with watch.step("read"):
            paths = [stack.enter_context(fetched(raw)) for raw in job.raws]
            headers = [read_header(path) for path in paths]
        with watch.step("combine"):
            pixels = _combined(job, paths, [_seconds(header) for header in headers])
    cards = _cards(job, headers)
    with watch.step("write"):
        if job.output is not None:
            written = write_calibrated(Path(job.output), pixels, cards, {}, created=job.created)
            return Product(size=written.size, sha256=written.sha256, seconds=watch.seconds)
        content = b"".join(render_calibrated(pixels, cards, {}, created=job.created))
        written = Written(len(content), hashlib.sha256(content).hexdigest())
    return Product(size=written.size, sha256=written.sha256, seconds=watch.seconds, content=content)


def _combined(job: MasterJob, paths: list[Path], seconds: list[float]) -> NDArray[np.float32]:
    from pytel.imaging import masters

    bias, dark = (
        master_pixels(job.masters[kind]) if kind in job.masters else None for kind in (FrameType.BIAS, FrameType.DARK)
    )
    if job.frame_type is FrameType.BIAS:
        return masters.master_bias(paths)
    if job.frame_type is FrameType.DARK:
        return masters.master_dark(paths, seconds, bias)
    return masters.master_flat(paths, seconds, bias, dark)


def _seconds(header: Mapping[str, CardValue]) -> float:
    value = header.get("EXPTIME")
    return float(value) if isinstance(value, int | float) else 0.0


def _cards(job: MasterJob, headers: list[dict[str, CardValue]]) -> dict[str, HeaderCard]:
    """The cards that the first frame has and that are true of all, and where the master comes from."""
    cards = {
        keyword: card for keyword, card in carried_over(headers[0], COMMENTS).items() if keyword not in _OF_ONE_FRAME
    }
    if job.frame_type is FrameType.DARK:
        cards["EXPTIME"] = HeaderCard(_seconds(headers[0]), "[s] of the frames; pixels are of one second")
    last = headers[-1].get("DATE-END")
    if last is not None:
        cards["DATE-END"] = HeaderCard(last, "end of the last exposure (UTC)")
    unit = _UNITS[job.frame_type]
    cards["BUNIT"] = HeaderCard(unit or "relative response", COMMENTS["BUNIT"])
    return cards | master_provenance(job.raws, job.masters)
