"""One raw frame made into a calibrated one with coordinates, catalogue, zero point and quality numbers. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.archive.reduction.fetch import fetched, master_pixels
from pytel.archive.reduction.jobs import FrameJob, Product, Source
from pytel.archive.reduction.provenance import carried_over, frame_provenance
from pytel.imaging.headers import COMMENTS, CardValue, HeaderCard
from pytel.interfaces.images import FrameType

if TYPE_CHECKING:
    from pytel.archive.reduction.measuring import Measured
    from pytel.imaging.calibration import Calibrated, Masters
    from pytel.imaging.fits import Written
    from pytel.sky.catalogue import StarSource

Header = dict[str, CardValue]


class Stopwatch:
    """How long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a block; blocks of one name add up."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


def reduce_frame(job: FrameJob) -> Product:
    """Reduce a frame; the same job gives the same bytes on every host.

    What cannot be measured (no stars, clouds) is left out and stands in the remarks. Raises `NotFound`,
    `ChecksumError`, `ImageError`, `InvalidParams` (masters that do not fit), `StorageFull`.
    """
    from pytel.archive.reduction.measuring import measure
    from pytel.imaging.calibration import calibrate
    from pytel.imaging.fits import read_fits

    watch = Stopwatch()
    with watch.step("read"), fetched(job.raw) as path:
        pixels, header = read_fits(path, checked=True)
    with watch.step("masters"):
        masters = _masters(job.masters, header)
    with watch.step("calibrate"):
        calibrated = calibrate(pixels, header, masters)
    measured = measure(calibrated, header, job.settings, _stars(job), watch)
    with watch.step("write"):
        cards = _cards(job, header, calibrated, measured)
        written, content = _write(job, calibrated, cards, measured)
    return Product(
        size=written.size, sha256=written.sha256, remarks=measured.remarks, seconds=watch.seconds, content=content
    )


def _stars(job: FrameJob) -> StarSource:
    from pytel.sky.catalogue import star_source

    return star_source(Path(job.settings.catalogue) if job.settings.catalogue else None, invent=job.invented)


def _masters(given: Mapping[FrameType, Source], header: Mapping[str, CardValue]) -> Masters:
    import numpy as np

    from pytel.imaging.calibration import Masters, number
    from pytel.imaging.masters import bad_pixels

    bias, dark, flat = (
        master_pixels(given[kind]) if kind in given else None
        for kind in (FrameType.BIAS, FrameType.DARK, FrameType.FLAT)
    )
    bad = None
    if dark is not None or flat is not None:
        gain = number(header, "GAIN") or 1.0
        noise = float(np.hypot(number(header, "RDNOISE") or 0.0, 3.0)) / gain
        bad = bad_pixels(dark, flat, noise=noise, exposure_time=number(header, "EXPTIME") or 0.0, gain=gain)
    return Masters(bias=bias, dark=dark, flat=flat, bad=bad)


def _cards(job: FrameJob, header: Header, calibrated: Calibrated, measured: Measured) -> dict[str, HeaderCard]:
    import numpy as np

    from pytel.imaging.quality import quality_cards

    cards = carried_over(header, COMMENTS)
    cards["BUNIT"] = HeaderCard("electron", COMMENTS["BUNIT"])
    cards["GAIN"] = HeaderCard(1.0, COMMENTS["GAIN"])
    cards["RAWGAIN"] = HeaderCard(calibrated.gain, "[electron/adu] of the raw frame")
    if calibrated.saturation is not None:
        cards["SATURATE"] = HeaderCard(round(calibrated.saturation, 1), "[electron] pixels at and above are saturated")
    cards["NBADPIX"] = HeaderCard(int(np.count_nonzero(calibrated.bad)), "bad pixels, filled in")
    cards |= frame_provenance(job.raw, job.masters)
    cards |= quality_cards(measured.quality)
    cards["WCSSOLVE"] = HeaderCard(measured.solution is not None, "the coordinates are measured in this frame")
    if measured.solution is not None:
        cards |= measured.solution.cards()
        cards["WCSNAME"] = HeaderCard("solved", COMMENTS["WCSNAME"])
        cards["WCSMATCH"] = HeaderCard(measured.solution.matched, "stars that the coordinates rest on")
        cards["WCSRMS"] = HeaderCard(round(measured.solution.rms, 4), "[arcsec] rms of these")
    return cards


def _write(
    job: FrameJob, calibrated: Calibrated, cards: Mapping[str, HeaderCard], measured: Measured
) -> tuple[Written, bytes | None]:
    import hashlib

    from pytel.imaging.calibration_file import render_calibrated, write_calibrated
    from pytel.imaging.fits import Written

    tables: dict[str, Any] = {"CAT": measured.catalogue, "MASK": measured.masked}
    if job.output is not None:
        return write_calibrated(Path(job.output), calibrated.pixels, cards, tables, created=job.created), None
    content = b"".join(render_calibrated(calibrated.pixels, cards, tables, created=job.created))
    return Written(len(content), hashlib.sha256(content).hexdigest()), content
