"""Power outlets, dimmers and sensors of Alpaca (Switch)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, structs

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, InvalidParams, MethodNotFound, PytelError
from pytel.base.units import Duration
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.switch import PortValue, SwitchPort
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.switch import BaseSwitch

_MOST_PORTS = 256
_POLL = 0.2


class AlpacaSwitch(AlpacaDriver, BaseSwitch):
    """Drives the ports of a switch of an Alpaca server, by the names that it has for them."""

    class Config(BaseSwitch.Config, frozen=True, kw_only=True):
        """The device; its ports are read at each connect."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0

    config: Config
    device_type = "switch"
    _ids: Mapping[str, int] = {}
    _ports: tuple[SwitchPort, ...] = ()

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the ports."""
        count = await self.alpaca.whole("maxswitch", ANSWER)
        if not 0 <= count <= _MOST_PORTS:
            raise DeviceError(
                f"{self.address}: the switch tells of {count} ports; look at its Alpaca server",
                device=str(self.address),
            )
        found: dict[int, SwitchPort] = {}
        for number in range(count):
            try:
                found[number] = await self._port(number)
            except InvalidParams as error:
                self.log.warning("port %d is left out: %s", number, error)
        named = _by_name(found)
        self._ids = {name: number for name, (number, _) in named.items()}
        self._ports = tuple(port for _, port in named.values())

    async def _port(self, number: int) -> SwitchPort:
        name = await self.alpaca.text("getswitchname", ANSWER, Id=number)
        lowest, highest, step = [
            await self.alpaca.number_of(member, ANSWER, Id=number)
            for member in ("minswitchvalue", "maxswitchvalue", "switchstep")
        ]
        if not (lowest < highest and step > 0):
            raise InvalidParams(f"{name} goes from {lowest:g} to {highest:g} in steps of {step:g}")
        return SwitchPort(
            name=name,
            label=await self.alpaca.text("getswitchdescription", ANSWER, Id=number),
            can_write=await self.alpaca.flag("canwrite", ANSWER, Id=number),
            minimum=lowest,
            maximum=highest,
            step=step,
        )

    def ports(self) -> tuple[SwitchPort, ...]:
        """What was found at the connect."""
        return self._ports

    async def read_values(self) -> Mapping[str, PortValue | None]:
        """Ask for each port."""
        values = await asyncio.gather(*(self._value(number) for number in self._ids.values()))
        return dict(zip(self._ids, values, strict=True))

    async def _value(self, number: int) -> PortValue | None:
        """One that the device itself says cannot be told is unknown; the others are told."""
        try:
            return await self.alpaca.number_of("getswitchvalue", ANSWER, Id=number)
        except PytelError as error:
            if "number" not in error.data or isinstance(error, ConnectionLost):
                raise
            return None

    async def write_port(self, port: SwitchPort, value: PortValue) -> None:
        """Set a port, and wait for one that takes its time (ISwitchV3)."""
        number, within = self._ids[port.name], self.config.answer_time
        if not await self._takes_time(number):
            await self.alpaca.put("setswitchvalue", within, Id=number, Value=value)
            return
        await self.alpaca.put("setasyncvalue", within, Id=number, Value=value)
        while not await self.alpaca.flag("statechangecomplete", ANSWER, Id=number):
            await clock.sleep(_POLL)

    async def _takes_time(self, number: int) -> bool:
        try:
            return await self.alpaca.flag("canasync", ANSWER, Id=number)
        except (MethodNotFound, InvalidParams):
            return False


def _by_name(found: Mapping[int, SwitchPort]) -> dict[str, tuple[int, SwitchPort]]:
    """Ports by names of their own: the number is added to a name that several have."""
    often = Counter(port.name for port in found.values())
    named: dict[str, tuple[int, SwitchPort]] = {}
    for number, port in found.items():
        name = f"{port.name} {number}" if often[port.name] > 1 else port.name
        while name in named or (name != port.name and name in often):
            name += "'"
        named[name] = (number, structs.replace(port, name=name))
    return named
