"""Plate solving with a hint: is every field solved, and no false one?"""

from __future__ import annotations

import math
import time

import numpy as np

from benchmarks.accuracy.frames import Simulator
from benchmarks.accuracy.goals import Options, Row, tell
from pytel.devices.simulated.world.config import TelescopeConfig, WorldConfig
from pytel.imaging.solving import FieldHint, NotSolved, solve_field
from pytel.imaging.sources import find_sources
from pytel.sky.sphere import separation


def main(options: Options) -> None:
    """Measure and tell."""
    for size in (20, 60):
        _fields(options, size)


def _fields(options: Options, size: int) -> None:
    config = WorldConfig(telescope=TelescopeConfig(focal_length=206.264806 * 9 / (size * 60 / 2048)), star_limit=17.0)
    simulator, random = Simulator(config), np.random.default_rng(7)
    solved, times, errors, number = 0, [], [], options.cases(200)
    for case in range(number):
        ra, dec = random.uniform(0, 360), math.degrees(math.asin(random.uniform(-1, 1)))
        field = simulator.field(ra, dec, position_angle=random.uniform(0, 360), flipped=bool(random.integers(2)))
        sources = find_sources(simulator.frame(case, field, fwhm=2.2))
        hint = FieldHint(ra, dec, radius=0.5, scale=config.pixel_scale * random.uniform(0.97, 1.03))
        begun = time.perf_counter()
        try:
            solution = solve_field(sources, simulator.shape, hint)
        except NotSolved:
            continue
        times.append((time.perf_counter() - begun) * 1000)
        errors.append(separation(solution.ra, solution.dec, ra, dec) * 3600)
        solved += errors[-1] < 1
    rows = [
        Row(f"fields of {size} arcmin solved", solved, number, least=True),
        Row("time, median", float(np.median(times)), 50, unit="ms"),
        Row("error, median", float(np.median(errors)), unit="arcsec"),
    ]
    tell(f"plate solving {size} arcmin", rows)
