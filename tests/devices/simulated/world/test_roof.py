"""The simulated roof, cover, focuser and filter wheel: motion, and what a restart finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pytel.base.errors import ConfigError, DeviceError, LimitExceeded
from pytel.devices.simulated.world.config import CoverConfig
from world_kit import Lab, small_world


def test_the_roof_opens_in_its_time() -> None:
    lab = Lab(small_world())
    assert lab.status("roof") == {"status": "closed", "fraction": 0.0}
    lab("roof", "open")
    lab.wait(15.0)
    assert lab.status("roof") == {"status": "opening", "fraction": pytest.approx(0.5)}
    lab.wait(15.1)
    assert lab.status("roof") == {"status": "open", "fraction": 1.0}


def test_a_closing_roof_goes_back_from_where_it_is() -> None:
    lab = Lab(small_world())
    lab("roof", "open")
    lab.wait(12.0)
    lab("roof", "close")
    assert lab.status("roof")["status"] == "closing"
    lab.wait(12.1)
    assert lab.status("roof") == {"status": "closed", "fraction": 0.0}


def test_the_roof_goes_on_while_the_world_is_dead(tmp_path: Path) -> None:
    lab = Lab(small_world(), tmp_path)
    lab("roof", "open")
    lab.wait(10.0)
    lab.restart()
    assert lab.status("roof")["fraction"] == pytest.approx(1 / 3)
    lab.wait(60.0)
    lab.restart()
    assert lab.status("roof")["status"] == "open"


def test_a_damaged_state_is_told_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"mount": 7')
    with pytest.raises(ConfigError, match=r"state\.json"):
        Lab(small_world(), tmp_path)
    assert (tmp_path / "state.json").read_text() == '{"mount": 7'


def test_the_focuser_moves_and_keeps_its_limits() -> None:
    lab = Lab(small_world())
    lab("focuser", "move", position=30.0)
    lab.wait(1.0)
    assert lab.status("focuser") | {"temperature": 0} == {
        "position": pytest.approx(25.9),
        "moving": True,
        "temperature": 0,
    }
    lab("focuser", "stop")
    lab.wait(10.0)
    assert lab.status("focuser")["position"] == pytest.approx(25.9)
    with pytest.raises(LimitExceeded, match="50 mm"):
        lab("focuser", "move", position=51.0)


def test_the_filter_wheel_takes_the_short_way() -> None:
    lab = Lab(small_world())
    lab("filters", "move", name="I")  # from slot 0 to slot 4 of 5
    assert lab.status("filters")["filter"] is None
    lab.wait(1.01)
    assert lab.status("filters") == {"filter": "I", "moving": False, "names": ["Clear", "B", "V", "R", "I"]}
    with pytest.raises(DeviceError, match="Clear, B, V, R, I"):
        lab("filters", "move", name="U")


def test_a_cover_keeps_the_light_out_and_its_panel_shines() -> None:
    lab = Lab(small_world(cover=CoverConfig(present=True)))
    lab.open()
    assert lab.status("cover")["status"] == "closed"
    dark = lab.expose(10.0)
    lab("cover", "light", level=0.5)
    lit = lab.expose(10.0)
    assert abs(float(dark.mean()) - 500) < 5
    assert float(lit.mean()) == pytest.approx(500 + 25000 / 1.5, rel=0.1)
    with pytest.raises(DeviceError, match="no cover"):
        Lab(small_world())("cover", "close")


class RoofMachine(RuleBasedStateMachine):
    """The roof against a plain simulation step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(small_world())
        self.fraction, self.goal = 0.0, 0.0

    @rule()
    def open(self) -> None:
        """Open."""
        self.lab("roof", "open")
        self.goal = 1.0

    @rule()
    def close(self) -> None:
        """Close."""
        self.lab("roof", "close")
        self.goal = 0.0

    @rule()
    def stop(self) -> None:
        """Stop."""
        self.lab("roof", "stop")
        self.goal = self.fraction

    @rule(seconds=st.floats(0.0, 40.0))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.lab.wait(seconds)
        way = self.goal - self.fraction
        step = min(abs(way), seconds / 30.0)
        self.fraction += step if way > 0 else -step

    @invariant()
    def agrees(self) -> None:
        """The world says what the simulation says."""
        status = self.lab.status("roof")
        assert status["fraction"] == pytest.approx(self.fraction, abs=1e-6)
        if status["status"] == "closed":
            assert status["fraction"] == 0.0
        if status["status"] == "open":
            assert status["fraction"] == 1.0


RoofMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestRoof = RoofMachine.TestCase
