"""Switches of Alpaca as the simulators have none: sensors, ports of one name, and ports that take their time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import until
from pytel.base.errors import DeviceError, DeviceTimeout, InvalidParams
from pytel.interfaces import Switch, SwitchCapabilities, SwitchState
from pytel.testing import Observatory

from .site_kit import site_of
from .stand_in import Fault, StandIn

pytestmark = pytest.mark.slow
NAMES = ("Fan", "Fan", "Supply", "Roof", "Odd")
SUPPLY, ROOF = 2, 3


class Box:
    """A box with two fans of one name, a sensor, a port that takes its time, and one that tells no limits."""

    def __init__(self, device: StandIn) -> None:
        self.values = [0.0, 0.0, 12.1, 0.0, 0.0]
        self.never, self.asked = False, 0
        self.under_way: float | None = None
        device.values |= {f"switch/{member}": answer for member, answer in self._members().items()}
        device.commands |= {"switch/setswitchvalue": self.set, "switch/setasyncvalue": self.begin}

    def _members(self) -> dict[str, Any]:
        return {
            "maxswitch": len(NAMES),
            "getswitchname": lambda given: NAMES[int(given["Id"])],
            "getswitchdescription": lambda given: f"Port {given['Id']}",
            "canwrite": lambda given: int(given["Id"]) != SUPPLY,
            "minswitchvalue": 0.0,
            "maxswitchvalue": lambda given: (1.0, 1.0, 15.0, 1.0, 0.0)[int(given["Id"])],
            "switchstep": lambda given: 0.1 if int(given["Id"]) == SUPPLY else 1.0,
            "getswitchvalue": lambda given: self.values[int(given["Id"])],
            "canasync": lambda given: int(given["Id"]) == ROOF,
            "statechangecomplete": self.is_done,
        }

    def set(self, given: Mapping[str, str]) -> None:
        self.values[int(given["Id"])] = float(given["Value"])

    def begin(self, given: Mapping[str, str]) -> None:
        self.under_way, self.asked = float(given["Value"]), 0

    def is_done(self, given: Mapping[str, str]) -> bool:
        self.asked += 1
        if self.under_way is None or self.never or self.asked < 3:
            return False
        self.values[int(given["Id"])] = self.under_way
        return True


@contextlib.asynccontextmanager
async def box(folder: Path, **config: Any) -> AsyncIterator[tuple[StandIn, Box, Observatory]]:
    async with StandIn({}) as device:
        made = Box(device)
        async with site_of(device.address, folder, "power", power={"poll_period": "1 s", **config}) as observatory:
            await until(lambda: observatory.latest(SwitchState))
            yield device, made, observatory


async def test_ports_of_one_name_are_told_apart_and_sensors_are_read(tmp_path: Path) -> None:
    async with box(tmp_path) as (_, made, observatory):
        ports = {port.name: port for port in (await observatory.capabilities_of(SwitchCapabilities)).ports}
        assert list(ports) == ["Fan 0", "Fan 1", "Supply", "Roof"], "one without limits is left out"
        assert (ports["Supply"].can_write, ports["Supply"].maximum, ports["Supply"].step) == (False, 15.0, 0.1)
        power = observatory.find(Switch)
        await power.turn_on("Fan 1")
        assert made.values[:2] == [0.0, 1.0]
        with pytest.raises(InvalidParams, match="not set"):
            await power.turn_on("Supply")
        with pytest.raises(InvalidParams, match="no port"):
            await power.turn_on("Fan")


async def test_a_port_that_cannot_be_read_is_unknown_and_the_others_are_not(tmp_path: Path) -> None:
    async with box(tmp_path) as (device, made, observatory):

        def value(given: Mapping[str, str]) -> object:
            return Fault(0x402) if int(given["Id"]) == SUPPLY else made.values[int(given["Id"])]

        device.values["switch/getswitchvalue"] = value
        await until(lambda: observatory.state(SwitchState).values["Supply"] is None)
        assert observatory.state(SwitchState).values["Fan 0"] == 0.0
        await observatory.find(Switch).turn_on("Fan 0")


async def test_a_port_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    async with box(tmp_path, answer_time="2 s") as (device, made, observatory):
        await observatory.find(Switch).turn_on("Roof")
        assert device.names() == ["switch/setasyncvalue"]
        assert made.asked >= 3
        assert observatory.state(SwitchState).values["Roof"] == 1.0
        made.never = True
        with pytest.raises(DeviceTimeout, match="set Roof"):
            await observatory.find(Switch).turn_off("Roof")


async def test_a_port_that_does_not_take_its_value_is_an_error(tmp_path: Path) -> None:
    async with box(tmp_path) as (device, _, observatory):
        device.commands["switch/setswitchvalue"] = None
        with pytest.raises(DeviceError, match="stands at 0"):
            await observatory.find(Switch).turn_on("Fan 0")
        device.commands["switch/setswitchvalue"] = Fault(0x500)
        with pytest.raises(DeviceError, match="0x500"):
            await observatory.find(Switch).turn_on("Fan 0")


async def test_made_up_names_meet_no_real_one(tmp_path: Path) -> None:
    async with StandIn({}) as device:
        Box(device)
        names = ("A", "A", "A 1", "A", "")
        device.values["switch/getswitchname"] = lambda given: names[int(given["Id"])]
        async with site_of(device.address, tmp_path, "power") as observatory:
            ports = (await observatory.capabilities_of(SwitchCapabilities)).ports
            assert len({port.name for port in ports}) == 4
