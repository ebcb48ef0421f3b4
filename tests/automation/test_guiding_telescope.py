"""Which moves were made on purpose, by the states of a telescope alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.guiding_sky import Shift
from pytel.automation.guiding_telescope import Pointing, TelescopeLog
from pytel.interfaces.telescope import TelescopeState, TelescopeStatus

TRACKING, SLEWING = TelescopeStatus.TRACKING, TelescopeStatus.SLEWING


def state(
    status: TelescopeStatus, target: tuple[float, float] | None = (10.0, 20.0), offset: tuple[float, float] = (0, 0)
) -> TelescopeState:
    ra, dec = target or (None, None)
    return TelescopeState(
        status=status, target_ra=ra, target_dec=dec, offset_ra=float(offset[0]), offset_dec=float(offset[1])
    )


def log(*course: tuple[float, TelescopeState]) -> TelescopeLog:
    told = TelescopeLog()
    for when, said in course:
        told.heard(when, said)
    return told


def test_a_telescope_that_tracks_is_held_on_one_target() -> None:
    told = log((0.0, state(TRACKING)))
    assert told.during(100.0, 130.0, 1.0) == Pointing(1, Shift(0, 0))
    assert told.during(-100.0, -50.0, 1.0) == Pointing(1, Shift(0, 0)), "what came before the first state is as it"


def test_an_offset_is_no_slew() -> None:
    told = log((0, state(TRACKING)), (100, state(SLEWING)), (103, state(TRACKING, offset=(5, 0))))
    assert told.present == Pointing(1, Shift(5, 0))
    assert told.during(50.0, 90.0, 1.0) == Pointing(1, Shift(0, 0))
    assert told.during(90.0, 120.0, 1.0) is None, "it moved during the frame"
    assert told.during(103.0, 130.0, 1.0) == Pointing(1, Shift(5, 0))


def test_a_dither_that_returns_is_no_slew() -> None:
    told = log(
        (0, state(TRACKING)),
        (100, state(SLEWING)),
        (103, state(TRACKING, offset=(5, 0))),
        (200, state(SLEWING, offset=(5, 0))),
        (203, state(TRACKING)),
    )
    assert told.present == Pointing(1, Shift(0, 0))


def test_a_slew_to_another_target_begins_anew() -> None:
    told = log((0, state(TRACKING)), (100, state(SLEWING, (50.0, 0.0))), (160, state(TRACKING, (50.0, 0.0))))
    assert told.present == Pointing(2, Shift(0, 0))


def test_a_slew_to_the_same_target_begins_anew() -> None:
    assert log((0, state(TRACKING)), (9, state(SLEWING)), (20, state(TRACKING))).present == Pointing(2, Shift(0, 0))


def test_a_slew_that_undoes_an_offset_begins_anew() -> None:
    told = log((0, state(TRACKING, offset=(5, 0))), (9, state(SLEWING)), (20, state(TRACKING)))
    assert told.present == Pointing(2, Shift(0, 0))


def test_parking_and_standing_still_begin_anew() -> None:
    for status in (TelescopeStatus.PARKING, TelescopeStatus.PARKED, TelescopeStatus.IDLE):
        told = log((0, state(TRACKING)), (9, state(status)))
        assert told.present is None
        told.heard(20, state(TRACKING))
        assert told.present == Pointing(2, Shift(0, 0))


def test_a_telescope_that_did_not_answer_for_a_while_is_where_it_was() -> None:
    told = log((0, state(TRACKING)), (9, TelescopeState(status=TelescopeStatus.ERROR)))
    assert told.present is None
    told.heard(20, state(TRACKING))
    assert told.present == Pointing(1, Shift(0, 0))


def test_a_state_may_come_a_little_late() -> None:
    told = log((0, state(TRACKING)), (100, state(SLEWING)), (103.6, state(TRACKING, offset=(5, 0))))
    assert told.during(103.0, 133.0, 1.0) == Pointing(1, Shift(5, 0))
    assert told.during(102.0, 132.0, 1.0) is None


def test_without_states_nothing_is_known() -> None:
    assert TelescopeLog().during(0.0, 1.0, 1.0) is None
    assert TelescopeLog().present is None


@given(
    st.lists(st.tuples(st.sampled_from(list(TelescopeStatus)), st.integers(0, 2), st.integers(0, 2)), max_size=40),
    st.floats(0, 400),
    st.floats(0.1, 100),
)
def test_whatever_is_said_slews_are_counted_upwards(
    said: list[tuple[TelescopeStatus, int, int]], start: float, length: float
) -> None:
    told = TelescopeLog()
    slews = 0
    for number, (status, target, offset) in enumerate(said):
        told.heard(number * 10.0, state(status, (float(target), 0.0), (offset, 0)))
        assert (told.present is not None) == (status is TRACKING)
        if told.present is not None:
            assert told.present.slew >= slews
            assert told.present.offset == Shift(float(offset), 0.0)
            slews = told.present.slew
    found = told.during(start, start + length, 1.0)
    assert found is None or found.slew <= slews
