"""Turning the field (ASCOM IRotator, INDI rotator)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base.units import Degrees, DegreesPerSecond
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, Interface, State, rpc

PositionAngle = Annotated[float, Meta(ge=0, lt=360, extra_json_schema={"unit": "deg"})]
"""Degrees on the sky from north through east to the up direction of the detector (IAU)."""


class RotatorState(State, frozen=True, kw_only=True):
    """Where the rotator stands: `position_angle` on the sky, `mechanical` as its encoder says."""

    status: MotionStatus
    position_angle: PositionAngle | None = None
    mechanical: Degrees | None = None
    target: PositionAngle | None = None
    following: bool = False


class RotatorCapabilities(Capabilities, frozen=True, kw_only=True):
    """The travel of a rotator. One that `can_follow` takes out the field rotation of an alt-azimuth mount."""

    min_mechanical: Degrees
    max_mechanical: Degrees
    rate: DegreesPerSecond
    can_follow: bool


class Rotator(Interface, state=RotatorState, capabilities=RotatorCapabilities):
    """Turns the detector against the sky."""

    @rpc(long=True, control=True, exclusive="rotation")
    async def set_position_angle(self, angle: PositionAngle) -> None:
        """Turn so that this position angle is up on the detector, and keep it so if the rotator can follow.

        Raises `LimitExceeded` when no mechanical angle within the travel gives it, `DeviceError`, `DeviceTimeout`.
        """
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="rotation")
    async def move_mechanical(self, angle: Degrees) -> None:
        """Turn to an angle of the encoder and stay there. Raises `LimitExceeded`, `DeviceError`, `DeviceTimeout`."""
        raise NotImplementedError

    @rpc(control=True)
    async def sync_position_angle(self, angle: PositionAngle) -> None:
        """Tell the rotator which position angle it really has."""
        raise NotImplementedError

    @rpc(always=True)
    async def stop(self) -> None:
        """Stop turning at once; a motion under way ends with `Cancelled`."""
        raise NotImplementedError
