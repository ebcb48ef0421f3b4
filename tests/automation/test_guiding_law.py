"""What is believed of measured offsets, and what is done about them: in numbers alone, without frames."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.guiding_law import CorrectionLog, GuideLaw, Verdict
from pytel.automation.guiding_predictors import Experience
from pytel.automation.guiding_sky import NOWHERE, Orientation, Shift, header_orientation, oriented

EXPOSURE, READOUT = 30.0, 3.0
Mount = Callable[[float], Shift]


class Loop:
    """A mount that errs by itself, frames of it with some noise, and corrections one read-out after each frame."""

    def __init__(
        self,
        mount: Mount,
        *,
        noise: float = 0.02,
        gain: float = 0.7,
        seed: int = 1,
        experience: Experience | None = None,
    ) -> None:
        self.mount, self.noise = mount, noise
        self.chance = random.Random(seed)
        self.law = GuideLaw(gain, EXPOSURE / 2, experience)
        self.start = EXPOSURE + READOUT
        self.zero = self.mean(0.0)
        self.errors: list[Shift] = []
        self.verdicts: list[Verdict] = []

    def mean(self, start: float) -> Shift:
        total = NOWHERE
        for step in range(10):
            total = total.plus(self.mount(start + (step + 0.5) * EXPOSURE / 10))
        return total.times(0.1)

    def frame(self, spoiled: Shift = NOWHERE) -> Verdict:
        start, end = self.start, self.start + EXPOSURE
        error = self.mean(start).minus(self.zero).plus(self.law.corrections.mean(start, end))
        self.errors.append(error)
        noise = Shift(self.chance.gauss(0, self.noise), self.chance.gauss(0, self.noise))
        verdict = self.law.measured(start, end, error.plus(noise).plus(spoiled), self.noise)
        self.verdicts.append(verdict)
        if verdict is not Verdict.SUSPECT:
            begins = end + READOUT
            self.law.corrected(begins, self.law.wanted(begins + EXPOSURE / 2))
        self.start = end + READOUT
        return verdict

    def frames(self, count: int) -> None:
        for _ in range(count):
            self.frame()

    def rms(self, last: int) -> float:
        return math.sqrt(sum(error.length**2 for error in self.errors[-last:]) / last)


def test_a_mount_that_stands_is_left_in_peace() -> None:
    loop = Loop(lambda when: NOWHERE)
    loop.frames(60)
    assert loop.rms(30) < 0.03
    assert set(loop.verdicts) == {Verdict.GOOD}


def test_a_drift_is_learned_and_foreseen() -> None:
    loop = Loop(lambda when: Shift(0.004 * when, -0.002 * when))
    loop.frames(40)
    assert loop.law.rate.ra == pytest.approx(0.004, abs=0.0005)
    assert loop.law.rate.dec == pytest.approx(-0.002, abs=0.0005)
    assert loop.rms(20) < 0.04


def test_a_worm_is_foreseen_once_it_has_turned_twice() -> None:
    loop = Loop(lambda when: Shift(1.5 * math.sin(2 * math.pi * when / 480), 0.0))
    loop.frames(60)
    before = math.sqrt(sum(error.length**2 for error in loop.errors[3:12]) / 9)
    assert loop.rms(20) < 0.1
    assert loop.rms(20) < before / 3


def test_a_worm_that_was_found_is_foreseen_sooner_on_the_next_target() -> None:
    """Its period is that of the mount; where it stands is found anew."""
    first = Loop(lambda when: Shift(1.5 * math.sin(2 * math.pi * when / 480), 0.0))
    first.frames(60)
    taught = first.law.experience
    assert taught.frequency == pytest.approx(1 / 480, rel=0.01)
    mount: Mount = lambda when: Shift(1.5 * math.sin(2 * math.pi * when / 480 + 2.0), 0.0)  # noqa: E731
    novice, expert = Loop(mount), Loop(mount, experience=taught)
    for loop in (novice, expert):
        loop.frames(15)
    assert expert.rms(4) < 0.5 * novice.rms(4)


def test_a_mount_without_a_worm_teaches_none() -> None:
    loop = Loop(lambda when: Shift(0.002 * when, 0.0))
    loop.frames(60)
    assert loop.law.experience.frequency is None


def test_a_single_outlier_is_not_followed() -> None:
    loop = Loop(lambda when: NOWHERE)
    loop.frames(12)
    assert loop.frame(Shift(4.0, -2.0)) is Verdict.SUSPECT
    loop.frames(5)
    assert loop.verdicts[-5:] == [Verdict.GOOD] * 5
    assert max(error.length for error in loop.errors[10:]) < 0.1


def test_outliers_that_go_this_way_and_that_are_not_followed() -> None:
    loop = Loop(lambda when: NOWHERE)
    loop.frames(12)
    for spoiled in (Shift(4.0, 0.0), Shift(-3.0, 0.0), Shift(0.0, 5.0)):
        assert loop.frame(spoiled) is Verdict.SUSPECT
    assert loop.frame() is Verdict.GOOD


@pytest.mark.parametrize("into", [0.0, 10.0, 25.0])
def test_a_jump_is_followed_when_the_next_frame_confirms_it(into: float) -> None:
    """Also one in the middle of a frame, which shows a part of it only."""
    jump = 13 * (EXPOSURE + READOUT) + into
    loop = Loop(lambda when: Shift(3.0, 0.0) if when >= jump else NOWHERE)
    loop.frames(20)
    assert Verdict.JUMP in loop.verdicts
    assert loop.verdicts.count(Verdict.SUSPECT) <= 2
    assert loop.rms(4) < 0.1


def test_a_field_that_was_lost_is_believed_wherever_it_is_found_again() -> None:
    law = GuideLaw(0.7, 15.0)
    for number in range(1, 10):
        law.measured(number * 33.0, number * 33.0 + 30.0, NOWHERE, 0.02)
    assert law.measured(4000.0, 4030.0, Shift(12.0, 5.0), 0.02, found_again=True) is Verdict.JUMP
    assert law.wanted(4050.0).plus(Shift(12.0, 5.0)).length < 0.2


def test_corrections_count_for_the_part_of_a_frame_in_which_they_were_in_force() -> None:
    log = CorrectionLog()
    log.add(100.0, Shift(2.0, 0.0))
    log.add(110.0, Shift(0.0, 4.0))
    assert log.mean(80.0, 100.0) == NOWHERE
    assert log.mean(90.0, 110.0) == Shift(1.0, 0.0)
    assert log.mean(105.0, 115.0) == pytest.approx(Shift(2.0, 2.0))
    assert log.mean(200.0, 210.0) == pytest.approx(Shift(2.0, 4.0))


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-5, 5)), max_size=30), st.floats(0, 900), st.floats(0.1, 100))
def test_the_mean_of_corrections_is_that_of_a_step_function(
    steps: list[tuple[float, float]], start: float, length: float
) -> None:
    log = CorrectionLog()
    for when, size in sorted(steps):
        log.add(when, Shift(size, 0.0))
    expected = sum(size * min(1.0, max(0.0, (start + length - when) / length)) for when, size in steps)
    assert log.mean(start, start + length).ra == pytest.approx(expected, abs=1e-6)


@given(
    st.lists(st.one_of(st.none(), st.tuples(st.floats(-30, 30), st.floats(-30, 30))), min_size=1, max_size=60),
    st.floats(0.05, 1.0),
)
def test_whatever_is_measured_the_law_asks_for_finite_corrections(
    offsets: list[tuple[float, float] | None], gain: float
) -> None:
    law = GuideLaw(gain, 15.0)
    for number, offset in enumerate(offsets, 1):
        start = number * 33.0
        if offset is not None:
            law.measured(start, start + 30.0, Shift(*offset), 0.05)
        wanted = law.wanted(start + 45.0)
        assert math.isfinite(wanted.length)
        law.corrected(start + 33.0, wanted)


@given(st.floats(0.1, 5.0), st.floats(0, 360), st.booleans(), st.floats(-20, 20), st.floats(-20, 20))
def test_an_orientation_keeps_angles_and_lengths(
    scale: float, angle: float, flipped: bool, dx: float, dy: float
) -> None:
    found = oriented(scale, angle, flipped)
    assert found.scale == pytest.approx(scale)
    assert found.sky(dx, dy).length == pytest.approx(scale * math.hypot(dx, dy), abs=1e-9)
    up = found.sky(0.0, 1.0)
    assert math.degrees(math.atan2(up.ra, up.dec)) % 360 == pytest.approx(angle % 360, abs=1e-6) or angle % 360 < 1e-6
    assert found.turned_from(found) == pytest.approx(0.0, abs=1e-6)
    assert found.turned_from(oriented(scale, angle, not flipped)) == 180.0
    assert found.turned_from(oriented(scale, angle + 90.0, flipped)) == pytest.approx(90.0)


def test_the_orientation_of_a_header_is_that_of_its_wcs() -> None:
    from pytel.imaging.wcs import wcs_cards

    for angle, flipped in ((0.0, False), (30.0, False), (200.0, True)):
        cards = wcs_cards(10.0, 20.0, pixel_scale=0.8, rotation=angle, reference_pixel=(1, 1), flipped=flipped)
        found = header_orientation({keyword: card.value for keyword, card in cards.items()})
        assert found is not None
        assert tuple(found) == pytest.approx(tuple(oriented(0.8, angle, flipped)))
    assert header_orientation({"CD1_1": 1.0}) is None
    assert header_orientation({"CD1_1": 0.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0}) is None
    assert header_orientation({"CD1_1": math.nan, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.0}) is None
    assert Orientation(-1, 0, 0, 1).sky(1, 0) == Shift(-1, 0)
