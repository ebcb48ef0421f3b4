from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import ConfigError
from pytel.base.location import Location
from pytel.observing.greedy import SLEW, candidate
from pytel.observing.night import night_at
from pytel.observing.taskfile import DEMO_TASKS, parse_tasks, read_task_file, slug
from pytel.observing.windows import Windows

ONE = """
- name: Omega Centauri
  target: {ra: "13:26:47.3", dec: "-47:28:46"}
  exposures:
    - {filter: V, exposure_time: 2 min, count: 10}
    - {exposure_time: 30}
  constraints: {min_altitude: 40 deg, not_before: 2026-03-01T20:00:00Z}
  every_night: true
- id: zero
  name: Near the equator
  target: {name: SA 92, ra: 14.5, dec: "-0:16"}
  exposures: [{exposure_time: 60 s}]
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_tasks(text)
    faults: list[str] = caught.value.data["faults"]
    assert all(fault.startswith("tasks.yaml:") for fault in faults)
    return faults


def test_a_file_as_people_write_it() -> None:
    first, second = parse_tasks(ONE)
    assert (first.id, first.target.name) == ("omega-centauri", "Omega Centauri")
    assert first.target.ra == pytest.approx(201.6971, abs=1e-4)
    assert first.exposures[0].exposure_time == 120.0
    assert first.constraints.min_altitude == 40.0
    assert (second.id, second.target.name) == ("zero", "SA 92")
    assert second.target.dec == pytest.approx(-0.26667, abs=1e-4)


def test_every_fault_has_its_line_and_the_nearest_word() -> None:
    text = """
- name: A
  target: {ra: "25:00:00", dec: 95}
  exposure: []
- name: B
  target: {ra: 10, dec: 10}
  exposures: [{exposure_time: 5 arcsec}]
- name: B
  target: {ra: 10, dec: 10}
  exposures: [{exposure_time: 5, count: 0}]
"""
    faults = faults_of(text)
    assert len(faults) == 6
    assert any(":3:" in fault and "25:00:00" in fault for fault in faults)
    assert any(":4:" in fault and "did you mean 'exposures'?" in fault for fault in faults)
    assert any(":7:" in fault and "arcsec" in fault for fault in faults)
    assert any(":10:" in fault and "count" in fault for fault in faults)


def test_a_taken_id_names_the_line_of_the_first() -> None:
    (fault,) = faults_of(ONE + ONE.replace("zero", "other").lstrip("\n"))
    assert "taken by the task in line 2" in fault


@pytest.mark.parametrize("text", ["", "name: A", "- 5", "- [", "tasks: 3", "- {name: A, target: 3, exposures: []}"])
def test_what_is_no_list_of_tasks_is_one_sentence(text: str) -> None:
    assert faults_of(text)


@given(st.text(alphabet="-: {}[]'\"\n abcnamedtrgx0159", max_size=80))
def test_any_text_gives_tasks_or_faults(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_tasks(text), list)


@given(st.text(max_size=30))
def test_a_slug_is_an_id(name: str) -> None:
    assert slug(name) == slug(slug(name))
    assert slug(name).isascii()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_task_file(tmp_path / "none.yaml")


@pytest.mark.parametrize("month", range(1, 13))
def test_the_demo_has_something_to_do_at_any_time_of_any_night(month: int) -> None:
    place = Location(latitude=-32.38, longitude=20.81, elevation=1771.0)
    night = night_at(1767225600.0 + (month - 1) * 30.5 * 86400, place, -15.0, -18.0)
    assert night is not None
    tasks = read_task_file(DEMO_TASKS)
    windows = Windows(night.open, night.close, place)
    windows.prepare(tasks)
    moment = night.open + 60.0
    useful = [item for task in tasks if (item := candidate(task, set(), begun=False)) is not None]
    while moment < night.close - 900.0:
        ends = [windows.end_of(item.task, moment) for item in useful]
        assert any(end is not None and end > moment + SLEW + 310.0 for end in ends)
        moment += 900.0
    visible = sum(item.remaining for item in useful if windows.of(item.task))
    assert visible > 1.3 * (night.close - night.open)
