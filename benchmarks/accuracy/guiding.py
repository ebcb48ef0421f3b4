"""How well guiding holds a telescope, on rendered frames of a mount that drifts, has a worm, and jumps.

The loop is closed: each frame is drawn where mount and corrections so far have put it, the code of the modules
(`GuidingSession`) measures and corrects, one read-out later, when the next exposure has already begun. The seeing moves
each frame as a whole by a random amount besides blurring it: rms 0.35 arcsec in one axis at 0.3 s for 1.5 arcsec on a
telescope of 30 cm, going down with the root of the exposure time (Martin 1987, PASP 99, 1360).

*The floor.* Two things no guider can take away. The first is the noise of one measurement, m: photons, read noise and
the motion of the image by the seeing put the measured place of a frame off the mount's true one, and whoever corrects
by it puts that into the mount. Averaging could do better only for a mount that does nothing by itself. m is measured
here, on as many frames with the mount held still. The second is the motion within one frame, w: a correction for what
a frame shows can only be made after it. For an error e(t) that a frame of length T starting at s averages to E(s),
w² = <(e(t) - E(s))²> over all t and s; for a drift r it is (r T)² / 12. It is computed from the mount's error without
a guider (which corrects between frames only, so the true floor of one that foresees the mount is lower). The floor is
sqrt(m² + w²), per axis and both axes added in squares.

*The residual* is that of the mount: its true error minus corrections at each moment of an exposure, about the mean (the
reference is itself measured with noise: a constant displacement), both axes added in squares. It is told for the time
after the mount's ways have been seen: drift for five frames, a worm for one and a half turns; and after a jump from
the third frame that shows it on (the first is doubted, the second confirms it, and is followed while the third is
exposed). The residual of the whole run, these times included, stands beside it without a goal.

*The peer* is pyobs-core 2.19.1: its ProjectedOffsets measures the frames of its own closed loop on the same mount, and
the whole offset is applied when it is over 0.5 and under 30 arcsec, as its BaseGuiding with ApplyRaDecOffsets does.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.frames import Simulator
from benchmarks.accuracy.goals import Options, Row, figure, tell
from benchmarks.peers.environment import peer_python
from pytel.automation.guiding_field import Frame
from pytel.automation.guiding_session import GuidingSession, Outcome
from pytel.automation.guiding_sky import NOWHERE, Shift
from pytel.devices.simulated.world.config import CameraConfig, WorldConfig
from pytel.imaging.offset import Reference

GOAL = 1.2
SIZE = 768
SEEING = 1.5
READOUT = 3.0
LATENCY = 0.3
PERIOD = 480.0
_STEPS = 24
_DOUBTED = 3
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A mount: drift in arcsec per hour, amplitude of the worm and size of a jump in arcsec; and the exposures."""

    name: str
    exposure_time: float
    feed_forward: float
    hours: float
    drift: float = 0.0
    worm: float = 0.0
    jump: float = 0.0

    @property
    def jumps_at(self) -> float:
        """Seconds from the start."""
        return 0.62 * self.hours * 3600

    @property
    def learned_at(self) -> float:
        """When its ways have been seen."""
        return 1.5 * PERIOD if self.worm else 5 * (self.exposure_time + READOUT)

    def error(self, when: Values) -> Values:
        """The mount's error without a guider: columns for right ascension and declination."""
        drift = self.drift * when / 3600
        jumped = np.where(when >= self.jumps_at, self.jump, 0.0)
        ra = 0.8 * drift + self.worm * np.sin(2 * math.pi * when / PERIOD + 1.0) + 0.8 * jumped
        return np.stack([ra, 0.6 * drift + 0.6 * jumped], axis=1)


class Guider(Protocol):
    """What closes the loop."""

    def look(self, pixels: NDArray[np.uint16], start: float, end: float) -> None:
        """Measure a frame."""

    def correction(self, when: float, *, between: bool) -> Shift:
        """What to add to the mount now; `between`: at the time of a correction between frames."""


class Ours:
    """The code of the modules."""

    def __init__(self, case: Case, scale: float) -> None:
        self._case = case
        degrees = scale / 3600
        self._header = {"CD1_1": -degrees, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": degrees}
        self._session = GuidingSession(1, case.exposure_time / 2, gain=0.7, max_offset=30.0)
        self._fresh = False

    def look(self, pixels: NDArray[np.uint16], start: float, end: float) -> None:
        """Measure a frame."""
        outcome = self._session.look(Frame("frame", pixels, self._header, start, end, NOWHERE))
        self._fresh = outcome is Outcome.MEASURED

    def correction(self, when: float, *, between: bool) -> Shift:
        """As `BaseGuider` does."""
        case, session = self._case, self._session
        if not (session.foresees if between else self._fresh):
            return NOWHERE
        self._fresh = False
        ahead = (case.feed_forward or case.exposure_time + READOUT) / 2
        wanted = session.correction(when + ahead)
        if wanted.length < 0.02:
            return NOWHERE
        session.corrected(when, wanted)
        return wanted


class Still:
    """No guider: its frames tell the noise of a measurement."""

    def __init__(self, scale: float) -> None:
        self.seen: list[Shift] = []
        self._scale = scale
        self._reference: Reference | None = None

    def look(self, pixels: NDArray[np.uint16], start: float, end: float) -> None:
        """Keep what was measured."""
        if self._reference is None:
            self._reference = Reference(pixels)
            return
        found = self._reference.offset_of(pixels)
        self.seen.append(Shift(found.dx * self._scale, -found.dy * self._scale))

    def correction(self, when: float, *, between: bool) -> Shift:
        """None."""
        return NOWHERE


class Peer:
    """pyobs-core."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, scale: float) -> None:
        self._process, self._file, self._scale = process, folder / "frame.npy", scale
        self._wanted = NOWHERE
        self._ask("reset")

    def _ask(self, order: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def look(self, pixels: NDArray[np.uint16], start: float, end: float) -> None:
        """Have it measured."""
        np.save(self._file, pixels)
        answer = self._ask(str(self._file))
        self._wanted = NOWHERE
        if answer not in ("", "none"):
            dx, dy = map(float, answer.split())
            found = Shift(-dx * self._scale, dy * self._scale)
            self._wanted = found if 0.5 <= found.length <= 30.0 else NOWHERE

    def correction(self, when: float, *, between: bool) -> Shift:
        """The whole offset, once."""
        if between:
            return NOWHERE
        wanted, self._wanted = self._wanted, NOWHERE
        return wanted


class Run:
    """One night's course: where the mount was, moment by moment of each exposure."""

    def __init__(self, case: Case, simulator: Simulator, guider: Guider, seed: int) -> None:
        self.case, self._simulator, self._guider = case, simulator, guider
        self._field = simulator.field(83.0, 20.0)
        self._chance = np.random.default_rng(seed)
        self._motion = 0.35 * SEEING / 1.5 * math.sqrt(0.3 / case.exposure_time)
        self.starts: list[float] = []
        self.errors: list[Values] = []
        self._total = np.zeros(2)

    def observe(self) -> Run:
        """All exposures, one after the other."""
        start, number, ready = 0.0, 0, math.inf
        while start < self.case.hours * 3600:
            number += 1
            end = start + self.case.exposure_time
            errors = self._expose(start, end, ready)
            self.starts.append(start)
            self.errors.append(errors)
            self._guider.look(self._frame(number, errors), start, end)
            start = end + READOUT
            ready = start + LATENCY
        return self

    def _expose(self, start: float, end: float, ready: float) -> Values:
        """The error at each step; corrections are made when they are ready, and at equal pauses after."""
        case = self.case
        times = start + (np.arange(_STEPS) + 0.5) * case.exposure_time / _STEPS
        free = case.error(times)
        orders = [(ready, False)]
        if case.feed_forward:
            orders += [(ready + i * case.feed_forward, True) for i in range(1, math.ceil(end / case.feed_forward) + 1)]
        errors = np.empty_like(free)
        for index, when in enumerate(times):
            while orders and orders[0][0] <= when:
                ordered, between = orders.pop(0)
                self._total = self._total + np.array(self._guider.correction(ordered, between=between))
            errors[index] = free[index] + self._total
        return errors

    def _frame(self, number: int, errors: Values) -> NDArray[np.uint16]:
        """East is left: the stars go right when the telescope goes east, and down when it goes north."""
        scale = self._simulator.config.pixel_scale
        moved = errors.mean(axis=0) + self._chance.normal(0.0, self._motion, 2)
        fwhm = math.hypot(SEEING, 2.3548 * float(errors.std(axis=0).max()))
        return self._simulator.frame(
            number,
            self._field,
            exposure_time=self.case.exposure_time,
            fwhm=fwhm,
            dx=moved[0] / scale,
            dy=-moved[1] / scale,
        )

    def residual(self, *, settled: bool) -> float:
        """Rms about the mean, both axes; with `settled` without the times of learning (see above)."""
        starts, errors = np.array(self.starts), np.array(self.errors)
        if settled:
            cycle = self.case.exposure_time + READOUT
            shown = (starts > self.case.jumps_at - self.case.exposure_time) & (
                starts < self.case.jumps_at + (_DOUBTED - 1) * cycle
            )
            errors = errors[(starts >= self.case.learned_at) & ~(shown & (self.case.jump > 0))]
        about = errors - errors.mean(axis=(0, 1))
        return float(np.sqrt((about**2).sum(axis=2).mean()))

    def within(self) -> float:
        """Rms motion within one frame of the mount without a guider (w above); the moment of a jump left out."""
        squares = []
        for start in self.starts:
            times = start + (np.arange(_STEPS) + 0.5) * self.case.exposure_time / _STEPS
            if times[0] <= self.case.jumps_at <= times[-1]:
                continue
            free = self.case.error(times)
            squares.append(((free - free.mean(axis=0)) ** 2).sum(axis=1).mean())
        return math.sqrt(float(np.mean(squares)))


def main(options: Options) -> None:
    """Measure and tell."""
    rows: list[Row] = []
    simulator = Simulator(WorldConfig(camera=CameraConfig(width=SIZE, height=SIZE)))
    scale = simulator.config.pixel_scale
    with _peer_process() as (process, folder):
        for kind, exposure_time, feed_forward, hours in (("guide camera", 4.0, 0.0, 0.9), ("science", 30.0, 15.0, 2.0)):
            hours = hours / 2 if options.quick else hours
            noise = _noise(simulator, exposure_time)
            for name, mount in (
                ("drift", {"drift": 20.0}),
                ("periodic error", {"drift": 3.0, "worm": 1.0}),
                ("3-arcsec jump", {"drift": 3.0, "jump": 3.0}),
                ("all of these", {"drift": 20.0, "worm": 1.0, "jump": 3.0}),
            ):
                case = Case(f"{kind} {exposure_time:g} s, {name}", exposure_time, feed_forward, hours, **mount)
                ours = Run(case, simulator, Ours(case, scale), 1).observe()
                peer = Run(case, simulator, Peer(process, folder, scale), 1).observe()
                floor = math.hypot(noise, ours.within())
                rows += _rows(case, ours, peer, floor)
                if options.plots:
                    _draw(options, case, ours, peer)
    tell("guiding", rows, notes=[f"{SIZE} x {SIZE} frames, {scale:.2f} arcsec/px, seeing {SEEING} arcsec"])


def _rows(case: Case, ours: Run, peer: Run, floor: float) -> Iterator[Row]:
    settled, theirs = ours.residual(settled=True), peer.residual(settled=True)
    yield Row(f"{case.name}: residual / floor", settled / floor, GOAL, f"{theirs / floor:.3g}")
    yield Row("  residual rms", settled, None, f"{theirs:.3g}", unit="arcsec")
    yield Row("  floor", floor, unit="arcsec")
    yield Row("  whole run", ours.residual(settled=False), None, f"{peer.residual(settled=False):.3g}", unit="arcsec")


def _noise(simulator: Simulator, exposure_time: float) -> float:
    """The noise of one measurement (m above), both axes."""
    case = Case("still", exposure_time, 0.0, 80 * (exposure_time + READOUT) / 3600)
    still = Still(simulator.config.pixel_scale)
    Run(case, simulator, still, 2).observe()
    return float(np.sqrt(np.array(still.seen).var(axis=0).sum()))


@contextmanager
def _peer_process() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    python = peer_python("pyobs")
    script = Path(__file__).with_name("guiding_pyobs.py")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        try:
            yield process, Path(folder)
        finally:
            process.terminate()
            process.wait(30)


def _draw(options: Options, case: Case, ours: Run, peer: Run) -> None:
    name = "guiding-" + "".join(c if c.isalnum() else "-" for c in case.name)
    with figure(options, name) as drawn:
        axes = drawn.add_subplot()
        for label, run in (("pyobs-core 2.19.1", peer), ("pytel", ours)):
            minutes = np.array(run.starts) / 60
            axes.plot(minutes, np.array(run.errors).mean(axis=1)[:, 0], label=label, lw=1)
        axes.set(xlabel="minutes", ylabel="right ascension, arcsec", title=case.name)
        axes.legend()
