"""Every kind of fault on every device: it begins when it should, ends when it should, and leaves the device sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import ConnectionLost, DeviceTimeout
from pytel.devices.simulated.world.config import CoverConfig
from world_kit import Lab, exact_telescope, small_world

MOVES: dict[str, tuple[str, dict[str, Any]]] = {
    "mount": ("slew_altaz", {"alt": 40.0, "az": 180.0}),
    "camera": ("start", {"exposure_time": 20.0}),
    "focuser": ("move", {"position": 45.0}),
    "filters": ("move", {"name": "V"}),
    "roof": ("close", {}),
    "cover": ("open", {}),
}
"""A command for each device that keeps it busy for a while."""
LIES: dict[str, dict[str, Any]] = {
    "mount": {"slewing": False},
    "camera": {"phase": "ready"},
    "focuser": {"position": 45.0, "moving": False},
    "filters": {"filter": "V", "moving": False},
    "roof": {"status": "closed", "fraction": 0.0},
    "cover": {"status": "closed", "fraction": 0.0},
    "weather": {"rain_rate": 0.0, "cloud_cover": 0.0},
}
"""What a device says when it lies while it is busy."""


def at_work(directory: Path | None = None) -> Lab:
    lab = Lab(small_world(telescope=exact_telescope(), cover=CoverConfig(present=True)), directory)
    lab.open()
    return lab


def busy(lab: Lab, device: str) -> bool:
    """Tell whether a device does what its command in `MOVES` began."""
    status = lab.status(device)
    if device in ("roof", "cover"):
        return status["status"] in ("opening", "closing")
    return bool(
        {"mount": status.get("slewing"), "camera": status.get("phase") == "exposing"}.get(device, status.get("moving"))
    )


def duration(device: str) -> float:
    """How long the command keeps an undisturbed device busy."""
    lab = at_work()
    lab(device, MOVES[device][0], **MOVES[device][1])
    seconds = 0.0
    while busy(lab, device):
        lab.wait(0.25)
        seconds += 0.25
    return seconds


@pytest.mark.parametrize("device", MOVES)
def test_a_slow_device_takes_as_many_times_longer(device: str) -> None:
    usual = duration(device)
    lab = at_work()
    lab("faults", "inject", device=device, kind="slow", value=3.0)
    lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(3 * usual - 1.0)
    assert busy(lab, device)
    lab.wait(1.1)
    assert not busy(lab, device)


@pytest.mark.parametrize("device", MOVES)
def test_a_hung_device_is_busy_until_the_fault_is_over(device: str) -> None:
    usual = duration(device)
    lab = at_work()
    lab("faults", "inject", device=device, kind="hang", start=lab.now + 0.5, duration=500.0)
    lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(400.0)
    assert busy(lab, device)
    lab(device, "abort" if device == "camera" else "stop")
    assert busy(lab, device)
    lab.wait(100.5 + usual)
    assert not busy(lab, device)
    assert lab("faults", "list") == []


@pytest.mark.parametrize("device", MOVES)
def test_a_stuck_device_accepts_and_does_not_move(device: str) -> None:
    lab = at_work()
    number = lab("faults", "inject", device=device, kind="stuck")["id"]
    lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(0.5)
    assert not busy(lab, device)
    lab("faults", "clear", id=number)
    lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(0.5)
    assert busy(lab, device)


@pytest.mark.parametrize("device", sorted(LIES))
def test_a_liar_says_what_it_likes_and_only_that(device: str) -> None:
    lab = at_work()
    if device == "weather":
        lab("faults", "inject", device=device, kind="weather", value="rain")
    else:
        lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(0.5)
    honest = lab.status(device)
    number = lab("faults", "inject", device=device, kind="lie")["id"]
    assert lab.status(device) | LIES[device] == lab.status(device) != honest
    lab("faults", "clear", id=number)
    assert lab.status(device) == honest
    key = next(iter(honest))
    lab("faults", "inject", device=device, kind="lie", value={key: 77})
    assert lab.status(device) == honest | {key: 77}


@pytest.mark.parametrize("device", [*MOVES, "weather"])
@pytest.mark.parametrize(("kind", "error"), [("disconnect", ConnectionLost), ("silent", DeviceTimeout)])
def test_a_device_is_away_from_start_to_end_of_its_fault(device: str, kind: str, error: type[Exception]) -> None:
    lab = at_work()
    lab("faults", "inject", device=device, kind=kind, start=lab.now + 10.0, duration=20.0)
    lab.wait(9.9)
    lab.status(device)
    if device in MOVES:
        lab(device, MOVES[device][0], **MOVES[device][1])
    lab.wait(0.2)
    with pytest.raises(error):
        lab.status(device)
    others = [name for name in MOVES if name != device]
    for other in others:
        lab.status(other)
    lab.wait(19.8)
    with pytest.raises(error):
        lab.status(device)
    lab.wait(0.2)
    lab.status(device)
    lab.wait(60.0)  # what was begun went on behind the broken link
    assert device not in MOVES or not busy(lab, device)


def test_the_truth_of_the_roof_is_not_what_a_liar_says() -> None:
    lab = at_work()
    lab("faults", "inject", device="roof", kind="lie")
    assert lab.status("roof")["status"] == "closed"
    assert lab.world.roof_truth() == ("open", 1.0)
    lab("faults", "inject", device="roof", kind="disconnect")
    assert lab.world.roof_truth() == ("open", 1.0)


def test_clearing_one_device_spares_the_others() -> None:
    lab = at_work()
    for device in ("roof", "mount"):
        lab("faults", "inject", device=device, kind="disconnect")
    lab("faults", "clear", device="roof")
    lab.status("roof")
    with pytest.raises(ConnectionLost):
        lab.status("mount")
    lab("faults", "clear")
    lab.status("mount")


_KINDS = st.sampled_from(["hang", "stuck", "slow", "disconnect", "silent", "lie"])


@settings(max_examples=25, deadline=None)
@given(
    faults=st.lists(
        st.tuples(st.sampled_from(sorted(MOVES)), _KINDS, st.floats(0, 30), st.floats(0, 40)), min_size=1, max_size=6
    ),
    looks=st.lists(st.floats(0.1, 30.0), max_size=6),
)
def test_whatever_fails_and_whoever_looks_all_is_well_in_the_end(
    faults: list[tuple[str, str, float, float]], looks: list[float]
) -> None:
    """When the faults are over, the state does not depend on how often it was asked for in between."""
    ends = []
    for times in (looks, []):
        lab = at_work()
        for device, kind, start, length in faults:
            value = 2.0 if kind == "slow" else None
            lab("faults", "inject", device=device, kind=kind, start=lab.now + 1 + start, duration=length, value=value)
        for device, (command, params) in MOVES.items():
            lab(device, command, **params)
        over = lab.now + 1000.0
        for seconds in times:
            lab.wait(seconds)
            lab("faults", "list")
        lab.now = over
        assert lab("faults", "list") == []
        assert not any(busy(lab, device) for device in MOVES)
        ends.append({device: lab.status(device) for device in MOVES})
    assert ends[0] == ends[1]
