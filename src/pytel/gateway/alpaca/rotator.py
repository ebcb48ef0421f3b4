"""A rotator of ours as ASCOM's IRotatorV4: its position is the position angle on the sky."""

from __future__ import annotations

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range, invalid_operation, invalid_value
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.rotator import Rotator, RotatorState


class AlpacaRotator(Device):
    """Turns."""

    kind = "rotator"
    type_name = "Rotator"
    interface = Rotator
    interface_version = 4
    constants = {"CanReverse": False, "Reverse": False}  # noqa: RUF012 - declared as such by the base
    missing = {"Reverse": {"Reverse": bool}, "StepSize": None}  # noqa: RUF012
    operational = ("IsMoving", "MechanicalPosition", "Position")

    def _state(self) -> RotatorState:
        return self.site.state(self.address, RotatorState)

    @get("IsMoving")
    def is_moving(self) -> bool:
        """Whether it turns; raises the error of a motion that failed."""
        if self.operation.is_running or self._state().status is MotionStatus.MOVING:
            return True
        self.operation.check()
        return False

    @get("Position")
    def position(self) -> float:
        """Degrees from north through east."""
        return self._known(self._state().position_angle)

    @get("MechanicalPosition")
    def mechanical_position(self) -> float:
        """Degrees, as the encoder says."""
        return self._known(self._state().mechanical) % 360.0

    @get("TargetPosition")
    def target_position(self) -> float:
        """Degrees: where it goes, or where it is."""
        target = self._state().target
        return self.position() if target is None else target

    def _known(self, angle: float | None) -> float:
        if angle is None:
            raise invalid_operation(f"{self.address} has not told where it stands")
        return angle

    @put("Move", Position=float)
    async def move(self, client: Client, angle: float) -> None:
        """Begin to turn by an angle."""
        in_range(angle, -360.0, 360.0, "an angle")
        await self.move_absolute(client, (self.position() + angle) % 360.0)

    @put("MoveAbsolute", Position=float)
    async def move_absolute(self, client: Client, angle: float) -> None:
        """Begin to turn to a position angle."""
        rotator = await self.controlled(client, Rotator)
        await self.operation.begin(rotator.set_position_angle(_angle(angle)))

    @put("MoveMechanical", Position=float)
    async def move_mechanical(self, client: Client, angle: float) -> None:
        """Begin to turn to an angle of the encoder."""
        rotator = await self.controlled(client, Rotator)
        await self.operation.begin(rotator.move_mechanical(_angle(angle)))

    @put("Sync", Position=float)
    async def sync(self, client: Client, angle: float) -> None:
        """Tell it which position angle it has."""
        await (await self.controlled(client, Rotator)).sync_position_angle(_angle(angle))

    @put("Halt")
    async def halt(self, client: Client) -> None:
        """Stop."""
        self.operation.excuse()
        await self.of(client, Rotator).stop()


def _angle(angle: float) -> float:
    if not 0.0 <= angle < 360.0:
        raise invalid_value(f"an angle is 0 to 360 degrees, not {angle:g}")
    return angle
