"""Switches and power outlets (ASCOM ISwitch, INDI power)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.module import Capabilities, Event, Interface, Role, State, Struct, rpc

PortValue = Annotated[float, Meta(description="dimensionless, or in the unit that the port's description names")]
"""A port's value: 0 or 1 for an outlet, a level or a reading in the port's own unit otherwise."""


class SwitchPort(Struct, frozen=True, kw_only=True):
    """One port of a switch: an outlet (0 or 1 in steps of 1), a dimmer or a sensor that `can_write` not."""

    name: str
    label: str
    can_write: bool = True
    minimum: PortValue = 0.0
    maximum: PortValue = 1.0
    step: PortValue = 1.0
    unit: str = "1"

    @property
    def is_boolean(self) -> bool:
        """Tell whether the port knows only on and off."""
        return (self.minimum, self.maximum, self.step) == (0.0, 1.0, 1.0)


class SwitchState(State, frozen=True, kw_only=True):
    """The value of each port by name; None where it cannot be read."""

    values: dict[str, PortValue | None]


class SwitchCapabilities(Capabilities, frozen=True, kw_only=True):
    """The ports, in the order of the device."""

    ports: tuple[SwitchPort, ...]


class SwitchChanged(Event, frozen=True, kw_only=True):
    """A port was switched; `origin` says by whom."""

    port: str
    value: PortValue
    origin: str


class Switch(Interface, state=SwitchState, events=(SwitchChanged,), capabilities=SwitchCapabilities):
    """Switches power outlets and reads what hangs on them."""

    @rpc(role=Role.OPERATOR, exclusive="ports", queues=True)
    async def set_port(self, port: str, value: PortValue) -> None:
        """Set a port. Raises `InvalidParams` for a name that is not there, `LimitExceeded`, `DeviceError`."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR, exclusive="ports", queues=True)
    async def turn_on(self, port: str) -> None:
        """Set a port to its maximum. Raises as `set_port` does."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR, exclusive="ports", queues=True)
    async def turn_off(self, port: str) -> None:
        """Set a port to its minimum. Raises as `set_port` does."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OPERATOR, exclusive="ports", queues=True)
    async def power_cycle(self, port: str) -> None:
        """Switch a port off, wait as configured, and on again. Raises as `set_port` does."""
        raise NotImplementedError
