"""How near to the best focus an autofocus run ends, and whether it says so when it does not.

Starts up to 5 critical focus zones off, seeing of 0.8 to 4 arcsec that changes by 3 % from frame to frame, a passing
cloud in two runs of five. *Zone* is the critical focus zone of diffraction, 4.88 λ N² (λ = 0.55 µm): the stricter
choice, since it does not grow with the seeing as the "new critical focus zone" of Goldman and Megdal (2010) does,
0.00225 θ √τ A N² µm with a tolerance τ of 10 %; errors are told in both.

*The peer* is pyobs-core 2.19.1: sweeps of 9 equal steps over 6 zones to each side of the same starts under the same
circumstances, as its autofocus module makes them, and the very frames that pytel took; by projections and by
photometry (which reads a column that none of its detections writes: it gets the half-flux radius).
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.accuracy.focus_sky import Circumstances, FocusSky, Optics
from benchmarks.accuracy.goals import Options, Row, tell
from benchmarks.accuracy.goals import figure as drawn_figure
from benchmarks.peers.environment import peer_python
from pytel.automation.focus_run import find_focus
from pytel.imaging.focus import FocusError
from pytel.imaging.focus_frame import FocusFrame, measure_frame
from pytel.imaging.focus_search import FocusSearch, SearchSettings

FAST, SLOW = Optics(), Optics(focal_length=2400.0)
STEP_ZONES = 2.4
PEER_ZONES = 6.0
PEER_FRAMES = 9
PEER_RUNS = 20
SATURATION = 64000.0
PAUSE = 2.5
"""Frames that fit into the pause after a cloud."""
KINDS = ("projection", "photometry")
Method = Literal["hfd", "projection", "both"]


@dataclass
class Outcome:
    """Where a run ended; `position` is None when it said that it failed."""

    circumstances: Circumstances
    position: float | None = None
    uncertainty: float = 0.0
    reason: str = ""
    exposures: int = 0
    peers: dict[str, float | None] = field(default_factory=dict)

    def error(self, position: float | None) -> float:
        """Distance from the best focus in zones, NaN for a failure that was told."""
        if position is None:
            return math.nan
        return (position - self.circumstances.best) / self.circumstances.optics.zone


def run(told: Circumstances, start: float, method: Method = "hfd") -> tuple[Outcome, list[Any], list[float]]:
    """One autofocus run as the module makes it, without waiting; with the frames and their positions."""
    sky, frames, positions = FocusSky(told), list[Any](), list[float]()

    async def take(position: float) -> FocusFrame:
        pixels = sky.frame(position)
        frames.append(pixels)
        positions.append(position)
        return measure_frame(pixels, saturation=SATURATION, project=method != "hfd")

    async def wait() -> None:
        sky.pause(PAUSE)

    settings = SearchSettings(step=STEP_ZONES * told.optics.zone, low=0.0, high=50.0, method=method)
    outcome = Outcome(told)
    try:
        fit = asyncio.run(find_focus(FocusSearch(start, settings), take, wait))
        outcome.position, outcome.uncertainty = fit.position, fit.uncertainty
    except FocusError as error:
        outcome.reason = error.message
    outcome.exposures = sky.taken
    return outcome, frames, positions


def starts(number: int, optics: Optics) -> Iterator[tuple[Circumstances, float]]:
    """Circumstances of runs and where these start."""
    for seed in range(number):
        chance = np.random.default_rng([seed, round(optics.focal_length)])
        best = 25.0 + chance.uniform(-1, 1)
        clouds = [(chance.uniform(0, 10), chance.uniform(0.5, 2.5), chance.uniform(0.5, 4.0))]
        told = Circumstances(
            seed=seed,
            best=best,
            seeing=float(np.exp(chance.uniform(math.log(0.8), math.log(4.0)))),
            place=(float(chance.uniform(0, 360)), float(math.degrees(math.asin(chance.uniform(-0.9, 0.9))))),
            clouds=tuple(clouds) if chance.random() < 0.4 else (),
            optics=optics,
        )
        yield told, best + float(chance.uniform(-5, 5)) * optics.zone


def repeats(number: int, *, clouded: bool) -> Iterator[tuple[Circumstances, float]]:
    """The same field and focus at 1.5 arcsec again and again, with noise and clouds of its own."""
    for seed in range(number):
        chance = np.random.default_rng([seed, clouded])
        cloud = (float(chance.uniform(0, 8)), float(chance.uniform(0.5, 2.0)), float(chance.uniform(0.5, 4.0)))
        told = Circumstances(seed=5000 + seed, best=25.1, seeing=1.5, clouds=(cloud,) if clouded else ())
        yield told, 25.0


def overcast(number: int) -> Iterator[tuple[Circumstances, float]]:
    """Runs under clouds of 5 to 12 magnitudes all the while: only the brightest stars shine through, or none."""
    for told, start in starts(number, FAST):
        depth = 5.0 + told.seed % 8
        yield (
            Circumstances(
                seed=told.seed, best=told.best, seeing=told.seeing, place=told.place, clouds=((0, 1e4, depth),)
            ),
            start,
        )


class Peer:
    """The peer's process."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._file = folder / "frames.npy"

    def fit(self, frames: Sequence[Any], positions: Sequence[float]) -> dict[str, float | None]:
        """Best focus by both of its series."""
        np.save(self._file, np.array(frames))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"path": str(self._file), "positions": list(positions)}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, float | None] = json.loads(self._process.stdout.readline())
        return answer

    def sweep(self, told: Circumstances, start: float) -> dict[str, float | None]:
        """A run of its own under the same circumstances."""
        sky, reach = FocusSky(told), PEER_ZONES * told.optics.zone
        positions = [float(place) for place in np.linspace(start - reach, start + reach, PEER_FRAMES)]
        return self.fit([sky.frame(place) for place in positions], positions)


@contextmanager
def peer() -> Iterator[Peer]:
    """Start the peer, and end it."""
    script = Path(__file__).with_name("focus_pyobs.py")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [str(peer_python("pyobs")), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        try:
            yield Peer(process, Path(folder))
        finally:
            process.terminate()
            process.wait(30)


def measured(cases: Iterator[tuple[Circumstances, float]], other: Peer | None, method: Method = "hfd") -> list[Outcome]:
    """All runs of a population, and the peer's."""
    outcomes: list[Outcome] = []
    for told, start in cases:
        outcome, frames, positions = run(told, start, method)
        if other is not None and len(outcomes) < PEER_RUNS:
            outcome.peers = {f"{name}, own sweep": value for name, value in other.sweep(told, start).items()}
            outcome.peers |= {f"{name}, our frames": value for name, value in other.fit(frames, positions).items()}
        outcomes.append(outcome)
    return outcomes


def main(options: Options) -> None:
    """Measure and tell."""
    with peer() as other:
        from_anywhere(options, other, "fast", FAST)
        again_and_again(options, other)
        from_anywhere(options, other, "slow", SLOW)
    other_methods(options)


def from_anywhere(options: Options, other: Peer, name: str, optics: Optics) -> None:
    """Starts up to 5 zones off, in any seeing."""
    number = options.cases(100)
    outcomes = measured(starts(number, optics), other)
    tell(f"focus, {name} optics", _rows(outcomes), notes=_notes(optics, number))
    if options.plots:
        _draw(options, name, outcomes)


def again_and_again(options: Options, other: Peer) -> None:
    """Repeatability in one field, without clouds and with one in each run."""
    rows: list[Row] = []
    number = options.cases(100)
    for clouded in (False, True):
        outcomes = measured(repeats(number, clouded=clouded), other)
        rows += _repeated(outcomes, "with a cloud in each" if clouded else "clear")
    tell("focus, repeatability", rows, notes=_notes(FAST, number))


def other_methods(options: Options) -> None:
    """Projections alone and both methods in accord; what is told under an overcast sky."""
    methods: tuple[Method, ...] = ("projection", "both")
    rows: list[Row] = []
    for method in methods:
        outcomes = measured(starts(options.cases(30), FAST), None, method)
        rows += [row._replace(what=f"{method}: {row.what}") for row in _rows(outcomes)[:6]]
    outcomes = measured(overcast(options.cases(20)), None)
    errors = [abs(one.error(one.position)) for one in outcomes]
    rows.append(Row("overcast: more than a zone off, told as good", sum(error > 1 for error in errors), 0))
    rows.append(Row("overcast: no focus, told so", sum(map(math.isnan, errors))))
    tell("focus, other methods", rows, notes=_notes(FAST, options.cases(30)))


def _rows(outcomes: Sequence[Outcome]) -> list[Row]:
    ours = np.array([abs(one.error(one.position)) for one in outcomes])
    optics = outcomes[0].circumstances.optics
    seeing = np.array([optics.zone / optics.seeing_zone(one.circumstances.seeing) for one in outcomes])
    rows = [
        Row(what, figure(ours), goal, _theirs(outcomes, figure), unit=unit)
        for what, figure, goal, unit in (
            ("error, median", _median, 0.25, "zones"),
            ("error, 95 %", lambda errors: float(np.nanpercentile(errors, 95)), None, "zones"),
            ("error, largest", lambda errors: float(np.nanmax(errors)), None, "zones"),
            ("error, median, zones of the seeing", lambda errors: _median(errors * seeing[: len(errors)]), 0.25, ""),
            ("more than a zone off, told as good", lambda errors: int((errors > 1).sum()), 0, ""),
            ("no focus, told so", lambda errors: int(np.isnan(errors).sum()), None, ""),
        )
    ]
    return [
        *rows,
        Row("error, median, peer on our frames", _median(ours), None, _theirs(outcomes, _median, "our frames")),
        Row("exposures, median", statistics.median(one.exposures for one in outcomes), 9, str(PEER_FRAMES)),
        Row("exposures, most", max(one.exposures for one in outcomes), None, str(PEER_FRAMES)),
        Row("error over the uncertainty told, rms", _pulls(outcomes)),
    ]


def _median(errors: Any) -> float:
    return float(np.nanmedian(errors))


def _theirs(outcomes: Sequence[Outcome], figure: Callable[[Any], float], frames: str = "own sweep") -> str:
    """The figure of both of the peer's series."""
    if not outcomes[0].peers:
        return ""
    told = []
    for kind in KINDS:
        errors = np.array([one.error(one.peers[f"{kind}, {frames}"]) for one in outcomes if one.peers])
        told.append(f"{figure(errors if figure is _spread else np.abs(errors)):.3g}")
    return " / ".join(told)


def _spread(errors: Any) -> float:
    return float(np.nanstd(errors, ddof=1))


def _pulls(outcomes: Sequence[Outcome]) -> float:
    """1 where uncertainties are true; they include what the seeing may do, so that less is expected."""
    good = [one for one in outcomes if one.position is not None]
    zone = good[0].circumstances.optics.zone
    return math.sqrt(statistics.fmean((one.error(one.position) * zone / one.uncertainty) ** 2 for one in good))


def _repeated(outcomes: Sequence[Outcome], name: str) -> list[Row]:
    errors = np.array([one.error(one.position) for one in outcomes])

    def outliers(zones: Any) -> int:
        return int((np.abs(zones) > 0.5).sum())

    def failures(zones: Any) -> int:
        return int(np.isnan(zones).sum())

    return [
        Row(f"{name}: standard deviation", _spread(errors), 0.1, _theirs(outcomes, _spread), unit="zones"),
        Row(f"{name}: more than half a zone off", outliers(errors), 0, _theirs(outcomes, outliers)),
        Row(f"{name}: no focus, told so", failures(errors), None, _theirs(outcomes, failures)),
        Row(f"{name}: standard deviation, peer on our frames", _spread(errors), None,
            _theirs(outcomes, _spread, "our frames"), unit="zones"),
        Row(f"{name}: mean error", float(np.nanmean(errors)), unit="zones"),
        Row(f"{name}: exposures, median", statistics.median(one.exposures for one in outcomes), 9, str(PEER_FRAMES)),
    ]  # fmt: skip


def _notes(optics: Optics, number: int) -> list[str]:
    zones = ", ".join(f"{1000 * optics.seeing_zone(seeing):.0f} at {seeing}" for seeing in (0.8, 1.5, 4.0))
    return [
        f"{number} runs, f/{optics.ratio:.1f}; critical focus zone 4.88 λ N² = {1000 * optics.zone:.0f} micrometres",
        f"zone of the seeing, 0.00225 θ √10 A N²: {zones} arcsec (micrometres)",
        f"peer: pyobs-core 2.19.1, projection / photometry, on the first {PEER_RUNS} runs",
    ]


def _draw(options: Options, name: str, outcomes: Sequence[Outcome]) -> None:
    with drawn_figure(options, "focus-" + "".join(c if c.isalnum() else "-" for c in name)) as drawn:
        axes = drawn.add_subplot()
        seeing = [one.circumstances.seeing for one in outcomes]
        for kind in outcomes[0].peers:
            errors = [min(5.0, abs(one.error(one.peers[kind]))) for one in outcomes if one.peers]
            axes.plot(seeing[: len(errors)], errors, "x", ms=4, label=f"pyobs-core 2.19.1, {kind}")
        axes.plot(seeing, [abs(one.error(one.position)) for one in outcomes], "o", ms=4, label="pytel")
        axes.set(xlabel="seeing, arcsec", ylabel="error, critical focus zones", title=f"{name} optics", yscale="log")
        axes.legend()
