"""Power outlets, dimmers and sensors of ours as ASCOM's ISwitchV3."""

from __future__ import annotations

from typing import Any

from pytel.base.errors import PytelError
from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range, invalid_operation, invalid_value
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.switch import Switch, SwitchCapabilities, SwitchPort, SwitchState


class AlpacaSwitch(Device):
    """Switches ports, which have numbers here. Whether it has done so is known when the answer comes."""

    kind = "switch"
    type_name = "Switch"
    interface = Switch
    interface_version = 3

    async def _ports(self) -> tuple[SwitchPort, ...]:
        return (await self.site.capabilities(self.address, SwitchCapabilities)).ports

    async def _port(self, number: int) -> SwitchPort:
        ports = await self._ports()
        if not 0 <= number < len(ports):
            raise invalid_value(f"{self.address} has the switches 0 to {len(ports) - 1}, not {number}")
        return ports[number]

    async def _writable(self, number: int, what: str) -> SwitchPort:
        port = await self._port(number)
        if not port.can_write:
            raise absent(f"{what} of {port.name}")
        return port

    def _value(self, port: SwitchPort) -> float:
        value = self.site.state(self.address, SwitchState).values.get(port.name)
        if value is None:
            raise invalid_operation(f"{port.name} of {self.address} cannot be read at the moment")
        return value

    @get("MaxSwitch")
    async def max_switch(self) -> int:
        """How many."""
        return len(await self._ports())

    @get("CanWrite", Id=int)
    async def can_write(self, number: int) -> bool:
        """Whether it is more than a sensor."""
        return (await self._port(number)).can_write

    @get("GetSwitch", Id=int)
    async def get_switch(self, number: int) -> bool:
        """Whether it is on at all."""
        port = await self._port(number)
        return self._value(port) > port.minimum

    @get("GetSwitchValue", Id=int)
    async def get_switch_value(self, number: int) -> float:
        """Its value."""
        return self._value(await self._port(number))

    @get("GetSwitchName", Id=int)
    async def get_switch_name(self, number: int) -> str:
        """Its name."""
        return (await self._port(number)).name

    @get("GetSwitchDescription", Id=int)
    async def get_switch_description(self, number: int) -> str:
        """What it is."""
        port = await self._port(number)
        return port.label if port.unit == "1" else f"{port.label} ({port.unit})"

    @get("MinSwitchValue", Id=int)
    async def min_switch_value(self, number: int) -> float:
        """The least."""
        return (await self._port(number)).minimum

    @get("MaxSwitchValue", Id=int)
    async def max_switch_value(self, number: int) -> float:
        """The greatest."""
        return (await self._port(number)).maximum

    @get("SwitchStep", Id=int)
    async def switch_step(self, number: int) -> float:
        """Between two values."""
        return (await self._port(number)).step

    @put("SetSwitch", Id=int, State=bool)
    async def set_switch(self, client: Client, number: int, state: bool) -> None:
        """Switch on or off."""
        port = await self._writable(number, "SetSwitch")
        switch = self.of(client, Switch)
        await (switch.turn_on(port.name) if state else switch.turn_off(port.name))

    @put("SetSwitchValue", Id=int, Value=float)
    async def set_switch_value(self, client: Client, number: int, value: float) -> None:
        """Set a value."""
        port = await self._writable(number, "SetSwitchValue")
        in_range(value, port.minimum, port.maximum, f"the value of {port.name}")
        await self.of(client, Switch).set_port(port.name, value)

    @put("SetSwitchName", Id=int, Name=str)
    async def set_switch_name(self, client: Client, number: int, name: str) -> None:
        """Names are given in the site file."""
        await self._port(number)
        raise absent("SetSwitchName")

    # asynchronous, which none is

    @get("CanAsync", Id=int)
    async def can_async(self, number: int) -> bool:
        """None."""
        await self._port(number)
        return False

    @get("StateChangeComplete", Id=int)
    async def state_change_complete(self, number: int) -> bool:
        """Not asked of those that are not asynchronous."""
        await self._port(number)
        raise absent("StateChangeComplete")

    @put("SetAsync", Id=int, State=bool)
    async def set_async(self, client: Client, number: int, state: bool) -> None:
        """None."""
        await self._port(number)
        raise absent("SetAsync")

    @put("SetAsyncValue", Id=int, Value=float)
    async def set_async_value(self, client: Client, number: int, value: float) -> None:
        """None."""
        await self._port(number)
        raise absent("SetAsyncValue")

    @put("CancelAsync", Id=int)
    async def cancel_async(self, client: Client, number: int) -> None:
        """None."""
        await self._port(number)
        raise absent("CancelAsync")

    async def operational_values(self) -> dict[str, Any]:
        """State and value of each switch that can be read."""
        found: dict[str, Any] = {}
        try:
            for number, port in enumerate(await self._ports()):
                value = self.site.state(self.address, SwitchState).values.get(port.name)
                if value is not None:
                    found[f"GetSwitch{number}"] = value > port.minimum
                    found[f"GetSwitchValue{number}"] = value
        except PytelError:
            return {}
        return found
