"""Zero points and coordinates of reduced frames against the truth: fields, filters, airmasses and seeings at random."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

from benchmarks.accuracy.goals import Options, Row, figure, tell
from benchmarks.accuracy.reduction_frames import START, Light, Scene
from pytel.archive.reduction.frame import reduce_frame
from pytel.archive.reduction.jobs import FrameJob, ReductionSettings

_FIELDS = 60


def main(options: Options) -> None:
    """Reduce frames of 20-arcmin and 60-arcmin fields."""
    errors: list[float] = []
    told: list[float] = []
    places: list[float] = []
    missed = 0
    cases = options.cases(_FIELDS)
    with tempfile.TemporaryDirectory(prefix="pytel-photometry-") as folder:
        for size, focal_length in ((1024, 1056.0), (2048, 1056.0)):
            directory = Path(folder) / str(size)
            directory.mkdir()
            scene = Scene(directory, size, focal_length)
            for case in range(cases // 2):
                truth = _drawn(np.random.default_rng((size, case)))
                header = _reduced(scene, truth)
                if "MAGZP0" not in header:
                    missed += 1
                    continue
                errors.append(header["MAGZP0"] - scene.filter(truth.filter).zero_point)
                told.append(header["MAGZPERR"])
                across = (header["CRVAL1"] - truth.ra) * math.cos(math.radians(truth.dec))
                places.append(math.hypot(across, header["CRVAL2"] - truth.dec) * 3600)
    off = np.abs(errors)
    rows = [
        Row("frames reduced", float(len(errors) + missed)),
        Row("frames without a zero point, as they say", float(missed)),
        Row("zero point: median error", float(np.median(off)), unit="mag"),
        Row("zero point: largest error", float(off.max()), 0.02, unit="mag"),
        Row("zero point: error in units of the one told, rms", float(np.sqrt(np.mean(np.square(off / told))))),
        Row("coordinates: median error", float(np.median(places)), unit="arcsec"),
        Row("coordinates: largest error", float(np.max(places)), 1.0, unit="arcsec"),
    ]
    tell("zero points and coordinates", rows, "astroscrappy", notes=["pyobs-core has no processor for zero points"])
    if options.plots is not None:
        with figure(options, "photometry") as drawn:
            axes = drawn.subplots()
            axes.hist(np.array(errors) * 1000, bins=21)
            axes.set(xlabel="zero point, found less true (mmag)", ylabel="frames")


def _drawn(source: np.random.Generator) -> Light:
    """A field anywhere on the sky."""
    return Light(
        ra=float(source.uniform(0, 360)),
        dec=math.degrees(math.asin(source.uniform(-0.98, 0.98))),
        filter=str(source.choice(["B", "V", "R", "I"])),
        airmass=float(source.uniform(1.0, 2.2)),
        fwhm=float(source.uniform(1.5, 4.0)),
        seconds=float(source.choice([10.0, 30.0, 120.0])),
    )


def _reduced(scene: Scene, truth: Light) -> fits.Header:
    raw, output = scene.light(truth), scene.directory / "reduced.fits"
    job = FrameJob(
        raw=raw, masters=scene.masters, settings=ReductionSettings(), created=START, invented=True, output=str(output)
    )
    reduce_frame(job)
    Path(raw.path or "").unlink()
    return fits.getheader(output)
