"""Plate solving with a hint: is every field solved, and no false one? Beside seiza on the same sources and stars."""

from __future__ import annotations

import importlib.util
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.accuracy.frames import Simulator
from benchmarks.accuracy.goals import Options, Row, figure, tell
from pytel.devices.simulated.world.config import TelescopeConfig, WorldConfig
from pytel.imaging.solving import FieldHint, NotSolved, solve_field
from pytel.imaging.sources import SourceList, find_sources
from pytel.sky.catalogue import cone
from pytel.sky.sphere import offset_by, separation

OFF = 0.5
"""Degrees by which the hint is off at most."""
SCALE_ERROR = 0.03
GOOD = 1.0
"""Arcseconds within which a solution is right."""


@dataclass(frozen=True)
class Case:
    """A frame's sources, where it is, and where it is thought to be."""

    sources: SourceList
    ra: float
    dec: float
    hint: FieldHint


@dataclass
class Solved:
    """What a solver made of them."""

    errors: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    right: int = 0

    @property
    def wrong(self) -> int:
        """Solutions that are none."""
        return len(self.errors) - self.right

    def note(self, place: tuple[float, float] | None, case: Case, milliseconds: float) -> None:
        """Take down a solution."""
        self.milliseconds.append(milliseconds)
        if place is not None:
            self.errors.append(float(separation(*place, case.ra, case.dec)) * 3600)
            self.right += self.errors[-1] < GOOD

    def __str__(self) -> str:
        times = f"{np.median(self.milliseconds):.1f} ms (95 %: {np.percentile(self.milliseconds, 95):.1f})"
        return f"{self.right} right, {self.wrong} wrong, {times}"


def main(options: Options) -> None:
    """Measure and tell."""
    drawn = {size: _fields(options, size) for size in (20, 60)}
    if options.plots:
        with figure(options, "solving", figsize=(8, 4)) as picture:
            left, right = picture.subplots(1, 2)
            for size, solved in drawn.items():
                share = np.linspace(0, 1, len(solved.errors))
                left.plot(np.sort(solved.errors), share, label=f"{size} arcmin")
                right.plot(np.sort(solved.milliseconds), np.linspace(0, 1, len(solved.milliseconds)))
            left.set(xscale="log", xlabel="error of the middle (arcsec)", ylabel="share of fields")
            right.set(xscale="log", xlabel="time after extraction (ms)")
            left.legend()


def _simulator(size: int) -> Simulator:
    focal_length = 206.264806 * 9 / (size * 60 / 2048)
    return Simulator(
        WorldConfig(telescope=TelescopeConfig(focal_length=focal_length), star_limit=17.5 if size < 40 else 16.0),
        exact=False,
    )


def _cases(simulator: Simulator, random: np.random.Generator, number: int) -> list[Case]:
    cases = []
    for count in range(number):
        ra, dec = random.uniform(0, 360), math.degrees(math.asin(random.uniform(-1, 1)))
        stars = simulator.field(ra, dec, position_angle=random.uniform(0, 360), flipped=bool(random.integers(2)))
        sources = find_sources(simulator.frame(count, stars, fwhm=random.uniform(1.5, 3.5)))
        away = random.uniform(0, OFF), random.uniform(0, 2 * math.pi)
        there = offset_by(ra, dec, away[0] * 3600 * math.sin(away[1]), away[0] * 3600 * math.cos(away[1]))
        scale = simulator.config.pixel_scale * random.uniform(1 - SCALE_ERROR, 1 + SCALE_ERROR)
        cases.append(Case(sources, ra, dec, FieldHint(there[0], there[1], radius=OFF * 1.05, scale=scale)))
    return cases


def _fields(options: Options, size: int) -> Solved:
    simulator, random = _simulator(size), np.random.default_rng(7)
    cases = _cases(simulator, random, options.cases(200))
    ours, theirs = Solved(), Solved()
    for case in cases:
        place, taken = _ours(case.sources, case.hint, simulator)
        ours.note(place, case, taken)
        if importlib.util.find_spec("seiza"):
            place, taken = _seiza(case, simulator)
            theirs.note(place, case, taken)
    foreign, empty = _false(options, simulator, random, cases)
    tell(
        f"plate solving of {size} arcmin",
        [
            Row(f"of {len(cases)} fields solved", ours.right, len(cases), f"seiza {theirs}", least=True),
            Row("solved wrongly", ours.wrong, 0),
            Row("time after extraction, median", float(np.median(ours.milliseconds)), 50, unit="ms"),
            Row("time after extraction, 95 %", float(np.percentile(ours.milliseconds, 95)), unit="ms"),
            Row("error of the middle, median", float(np.median(ours.errors)), unit="arcsec"),
            Row("error of the middle, greatest", max(ours.errors), 1.0, unit="arcsec"),
            Row(f"of {foreign[1]} foreign fields solved", foreign[0], 0),
            Row(f"of {empty[1]} fields of random dots solved", empty[0], 0),
            Row("time for a field without a solution, median", foreign[2], unit="ms"),
        ],
        *(["seiza"] if theirs.milliseconds else []),
        notes=[
            "fields anywhere on the sky, 2048 x 2048 pixels, 30 s, FWHM 1.5 to 3.5 arcsec, any turn, either parity;",
            f"hint off by up to {OFF * 60:g} arcmin and {SCALE_ERROR:.0%} in scale; {_sources(cases)} sources;",
            "catalogue and frames share one sky, so errors are those of places and fit; times are the processor's",
        ],
    )
    return ours


def _sources(cases: list[Case]) -> int:
    return int(np.median([len(case.sources) for case in cases]))


def _ours(sources: SourceList, hint: FieldHint, simulator: Simulator) -> tuple[tuple[float, float] | None, float]:
    begun = time.process_time()  # that of the processor: others may be busy
    try:
        found = solve_field(sources, simulator.shape, hint)
    except NotSolved:
        return None, (time.process_time() - begun) * 1000
    return (found.ra, found.dec), (time.process_time() - begun) * 1000


def _seiza(case: Case, simulator: Simulator) -> tuple[tuple[float, float] | None, float]:
    """The peer, with the look into the same catalogue within its time as within ours."""
    import seiza

    begun = time.process_time()
    stars = cone(case.hint.ra, case.hint.dec, case.hint.radius + simulator.diagonal, 14.5)
    columns_of = stars.ra.tolist(), stars.dec.tolist(), stars.mag.tolist()
    known = seiza.StarCatalog.from_stars(list(zip(*columns_of, strict=True)))
    bright = case.sources.select(slice(0, 200))
    seen = list(zip(bright.x.tolist(), bright.y.tolist(), bright.flux.tolist(), strict=True))
    rows, columns = simulator.shape
    place: Any = None
    try:
        found = seiza.solve(
            seen, known, columns, rows, ra=case.hint.ra, dec=case.hint.dec, scale_arcsec_px=case.hint.scale,
            radius_deg=case.hint.radius, scale_tolerance=1.5 * SCALE_ERROR,
        )  # fmt: skip
        place = tuple(found.wcs.pixel_to_world((columns - 1) / 2, (rows - 1) / 2))
    except seiza.SolveError:
        pass
    return place, (time.process_time() - begun) * 1000


def _false(
    options: Options, simulator: Simulator, random: np.random.Generator, cases: list[Case]
) -> tuple[tuple[int, int, float], tuple[int, int]]:
    """How often a frame is solved where it is not, and how often dots are, and the time that takes."""
    solved, times, number = 0, [], options.cases(300)
    for count in range(number):
        case, other = cases[count % len(cases)], cases[(count * 7 + 3) % len(cases)]
        hint = other.hint if other is not case else FieldHint((case.ra + 120) % 360, -case.dec, 0.5, case.hint.scale)
        place, taken = _ours(case.sources, hint, simulator)
        solved += place is not None
        times.append(taken)
    dots = 0
    for _ in range(number):
        sources = _dots(simulator, random, int(random.integers(0, 150)))
        dots += _ours(sources, cases[int(random.integers(len(cases)))].hint, simulator)[0] is not None
    return (solved, number, float(np.median(times))), (dots, number)


def _dots(simulator: Simulator, random: np.random.Generator, number: int) -> SourceList:
    x, y = random.uniform(0, simulator.shape[1], number), random.uniform(0, simulator.shape[0], number)
    flux = np.sort(random.pareto(1.0, number))[::-1] + 1
    same = np.full(number, 3.0)
    return SourceList(x, y, flux, flux, same, same, np.zeros(number), np.zeros(number, dtype=np.int64))
