"""How long the reduction of a 4k frame takes, step by step, beside pyobs-core's processors on the same file."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.accuracy.goals import Options, Row, tell
from benchmarks.accuracy.reduction_frames import START, Light, Scene
from benchmarks.peers.environment import peer_python, peer_versions
from pytel.archive.reduction.frame import reduce_frame
from pytel.archive.reduction.jobs import FrameJob, Product, ReductionSettings
from pytel.interfaces.images import FrameType

_GOAL = 3.0
_STEPS = ("read", "masters", "calibrate", "background", "sources", "cosmic rays", "solve", "photometry", "write")
_RUNS = 5


def main(options: Options) -> None:
    """Reduce a 4k frame (2k with --quick) again and again; the median counts."""
    size = 2048 if options.quick else 4096
    with tempfile.TemporaryDirectory(prefix="pytel-reduction-") as folder:
        scene = Scene(Path(folder), size, 2400.0, frames=3)
        raw = scene.light(Light(83.8, 20.0, seconds=120.0))
        job = FrameJob(
            raw=raw,
            masters=scene.masters,
            settings=ReductionSettings(),
            created=START,
            invented=True,
            output=str(Path(folder) / "reduced.fits"),
        )
        reduce_frame(job)  # libraries and masters are loaded once for a night
        begin = time.process_time()
        totals, products = zip(*(_timed(job) for _ in range(_RUNS)), strict=True)
        used = (time.process_time() - begin) / _RUNS
        typical = products[sorted(range(_RUNS), key=lambda run: totals[run])[_RUNS // 2]]
        python = peer_python("pyobs")
        theirs = _pyobs(python, job)
    rows = [Row("a reduced frame, all steps", sorted(totals)[_RUNS // 2], _GOAL, unit="s")]
    rows.append(Row("  processor time, which other work on the machine hardly changes", used, unit="s"))
    rows += [Row(f"  {step}", typical.seconds[step], unit="s", peer=theirs.get(step, "")) for step in _STEPS]
    load = os.getloadavg()[0]
    tell(
        f"reduction of a frame of {size} x {size}",
        rows,
        "astroscrappy",
        notes=[
            f"one process; {os.cpu_count()} cores, load {load:.1f} at the end",
            f"beside it: {peer_versions(python, 'pyobs-core', 'ccdproc', 'sep')}; the calibrator of Calibration with "
            "masters in memory, SepSourceDetection (threshold 5) and SepPhotometry",
            "pyobs-core has no cosmic rays, no zero point and no provenance to time",
        ],
    )


def _timed(job: FrameJob) -> tuple[float, Product]:
    begin = time.perf_counter()
    product = reduce_frame(job)
    return time.perf_counter() - begin, product


def _pyobs(python: Path, job: FrameJob) -> dict[str, str]:
    """Seconds of pyobs-core's processors for the same frame."""
    paths = [
        job.raw.path or "",
        *(job.masters[kind].path or "" for kind in (FrameType.BIAS, FrameType.DARK, FrameType.FLAT)),
    ]
    script = Path(__file__).with_name("reduction_pyobs.py")
    done = subprocess.run([str(python), str(script), *paths], check=True, capture_output=True, text=True, timeout=600)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {step: f"pyobs-core {seconds:.2f} s" for step, seconds in told.items()}
