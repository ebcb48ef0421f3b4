"""A focuser of ours as ASCOM's IFocuserV4: steps from the inner end of the travel, of the base position."""

from __future__ import annotations

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range, invalid_operation
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus


class AlpacaFocuser(Device):
    """Moves to steps. The offset of a filter is not its business: it stays added to what is asked for."""

    kind = "focuser"
    type_name = "Focuser"
    interface = Focuser
    interface_version = 4
    constants = {"Absolute": True, "TempComp": False, "TempCompAvailable": False}  # noqa: RUF012 - as in the base
    missing = {"TempComp": {"TempComp": bool}}  # noqa: RUF012
    operational = ("IsMoving", "Position", "Temperature")

    def _state(self) -> FocuserState:
        return self.site.state(self.address, FocuserState)

    async def _travel(self) -> FocuserCapabilities:
        return await self.site.capabilities(self.address, FocuserCapabilities)

    @get("IsMoving")
    def is_moving(self) -> bool:
        """Whether it moves; raises the error of a motion that failed."""
        if self.operation.is_running or self._state().status is MotionStatus.MOVING:
            return True
        self.operation.check()
        return False

    @get("Position")
    async def position(self) -> int:
        """Steps."""
        base = self._state().base
        if base is None:
            raise invalid_operation(f"{self.address} has not told its position")
        travel = await self._travel()
        return round((base - travel.min_position) / travel.step)

    @get("MaxStep")
    async def max_step(self) -> int:
        """The outer end of the travel."""
        travel = await self._travel()
        return round((travel.max_position - travel.min_position) / travel.step)

    @get("MaxIncrement")
    async def max_increment(self) -> int:
        """All of the travel."""
        return await self.max_step()

    @get("StepSize")
    async def step_size(self) -> float:
        """Micrometres."""
        return (await self._travel()).step * 1000.0

    @get("Temperature")
    def temperature(self) -> float:
        """Degrees Celsius."""
        temperature = self._state().temperature
        if temperature is None:
            raise absent("Temperature")
        return temperature

    @put("Move", Position=int)
    async def move(self, client: Client, position: int) -> None:
        """Begin to move."""
        in_range(position, 0, await self.max_step(), "a position")
        travel = await self._travel()
        focuser = await self.controlled(client, Focuser)
        await self.operation.begin(focuser.set_focus(travel.min_position + position * travel.step))

    @put("Halt")
    async def halt(self, client: Client) -> None:
        """Stop."""
        self.operation.excuse()
        await self.of(client, Focuser).stop()
