"""Offsets of frames whose true offset is known; and none of frames of something else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytel.base.errors import InvalidParams
from pytel.imaging.offset import FrameOffset, OffsetError, Reference, measure_offset

from .sky_kit import SKY, Frame, exposed, moved, scattered

SIZE = 512
PLACES, LIGHT = scattered(40, SIZE)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(exposed(SIZE, PLACES, LIGHT, seed=1, hot=150))


def off(found: FrameOffset, dx: float, dy: float) -> float:
    return math.hypot(found.dx - dx, found.dy - dy)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (3.3, -2.45), (0.02, 0.01), (-80.6, 55.2), (150.0, 3.0)])
def test_a_shift_is_found_to_a_hundredth_of_a_pixel(reference: Reference, dx: float, dy: float) -> None:
    found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, dx, dy), LIGHT, seed=2, hot=150))
    assert found.method == "stars"
    assert off(found, dx, dy) < 0.02
    assert found.rotation == pytest.approx(0, abs=0.01)
    assert off(found, dx, dy) < 5 * math.sqrt(2) * found.uncertainty
    assert found.matched >= 12


@pytest.mark.parametrize("rotation", [0.05, -2.0, 7.0, 90.0, 179.5, -180.0])
def test_a_turned_frame_is_measured_about_its_middle(reference: Reference, rotation: float) -> None:
    found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, 12.5, -7.25, rotation), LIGHT, seed=3, hot=150))
    assert off(found, 12.5, -7.25) < 0.02
    assert (found.rotation - rotation + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


def test_hot_pixels_do_not_hold_a_faint_field_in_place() -> None:
    # Many more of them than stars, and all at the same places in both frames.
    faint = LIGHT * 0.15
    reference = Reference(exposed(SIZE, PLACES, faint, seed=1, hot=600))
    found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, 4.5, 1.5), faint, seed=2, hot=600))
    assert off(found, 4.5, 1.5) < 0.1


def test_cosmic_rays_are_no_stars(reference: Reference) -> None:
    frame = exposed(SIZE, moved(PLACES, SIZE, 2.0, 1.0), LIGHT, seed=4).astype(np.int64)
    random = np.random.default_rng(5)
    for _ in range(60):
        x, y = random.integers(20, SIZE - 20, 2)
        frame[y, x : x + int(random.integers(1, 9))] += int(random.uniform(1000, 30_000))
    found = reference.offset_of(np.clip(frame, 0, 65535).astype(np.uint16))
    assert off(found, 2.0, 1.0) < 0.03


def test_clouds_that_take_half_of_the_stars_and_most_of_the_light(reference: Reference) -> None:
    left = np.where(np.arange(len(LIGHT)) % 2, LIGHT * 0.16, 0.0)
    tilted = SKY * (1 + 0.8 * np.linspace(-0.5, 0.5, SIZE)[None, :] * np.ones((SIZE, 1)))
    for shift in (3.0, 40.0):
        found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, shift, 1.0), left, seed=6, hot=150, sky=tilted))
        assert off(found, shift, 1.0) < 0.1


@pytest.mark.parametrize("width", [2.5, 5.0])
def test_a_frame_out_of_focus(reference: Reference, width: float) -> None:
    found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, -3.5, 2.5), LIGHT, seed=7, width=width, hot=150))
    assert off(found, -3.5, 2.5) < 0.1


def test_another_exposure_time(reference: Reference) -> None:
    for share in (0.1, 4.0):
        frame = exposed(SIZE, moved(PLACES, SIZE, 1.5, 2.5), LIGHT * share, seed=8, sky=SKY * share)
        assert off(reference.offset_of(frame), 1.5, 2.5) < 0.05


def test_errors_are_as_large_as_they_are_said_to_be(reference: Reference) -> None:
    random = np.random.default_rng(9)
    sigmas = []
    for seed in range(25):
        dx, dy = random.uniform(-6, 6, 2)
        found = reference.offset_of(exposed(SIZE, moved(PLACES, SIZE, dx, dy), LIGHT * 0.3, seed=100 + seed))
        sigmas += [(found.dx - dx) / found.uncertainty, (found.dy - dy) / found.uncertainty]
    assert 0.5 < float(np.std(sigmas)) < 2.0


def empty(seed: int) -> Frame:
    return exposed(SIZE, PLACES[:0], LIGHT[:0], seed=seed, hot=150)


@pytest.mark.parametrize("method", ["stars", "correlation"])
def test_frames_of_something_else_are_never_measured(reference: Reference, method: str) -> None:
    for seed in range(12):
        stars = scattered(40, SIZE, seed=1000 + seed)
        with pytest.raises(OffsetError):
            reference.offset_of(exposed(SIZE, *stars, seed=seed, hot=150), method=method)  # type: ignore[arg-type]
    with pytest.raises(OffsetError):
        reference.offset_of(empty(50), method=method)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [pytest.param(12, marks=pytest.mark.slow), pytest.param(25, marks=pytest.mark.soak)])
def test_no_pair_of_foreign_fields_is_measured(count: int) -> None:
    frames = [
        exposed(SIZE, *scattered(12 + 3 * seed, SIZE, seed=2000 + seed), seed=seed, hot=150) for seed in range(count)
    ]
    references = [Reference(frame) for frame in frames]
    measured = []
    for first in range(count):
        for second in range(first + 1, count):
            try:
                measured.append((first, second, references[first].offset_of(frames[second])))
            except OffsetError:
                continue
    assert measured == []


def test_an_offset_beyond_the_limit_is_refused(reference: Reference) -> None:
    frame = exposed(SIZE, moved(PLACES, SIZE, 30.0, 0.0), LIGHT, seed=10)
    with pytest.raises(OffsetError, match="more than 20"):
        reference.offset_of(frame, max_offset=20)
    assert reference.offset_of(frame, max_offset=40).dx == pytest.approx(30, abs=0.05)


def test_a_frame_with_nothing_in_it_is_refused(reference: Reference) -> None:
    empty = np.random.default_rng(1).normal(1000, 5, reference.shape).astype(np.uint16)
    with pytest.raises(OffsetError):
        reference.offset_of(empty)


def test_another_shape_is_refused(reference: Reference) -> None:
    with pytest.raises(InvalidParams):
        reference.offset_of(np.zeros((100, 100), dtype=np.uint16))


def test_two_frames_at_once() -> None:
    found = measure_offset(
        exposed(SIZE, PLACES, LIGHT, seed=1), exposed(SIZE, moved(PLACES, SIZE, 5.0, -4.0), LIGHT, seed=2)
    )
    assert off(found, 5.0, -4.0) < 0.02


def nebula(dx: float, dy: float, seed: int, *, sensitivity: float = 0.0, strength: float = 200.0) -> Frame:
    """A field of clouds of gas without any star, on pixels of unequal sensitivity."""
    random = np.random.default_rng(1)
    waves = random.uniform(-0.25, 0.25, (60, 2))
    phases = random.uniform(0, 2 * np.pi, 60)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    light = np.zeros((SIZE, SIZE))
    for (kx, ky), phase in zip(waves, phases, strict=True):
        light += np.cos(kx * (x - dx) + ky * (y - dy) + phase)
    sky = 3000 + strength * light / math.sqrt(30)
    sky *= 1 + sensitivity * np.random.default_rng(2).normal(0, 1, sky.shape)
    return exposed(SIZE, PLACES[:0], LIGHT[:0], seed=seed, sky=sky, hot=300)


@pytest.mark.parametrize(("dx", "dy"), [(0.7, -0.4), (5.25, 9.5), (-41.3, 17.8)])
def test_a_field_without_stars_is_correlated(dx: float, dy: float) -> None:
    reference = Reference(nebula(0, 0, 1, sensitivity=0.02))
    found = reference.offset_of(nebula(dx, dy, 2, sensitivity=0.02), method="correlation")
    assert found.method == "correlation"
    assert found.matched == 0
    assert off(found, dx, dy) < 0.05
    assert off(found, dx, dy) < 5 * math.sqrt(2) * found.uncertainty


def test_the_pixels_own_pattern_is_no_offset() -> None:
    # Nothing but unequal sensitivity, bad columns and hot pixels, the same in both frames.
    frames = [nebula(0, 0, seed, sensitivity=0.02, strength=0.0) for seed in (1, 2)]
    for frame in frames:
        frame[:, 100] //= 3
    with pytest.raises(OffsetError):
        Reference(frames[0]).offset_of(frames[1], method="correlation")


def test_stars_are_correlated_too(reference: Reference) -> None:
    frame = exposed(SIZE, moved(PLACES, SIZE, 21.4, -3.3), LIGHT * 0.5, seed=11, hot=150)
    assert off(reference.offset_of(frame, method="correlation"), 21.4, -3.3) < 0.03
