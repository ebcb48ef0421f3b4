"""The base of every switch: ports by name, limits, steps and state."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

from pytel.base import clock
from pytel.base.errors import DeviceError, InvalidParams, PytelError
from pytel.base.units import Duration, Seconds
from pytel.interfaces.switch import PortValue, Switch, SwitchCapabilities, SwitchChanged, SwitchPort, SwitchState
from pytel.module import Capabilities, limit, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.services.module import Module
from pytel.services.timing import answered


class BaseSwitch(Module, Switch, ABC):
    """What all switches share; a driver writes the hooks, each of which talks to the device and returns."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Patience, and how long a power cycle is off."""

        off_time: Duration = 5.0
        """Between off and on of a power cycle."""
        answer_time: Duration = 5.0
        poll_period: Duration = 10.0

    config: Config
    _told: SwitchState | None = None

    # hooks

    @abstractmethod
    def ports(self) -> tuple[SwitchPort, ...]:
        """What was found at the connect, in the order of the device."""

    @abstractmethod
    async def read_values(self) -> Mapping[str, PortValue | None]:
        """Ask for the value of each port by name; None where it cannot be read."""

    @abstractmethod
    async def write_port(self, port: SwitchPort, value: PortValue) -> None:
        """Set a port."""

    # state

    async def on_start(self) -> None:
        """Reach the device once before serving."""
        await self._look()

    def capabilities(self) -> list[Capabilities]:
        """Tell the ports."""
        return [SwitchCapabilities(ports=self.ports())]

    @every("poll_period")
    async def poll(self) -> None:
        """Read the device."""
        try:
            await self._look()
        except PytelError:
            self._tell(dict.fromkeys((port.name for port in self.ports()), None))
            raise

    async def _look(self) -> Mapping[str, PortValue | None]:
        values = await answered(self.read_values(), self.config.answer_time, str(self.address), "tell its values")
        self.clear_alarm("poll")
        self._tell(values)
        return values

    def _tell(self, values: Mapping[str, PortValue | None]) -> None:
        self._told = SwitchState(values=dict(values))
        self.publish(self._told)

    # calls

    async def set_port(self, port: str, value: PortValue) -> None:
        """Set a port, and see that it has the value."""
        await self._set(self._writable(port), value)

    async def turn_on(self, port: str) -> None:
        """Set a port to its maximum."""
        chosen = self._writable(port)
        await self._set(chosen, chosen.maximum)

    async def turn_off(self, port: str) -> None:
        """Set a port to its minimum."""
        chosen = self._writable(port)
        await self._set(chosen, chosen.minimum)

    @rpc(long=True)
    async def power_cycle(self, port: str) -> None:
        """Switch off, wait, and on again; on again also when it is cancelled in between."""
        chosen = self._writable(port)
        await self._set(chosen, chosen.minimum)
        try:
            await clock.sleep(self.config.off_time)
        except asyncio.CancelledError:
            await asyncio.shield(self._set(chosen, chosen.maximum))
            raise
        await self._set(chosen, chosen.maximum)

    def estimate_power_cycle(self, port: str) -> Seconds:
        """As long as it is off."""
        return self.config.off_time

    def _writable(self, name: str) -> SwitchPort:
        """A port by its name. Raises `InvalidParams`."""
        ports = {port.name: port for port in self.ports()}
        if name not in ports:
            raise InvalidParams(f"{self.address} has no port {name!r}; it has {', '.join(ports) or 'none'}")
        if not ports[name].can_write:
            raise InvalidParams(f"{name} of {self.address} can be read, but not set")
        return ports[name]

    async def _set(self, port: SwitchPort, value: PortValue) -> None:
        limit(value, port.minimum, port.maximum, f"port {port.name}", port.unit)
        steps = (value - port.minimum) / port.step
        if not math.isclose(steps, round(steps), abs_tol=1e-3):
            raise InvalidParams(f"{port.name} of {self.address} is set in steps of {port.step:g}, not to {value:g}")
        await answered(self.write_port(port, value), self.config.answer_time, str(self.address), f"set {port.name}")
        now = (await self._look()).get(port.name)
        if now is None or abs(now - value) > port.step / 2:
            raise DeviceError(
                f"{port.name} of {self.address} was set to {value:g}, but stands at {now}; look at the device",
                device=str(self.address),
            )
        self.publish(SwitchChanged(port=port.name, value=value, origin=self.origin.name))
