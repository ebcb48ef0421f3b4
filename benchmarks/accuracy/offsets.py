"""How far a frame is off its reference: errors against the truth, beside pyobs-core on the same frames."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.frames import Field, Frame, Simulator
from benchmarks.accuracy.goals import Options, Row, figure, tell
from benchmarks.accuracy.peers import Peer, peer
from pytel.devices.simulated.world.config import TelescopeConfig, WorldConfig
from pytel.imaging.offset import Method, OffsetError, Reference

CONFIG = WorldConfig(telescope=TelescopeConfig(focal_length=3164.0), star_limit=18.0)
EXPOSURE = 30.0
FWHM = 2.0
FAINTEST = 10.0
SAMPLE = f"2048 x 2048 pixels of {CONFIG.pixel_scale:.2f} arcsec, {EXPOSURE:g} s, FWHM {FWHM:g} arcsec"


@dataclass
class Errors:
    """What came out of a population of frames."""

    pixels: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    lost: int = 0

    def __str__(self) -> str:
        if not self.pixels:
            return f"none of {self.lost}"
        low, high = np.percentile(self.pixels, (50, 95))
        lost = f", {self.lost} lost" if self.lost else ""
        return f"{low:.4f} / {high:.4f} px, {np.median(self.milliseconds):.1f} ms{lost}"

    def note(self, offset: tuple[float, float] | None, truth: tuple[float, float], milliseconds: float) -> None:
        """Take down a result."""
        if offset is None:
            self.lost += 1
            return
        self.pixels.append(math.hypot(offset[0] - truth[0], offset[1] - truth[1]))
        self.milliseconds.append(milliseconds)


@dataclass(frozen=True)
class Scene:
    """A field with its reference frame."""

    field: Field
    pixels: Frame
    reference: Reference


def main(options: Options) -> None:
    """Measure and tell."""
    simulator, random = Simulator(CONFIG), np.random.default_rng(5)
    _sparse(options, simulator, random)
    scenes = [_scene(simulator, _anywhere(simulator, random), number) for number in range(options.cases(25))]
    _conditions(simulator, random, scenes[:12])
    _foreign(options, scenes)


def _anywhere(simulator: Simulator, random: np.random.Generator) -> Field:
    return simulator.field(random.uniform(0, 360), math.degrees(math.asin(random.uniform(-1, 1))))


def _scene(simulator: Simulator, stars: Field, number: int) -> Scene:
    pixels = simulator.frame(100_000 + number, stars, exposure_time=EXPOSURE, fwhm=FWHM)
    return Scene(stars, pixels, Reference(pixels))


def _sparse(options: Options, simulator: Simulator, random: np.random.Generator) -> None:
    """Fields of 12 to 60 stars, off by up to 6 pixels as under a guider."""
    ours, theirs = Errors(), {"ProjectedOffsets": Errors(), "BrightestStarGuiding": Errors()}
    limits: list[float] = []
    shares: list[float] = []
    counts: list[int] = []
    ratios: list[float] = []
    with peer("offsets_pyobs.py") as pyobs:
        for case in range(options.cases(200)):
            stars = _some(simulator, random)
            scene = _scene(simulator, stars, case)
            truth = (float(random.uniform(-6, 6)), float(random.uniform(-6, 6)))
            pixels = simulator.frame(case, stars, exposure_time=EXPOSURE, fwhm=FWHM, dx=truth[0], dy=truth[1])
            limits.append(math.sqrt(2) * simulator.photon_limit(stars, exposure_time=EXPOSURE, fwhm=FWHM))
            counts.append(len(stars.x))
            ratios.append(float(np.median(simulator.signal_to_noise(stars, exposure_time=EXPOSURE, fwhm=FWHM))))
            offset, taken = _ours(scene.reference, pixels)
            ours.note(offset, truth, taken)
            if offset:
                shares.append(ours.pixels[-1] / (1.1774 * limits[-1]))
            _theirs(pyobs, scene.pixels, pixels, truth, theirs)
        versions = pyobs.versions
    # Both axes together: the median of a Rayleigh distribution.
    limit = float(np.median(limits)) * 1.1774
    told = {name: str(errors) for name, errors in theirs.items()}
    median, most = np.percentile(ours.pixels, (50, 95))
    tell(
        "offsets",
        [
            Row("error, median", float(median), 0.01, f"ProjectedOffsets {told['ProjectedOffsets']}", unit="px"),
            Row("error, 95 %", float(most), 0.05, f"BrightestStarGuiding {told['BrightestStarGuiding']}", unit="px"),
            Row("error, greatest", max(ours.pixels), unit="px"),
            Row("what photons and read noise allow, median", limit, unit="px"),
            Row("error over that, median of the frames", float(np.median(shares))),
            Row("time for a frame, median", float(np.median(ours.milliseconds)), 15, unit="ms"),
            Row("frames without an offset", ours.lost, 0),
        ],
        notes=[
            f"{len(counts)} fields anywhere on the sky, {SAMPLE}, {min(counts)} to {max(counts)} stars with a "
            f"signal-to-noise ratio above {FAINTEST:g} (median of a field's median: {np.median(ratios):.0f}),",
            "both frames with noise of their own, 400 hot pixels, bad columns and cosmic rays; off by up to 6 px",
            f"peer: {versions}; figures are median / 95 % and the time; all times are the processor's",
        ],
    )
    if options.plots:
        _draw(options, ours, theirs, limits)


def _some(simulator: Simulator, random: np.random.Generator) -> Field:
    """Some of a field's stars: as few as 12, with natural magnitudes."""
    while True:
        stars = _anywhere(simulator, random)
        inside = (np.abs(stars.x - simulator.middle[0]) < 990) & (np.abs(stars.y - simulator.middle[1]) < 990)
        ratio = simulator.signal_to_noise(stars, exposure_time=EXPOSURE, fwhm=FWHM)
        seen = np.flatnonzero(inside & (ratio > FAINTEST))
        wanted = int(random.integers(12, 61))
        if len(seen) >= wanted:
            return stars.select(np.sort(random.choice(seen, wanted, replace=False)))


def _ours(
    reference: Reference, pixels: Frame, method: Method | None = None
) -> tuple[tuple[float, float] | None, float]:
    begun = time.process_time()
    try:
        found = reference.offset_of(pixels, method=method)
    except OffsetError:
        return None, (time.process_time() - begun) * 1000
    return (found.dx, found.dy), (time.process_time() - begun) * 1000


def _theirs(
    pyobs: Peer, reference: Frame, pixels: Frame, truth: tuple[float, float], errors: dict[str, Errors]
) -> None:
    for name, answer in pyobs.ask(reference, pixels).items():
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']}")
        errors[name].note(answer["offset"], truth, answer["ms"])


def _conditions(simulator: Simulator, random: np.random.Generator, scenes: list[Scene]) -> None:
    """The same fields with all their stars, under worse skies."""

    def half(scene: Scene) -> NDArray[np.float64]:
        return np.where(random.random(len(scene.field.x)) < 0.5, 0.4, 0.0)

    cases: list[tuple[str, float, float, dict[str, Any], Method | None, float | None]] = [
        ("as the reference", 6, 0, {}, None, 0.01),
        ("up to 300 px off", 300, 0, {}, None, 0.01),
        ("turned by up to 3 degrees", 100, 3, {}, None, 0.01),
        ("behind the meridian: turned by 180", 100, 180, {}, None, 0.01),
        ("clouds: 2 mag fainter", 6, 0, {"transparency": 0.16}, None, 0.02),
        ("clouds: half of the stars gone, the others 1 mag fainter", 100, 0, {"transparency": half}, None, 0.02),
        ("moon: a sky 70 times as bright, with a gradient", 6, 0, {"sky": 30.0, "gradient": (0.8, 0.5)}, None, 0.02),
        ("3 s instead of 30 s", 6, 0, {"exposure_time": 3.0}, None, 0.02),
        ("120 s instead of 30 s", 6, 0, {"exposure_time": 120.0}, None, 0.01),
        ("seeing 4 instead of 2 arcsec", 6, 0, {"fwhm": 4.0}, None, 0.02),
        ("defocused to 10 arcsec", 100, 0, {"fwhm": 10.0}, None, 0.05),
        ("by correlation", 6, 0, {}, "correlation", 0.02),
        ("by correlation, up to 100 px off, 2 mag fainter", 100, 0, {"transparency": 0.16}, "correlation", 0.05),
    ]
    rows = []
    for number, (name, most, turn, circumstances, method, goal) in enumerate(cases):
        errors = Errors()
        for place, scene in enumerate(scenes):
            settings = {key: value(scene) if callable(value) else value for key, value in circumstances.items()}
            truth = (float(random.uniform(-most, most)), float(random.uniform(-most, most)))
            rotation = turn + random.uniform(-1, 1) if turn == 180 else random.uniform(-turn, turn)
            pixels = simulator.frame(
                1000 * number + place, scene.field, dx=truth[0], dy=truth[1], rotation=rotation,
                **{"exposure_time": EXPOSURE, "fwhm": FWHM, **settings},
            )  # fmt: skip
            offset, taken = _ours(scene.reference, pixels, method)
            errors.note(offset, truth, taken)
        rows.append(Row(name, float(np.median(errors.pixels or [math.inf])), goal, f"{errors}", unit="px"))
    tell(
        "offsets under conditions",
        rows,
        notes=[
            f"{len(scenes)} fields anywhere on the sky, {SAMPLE}, all their stars; in the last column not a peer, but",
            "the median / 95 % of the errors, the median time, and how many frames gave no offset",
        ],
    )


def _foreign(options: Options, scenes: list[Scene]) -> None:
    """Frames of other fields, with the same hot pixels and bad columns."""
    pairs = [(a, b) for step in range(1, len(scenes)) for a, b in zip(scenes, scenes[step:], strict=False)]
    rows = []
    cases: list[tuple[Method, int]] = [("stars", options.cases(300)), ("correlation", options.cases(100))]
    for method, number in cases:
        chosen = pairs[:number]
        told = sum(_ours(first.reference, second.pixels, method)[0] is not None for first, second in chosen)
        rows.append(Row(f"of {len(chosen)} pairs measured by {method}", told, 0))
    tell("offsets of foreign fields", rows)


def _draw(options: Options, ours: Errors, theirs: dict[str, Errors], limits: list[float]) -> None:
    with figure(options, "offsets", figsize=(8, 4.5)) as drawn:
        axes = drawn.subplots()
        known = {"pytel": ours.pixels, **{f"pyobs-core {name}": errors.pixels for name, errors in theirs.items()}}
        for name, values in known.items():
            axes.plot(np.sort(values), np.linspace(0, 1, len(values)), label=name)
        bound = np.sort(np.array(limits) * 1.1774)
        axes.plot(bound, np.linspace(0, 1, len(bound)), "k:", label="photon limit (its median)")
        axes.axvline(0.01, color="0.7", lw=0.8)
        axes.axvline(0.05, color="0.7", lw=0.8)
        axes.set(xscale="log", xlabel="error of the offset (pixels)", ylabel="share of frames", title=SAMPLE)
        axes.legend()
