"""Roof and mount under any course of commands, pauses, faults and restarts of the hardware's process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pytel.base.errors import LimitExceeded
from pytel.sky.sphere import separation
from world_kit import Lab, exact_telescope, small_world

_SPEED = 4.0 * 1.4143 + 0.01  # two axes, and the sky
_ROUNDING = 1e-7  # of Unix seconds


class Restarts(RuleBasedStateMachine):
    """The world never jumps: neither by a command nor by a restart, and in time no faster than it can."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="world-"))
        self.lab = Lab(small_world(telescope=exact_telescope()), self.directory)
        self.look()

    @initialize()
    def unpark(self) -> None:
        """Make the mount ready."""
        self.lab("mount", "unpark")

    @rule(command=st.sampled_from(["open", "close", "stop"]))
    def roof(self, command: str) -> None:
        """Command the roof."""
        self.lab("roof", command)

    @rule(alt=st.floats(5, 85), az=st.floats(0, 359))
    def slew(self, alt: float, az: float) -> None:
        """Send the mount to a place that stands still."""
        if alt < 10:
            with pytest.raises(LimitExceeded):
                self.lab("mount", "slew_altaz", alt=alt, az=az)
        else:
            self.lab("mount", "slew_altaz", alt=alt, az=az)

    @rule(alt=st.floats(15, 85), az=st.floats(0, 359))
    def follow(self, alt: float, az: float) -> None:
        """Send the mount to a star."""
        ra, dec = self.lab.overhead(alt, az)
        self.lab("mount", "slew", ra=ra, dec=dec)

    @rule(command=st.sampled_from(["stop", "park"]))
    def rest(self, command: str) -> None:
        """Stop or park, and be ready again."""
        self.lab("mount", command)
        self.look()
        self.lab("mount", "unpark")

    @rule(device=st.sampled_from(["roof", "mount"]), kind=st.sampled_from(["hang", "stuck"]), seconds=st.floats(1, 20))
    def fail(self, device: str, kind: str, seconds: float) -> None:
        """Let something fail for a while."""
        self.lab("faults", "inject", device=device, kind=kind, duration=seconds)

    @rule(seconds=st.floats(0.0, 40.0))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        roof, mount = self.fraction, self.place
        whither = self.lab.status("roof")["status"]
        self.lab.wait(seconds)
        self.look()
        assert abs(self.fraction - roof) <= seconds / 30.0 + _ROUNDING
        if whither == "opening":
            assert self.fraction >= roof - _ROUNDING
        elif whither == "closing":
            assert self.fraction <= roof + _ROUNDING
        else:
            assert self.fraction == roof
        assert separation(*mount, *self.place) <= seconds * _SPEED + 1e-6

    @rule(dead=st.floats(0.0, 30.0))
    def restart(self, dead: float) -> None:
        """Kill the process; another goes on as if it had run all the while."""
        survivor = self.lab.world
        self.lab.wait(dead)
        self.lab.restart()
        for device in ("roof", "mount", "camera", "focuser", "filters"):
            assert self.lab.status(device) == survivor.execute(device, "status")
        assert self.lab("faults", "list") == survivor.execute("faults", "list")
        self.look()

    @invariant()
    def stays(self) -> None:
        """No command moves anything at once."""
        fraction, place = self.fraction, self.place
        self.look()
        assert 0.0 <= self.fraction <= 1.0
        assert self.fraction == pytest.approx(fraction, abs=_ROUNDING)
        assert separation(*place, *self.place) < 1e-6

    def look(self) -> None:
        """Note where things are."""
        mount, roof = self.lab.status("mount"), self.lab.status("roof")
        self.place, self.fraction = (mount["ra"], mount["dec"]), roof["fraction"]
        assert (roof["fraction"], roof["status"]) not in ((0.0, "open"), (1.0, "closed"))

    def teardown(self) -> None:
        """Leave no files."""
        shutil.rmtree(self.directory)


def test_a_few_courses() -> None:
    play(courses=25, steps=20)


@pytest.mark.slow
def test_many_courses() -> None:
    play(courses=150, steps=40)


def play(courses: int, steps: int) -> None:
    wanted = settings(
        max_examples=courses,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Restarts, settings=wanted)


def test_a_slew_goes_on_while_the_world_is_dead(tmp_path: Path) -> None:
    lab = Lab(small_world(telescope=exact_telescope()), tmp_path)
    lab.open()
    lab("mount", "slew_altaz", alt=80.0, az=180.0)
    lab.wait(3.0)
    before = lab.status("mount")
    lab.restart()
    assert lab.status("mount") == before
    assert before["slewing"]
    lab.wait(60.0)
    lab.restart()
    after = lab.status("mount")
    assert (after["alt"], after["slewing"]) == (80.0, False)


def test_a_question_writes_nothing(tmp_path: Path) -> None:
    lab = Lab(small_world(telescope=exact_telescope()), tmp_path)
    lab("roof", "open")
    written = (tmp_path / "state.json").stat()
    for _ in range(5):
        lab.wait(1.0)
        for device in ("roof", "mount", "camera", "focuser", "filters", "weather", "cover"):
            lab.status(device)
        lab("faults", "list")
    now = (tmp_path / "state.json").stat()
    assert (now.st_ino, now.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
