"""Each kind of fault, on the devices where it matters; and what remains when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytel.base.errors import ConnectionLost, DeviceTimeout, InvalidParams, NotFound
from world_kit import Lab, exact_telescope, small_world

DEVICES = ("mount", "camera", "focuser", "filters", "roof", "cover", "weather")


@pytest.fixture
def lab() -> Lab:
    """An observatory at work."""
    made = Lab(small_world(telescope=exact_telescope()))
    made.open()
    return made


def inject(lab: Lab, device: str, kind: str, **params: Any) -> int:
    number = lab("faults", "inject", device=device, kind=kind, **params)["id"]
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("kind", "error"), [("disconnect", ConnectionLost), ("silent", DeviceTimeout)])
def test_a_lost_device_is_named_by_every_command(lab: Lab, device: str, kind: str, error: type[Exception]) -> None:
    inject(lab, device, kind, duration=60.0)
    for command in ("status", "stop"):
        with pytest.raises(error, match=device) as caught:
            lab(device, command)
        assert caught.value.data["device"] == device  # type: ignore[attr-defined]
    lab.wait(60.0)
    lab.status(device)


def test_a_hung_camera_exposes_for_ever_and_hears_no_abort(lab: Lab) -> None:
    lab("camera", "start", exposure_time=30.0)
    lab.wait(10.0)
    fault = inject(lab, "camera", "hang")
    lab.wait(1000.0)
    lab("camera", "abort")
    status = lab.status("camera")
    assert (status["phase"], status["elapsed"]) == ("exposing", pytest.approx(10.0))
    lab("faults", "clear", id=fault)
    lab.wait(20.1)
    assert lab.status("camera")["phase"] == "reading"


def test_a_hung_roof_stands_and_says_it_moves(lab: Lab) -> None:
    lab("roof", "close")
    lab.wait(15.0)
    inject(lab, "roof", "hang", duration=100.0)
    lab.wait(99.0)
    assert lab.status("roof") == {"status": "closing", "fraction": pytest.approx(0.5)}
    lab.wait(17.0)
    assert lab.status("roof")["status"] == "closed"


def test_a_slow_roof_takes_longer(lab: Lab) -> None:
    inject(lab, "roof", "slow", value=4.0)
    lab("roof", "close")
    lab.wait(60.0)
    assert lab.status("roof")["fraction"] == pytest.approx(0.5)
    lab("faults", "clear")
    lab.wait(15.1)
    assert lab.status("roof")["status"] == "closed"


def test_two_faults_of_one_device_add_up_and_end_by_themselves(lab: Lab) -> None:
    inject(lab, "roof", "slow", value=2.0, duration=40.0)
    inject(lab, "roof", "hang", start=lab.now + 10.0, duration=10.0)
    lab("roof", "close")
    lab.wait(40.0)  # 10 s slow, 10 s not at all, 20 s slow
    assert lab.status("roof")["fraction"] == pytest.approx(0.5)
    assert lab("faults", "list") == []


def test_a_roof_sticks_half_way(lab: Lab) -> None:
    fault = inject(lab, "roof", "stuck", value=0.4)
    lab("roof", "close")
    lab.wait(100.0)
    assert lab.status("roof") == {"status": "stopped", "fraction": pytest.approx(0.4)}
    lab("roof", "close")
    lab.wait(100.0)
    assert lab.status("roof")["fraction"] == pytest.approx(0.4)
    lab("faults", "clear", id=fault)
    lab("roof", "close")
    lab.wait(20.0)
    assert lab.status("roof")["status"] == "closed"


def test_a_roof_that_gets_stuck_under_way_stops_at_its_place(lab: Lab) -> None:
    inject(lab, "roof", "stuck", start=lab.now + 6.0)
    lab("roof", "close")
    lab.wait(300.0)
    assert lab.status("roof") == {"status": "stopped", "fraction": pytest.approx(0.8)}


def test_a_stuck_mount_accepts_and_stays(lab: Lab) -> None:
    inject(lab, "mount", "stuck")
    before = lab.status("mount")
    lab("mount", "slew", ra=(before["ra"] + 10.0) % 360, dec=before["dec"])
    lab.wait(100.0)
    after = lab.status("mount")
    assert (after["alt"], after["az"]) == pytest.approx((before["alt"], before["az"]))
    assert not after["tracking"]


@pytest.mark.parametrize(("device", "params"), [("focuser", {"position": 40.0}), ("filters", {"name": "R"})])
def test_what_is_stuck_does_not_move(lab: Lab, device: str, params: dict[str, Any]) -> None:
    inject(lab, device, "stuck")
    before = lab.status(device)
    lab(device, "move", **params)
    lab.wait(60.0)
    assert lab.status(device) | {"temperature": 0} == before | {"temperature": 0}


def test_lies(lab: Lab) -> None:
    inject(lab, "roof", "lie")
    assert lab.status("roof") == {"status": "closed", "fraction": 0.0}
    inject(lab, "mount", "lie")
    inject(lab, "mount", "hang")
    target = (lab.status("mount")["ra"] + 5.0) % 360
    lab("mount", "slew", ra=target, dec=40.0)
    assert lab.status("mount") | {"ra": target, "dec": 40.0, "slewing": False} == lab.status("mount")
    inject(lab, "weather", "weather", value="rain")
    assert lab.status("weather")["rain_rate"] > 0
    fault = inject(lab, "weather", "lie")
    assert lab.status("weather")["rain_rate"] == 0
    lab("faults", "clear", id=fault)
    inject(lab, "weather", "lie", value={"rain_rate": 1.5})
    assert lab.status("weather")["rain_rate"] == 1.5


@pytest.mark.parametrize(
    ("value", "quantity", "least"),
    [
        ("rain", "rain_rate", 1),
        ("wind", "wind_speed", 20),
        ("clouds", "cloud_cover", 1),
        ({"humidity": 99}, "humidity", 99),
    ],
)
def test_bad_weather_comes_and_goes(lab: Lab, value: Any, quantity: str, least: float) -> None:
    inject(lab, "weather", "weather", value=value, start=lab.now + 50.0, duration=100.0)
    assert lab.status("weather")[quantity] < least
    lab.wait(60.0)
    assert lab.status("weather")[quantity] >= least
    lab.wait(100.0)
    assert lab.status("weather")[quantity] < least


def test_a_hung_weather_station_repeats_its_last_reading(lab: Lab) -> None:
    inject(lab, "weather", "hang")
    before = lab.status("weather")
    lab.wait(600.0)
    assert lab.status("weather") == before


def test_faults_outlive_the_world(tmp_path: Path) -> None:
    lab = Lab(small_world(), tmp_path)
    inject(lab, "roof", "stuck", value=0.5, start=lab.now + 5.0)
    lab("roof", "open")
    lab.wait(2.0)
    lab.restart()
    lab.wait(100.0)
    lab.restart()
    assert lab.status("roof") == {"status": "stopped", "fraction": pytest.approx(0.5)}
    assert [fault["kind"] for fault in lab("faults", "list")] == ["stuck"]


def test_a_fault_to_come_can_be_called_off(lab: Lab) -> None:
    fault = inject(lab, "roof", "stuck", start=lab.now + 100.0)
    lab("faults", "clear", id=fault)
    assert lab("faults", "list") == []
    with pytest.raises(NotFound):
        lab("faults", "clear", id=fault)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"device": "oven", "kind": "hang"}, "oven"),
        ({"device": "roof", "kind": "melt"}, "melt"),
        ({"device": "roof", "kind": "slow", "value": 0}, "factor"),
        ({"device": "roof", "kind": "stuck", "value": 2}, "fraction"),
        ({"device": "roof", "kind": "lie", "value": 2}, "mapping"),
        ({"device": "roof", "kind": "weather"}, "weather"),
        ({"device": "weather", "kind": "weather", "value": {"snow": 1}}, "snow"),
        ({"device": "weather", "kind": "weather", "value": "locusts"}, "rain, wind"),
        ({"device": "roof", "kind": "hang", "duration": -1}, "duration|>= 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(lab: Lab, params: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidParams, match=told):
        lab("faults", "inject", **params)
    assert lab("faults", "list") == []
