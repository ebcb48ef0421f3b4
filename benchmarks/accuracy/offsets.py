"""How far a frame is off its reference: errors against the truth."""

from __future__ import annotations

import math
import time

import numpy as np

from benchmarks.accuracy.frames import Simulator
from benchmarks.accuracy.goals import Options, Row, tell
from pytel.devices.simulated.world.config import TelescopeConfig, WorldConfig
from pytel.imaging.offset import OffsetError, Reference


def main(options: Options) -> None:
    """Measure and tell."""
    config = WorldConfig(telescope=TelescopeConfig(focal_length=3164.0))
    simulator, random = Simulator(config), np.random.default_rng(5)
    errors: list[float] = []
    times: list[float] = []
    lost = 0
    for case in range(options.cases(30)):
        field = simulator.field(random.uniform(0, 360), math.degrees(math.asin(random.uniform(-1, 1))))
        reference = Reference(simulator.frame(2 * case, field))
        dx, dy = random.uniform(-6, 6, 2)
        pixels = simulator.frame(2 * case + 1, field, dx=dx, dy=dy)
        begun = time.perf_counter()
        try:
            found = reference.offset_of(pixels)
        except OffsetError:
            lost += 1
            continue
        times.append((time.perf_counter() - begun) * 1000)
        errors.append(math.hypot(found.dx - dx, found.dy - dy))
    tell(
        "offsets",
        [
            Row("error, median", float(np.median(errors)), 0.01, unit="px"),
            Row("error, 95 %", float(np.percentile(errors, 95)), 0.05, unit="px"),
            Row("time, median", float(np.median(times)), 15, unit="ms"),
            Row("no offset", lost),
        ],
    )
