"""Frames, references and the way on the sky, with fields of a few stars and no bus."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytel.automation.guiding_correction import correct_by_port
from pytel.automation.guiding_field import Frame, OrientationUnknown, make_field
from pytel.automation.guiding_session import GuidingSession, Outcome, coasts
from pytel.automation.guiding_sky import NOWHERE, HeaderValue, Orientation, Shift, oriented
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities
from pytel.services import Module
from pytel.sky.catalogue import cone
from pytel.testing import alone, on_virtual_clock, stub

SCALE = 0.8
NORTH_UP = oriented(SCALE, 0.0, False)
SIZE = 256


def pixels(dx: float = 0.0, dy: float = 0.0, *, stars: int = 25, size: int = SIZE, seed: int = 3) -> Any:
    places = np.random.default_rng(3).uniform(20, SIZE - 20, (stars, 2)) * size / SIZE
    y, x = np.mgrid[0:size, 0:size]
    frame = np.random.default_rng(seed).normal(1000.0, 5.0, (size, size))
    for number, (x0, y0) in enumerate(places):
        frame += (3000 + 300 * number) * np.exp(-((x - x0 - dx) ** 2 + (y - y0 - dy) ** 2) / (2 * 1.5**2))
    return frame.clip(0, 65535).astype(np.uint16)


def header(orientation: Orientation | None = NORTH_UP, **cards: HeaderValue) -> dict[str, HeaderValue]:
    told: dict[str, HeaderValue] = {"XBINNING": 1, "INSTRUME": "camera", **cards}
    if orientation is not None:
        names = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
        told |= {name: value / 3600 for name, value in zip(names, orientation, strict=True)}
    return told


class Night:
    """Frames of 30 s, one after the other."""

    def __init__(self, **options: Any) -> None:
        self.session = GuidingSession(1, 15.0, gain=0.7, max_offset=30.0, **options)
        self.number = 0

    def frame(
        self, dx: float = 0.0, dy: float = 0.0, *, offset: Shift = NOWHERE, told: Any = None, content: Any = None
    ) -> Outcome:
        start = self.number * 33.0
        self.number += 1
        image = pixels(dx, dy, seed=self.number) if content is None else content
        return self.session.look(Frame(f"frame-{self.number}", image, told or header(), start, start + 30.0, offset))

    @property
    def measured(self) -> Shift:
        assert self.session.last is not None
        return self.session.last[1].offset


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (NORTH_UP, Shift(2.4, -1.6)),  # east is left: what goes right shows a telescope that goes east
        (oriented(SCALE, 0.0, True), Shift(-2.4, -1.6)),
        (oriented(SCALE, 180.0, False), Shift(-2.4, 1.6)),
        (oriented(SCALE, 90.0, False), Shift(-1.6, -2.4)),
    ],
)
def test_the_stars_go_one_way_when_the_telescope_goes_the_other(orientation: Orientation, expected: Shift) -> None:
    night = Night()
    assert night.frame(told=header(orientation)) is Outcome.REFERENCE
    night.session.law.measured(33.0, 63.0, expected)  # so that it is no surprise
    assert night.frame(3.0, 2.0, told=header(orientation)) in (Outcome.MEASURED, Outcome.DOUBTED)
    night.frame(3.0, 2.0, told=header(orientation))
    assert night.measured == pytest.approx(expected, abs=0.1)
    assert night.session.correction(150.0).along(expected) < 0


def test_an_offset_shifts_the_place_where_the_field_is_expected() -> None:
    night = Night()
    night.frame()
    night.frame(12.5, 0.0, offset=Shift(10.0, 0.0))
    assert night.measured.length < 0.1
    assert night.session.statistics.frames == 1


def test_a_dither_that_leaves_the_field_takes_another_reference_and_comes_back_to_the_first() -> None:
    night = Night()
    night.frame()
    far = Shift(100.0, 0.0)
    assert night.frame(offset=far, content=pixels(stars=20)) is Outcome.REFERENCE
    assert night.session.reference == "frame-2"
    assert night.frame() is Outcome.MEASURED
    assert night.session.reference == "frame-1"


def test_frames_read_in_another_way_get_a_reference_of_their_own() -> None:
    night = Night()
    night.frame()
    small = header(oriented(2 * SCALE, 0.0, False), XBINNING=2)
    assert night.frame(told=small, content=pixels(size=128)) is Outcome.REFERENCE
    assert night.frame() is Outcome.MEASURED
    assert night.frame(told=small, content=pixels(size=128, seed=9)) is Outcome.MEASURED
    assert night.frame(told=header(INSTRUME="other")) is Outcome.REFERENCE


def test_a_field_that_is_not_there_is_lost_and_found_again() -> None:
    night = Night()
    for _ in range(4):
        night.frame()
    empty = np.random.default_rng(1).normal(1000, 5, (SIZE, SIZE)).astype(np.uint16)
    course = [(night.frame(content=empty), night.session.is_lost, night.session.has_just_lost) for _ in range(3)]
    missed = Outcome.NOT_FOUND
    assert course == [(missed, False, False), (missed, True, True), (missed, True, False)]
    assert night.session.reason
    assert night.frame(8.0, 0.0) is Outcome.MEASURED
    assert night.measured == pytest.approx(Shift(6.4, 0.0), abs=0.1)
    assert night.session.correction(300.0) == pytest.approx(Shift(-6.4, 0.0), abs=0.3)
    assert night.session.statistics.rejected == 3


def test_a_field_beyond_the_limit_is_not_followed() -> None:
    night = Night()
    night.frame()
    assert night.frame(40.0, 0.0) is Outcome.NOT_FOUND
    assert night.session.correction(100.0) == NOWHERE


def test_a_reference_that_no_frame_fits_is_replaced() -> None:
    night = Night()
    empty = np.random.default_rng(1).normal(1000, 5, (SIZE, SIZE)).astype(np.uint16)
    night.frame(content=empty)
    assert [night.frame() for _ in range(4)] == [
        *(Outcome.NOT_FOUND, Outcome.NOT_FOUND),
        *(Outcome.REFERENCE, Outcome.MEASURED),
    ]


def test_without_any_word_about_the_way_on_the_sky_nothing_is_guided() -> None:
    with pytest.raises(OrientationUnknown, match="pixel_scale"):
        Night().frame(told=header(None))
    night = Night(fallback=NORTH_UP)
    night.frame(told=header(None))
    night.frame(1.0, 0.0, told=header(None))
    assert night.measured == pytest.approx(Shift(0.8, 0.0), abs=0.1)


@pytest.mark.slow
def test_where_the_stars_are_not_recognised_the_header_is_believed() -> None:
    frame = Frame("frame", pixels(), header(RA=10.0, DEC=20.0), 0.0, 30.0, NOWHERE)
    assert make_field(frame, None, NOWHERE, stars=cone).orientation == pytest.approx(NORTH_UP)


def test_what_was_learned_is_followed_for_a_while() -> None:
    assert not coasts(None, 10.0, 300.0)
    assert coasts(100.0, 400.0, 300.0)
    assert not coasts(100.0, 401.0, 300.0)


@on_virtual_clock()
async def test_a_guide_port_gives_pulses_on_both_axes() -> None:
    able = GuidePortCapabilities(rate_ra=7.5, rate_dec=5.0, max_pulse=2.0)
    async with alone(Module, stubs=[stub(GuidePort, capabilities=able)]) as (module, bus):
        await correct_by_port(module, Shift(-3.0, 2.5))
        await correct_by_port(module, Shift(60.0, 0.0))
    pulses = [(call.arguments["direction"], call.arguments["duration"]) for call in bus.calls]
    assert sorted(pulses[:2]) == [(GuideDirection.NORTH, 0.5), (GuideDirection.WEST, 0.4)]
    assert pulses[2:] == [(GuideDirection.EAST, 2.0)], "a pulse has a limit; the rest is for the next correction"
