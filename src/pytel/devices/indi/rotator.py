"""Rotators of INDI."""

from __future__ import annotations

from pytel.base.units import Degrees, Duration
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.services.rotator import BaseRotator, RotatorReading

_ANGLE = "ABS_ROTATOR_ANGLE"


class IndiRotator(IndiDriver, BaseRotator):
    """Drives a rotator of an INDI server; its angles are taken as mechanical ones."""

    class Config(BaseRotator.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0

    config: Config

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(_ANGLE)
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the range of its angles."""
        angle = self.indi.vector(_ANGLE).members["ANGLE"]
        if angle.maximum > angle.minimum:
            self.fit(min_mechanical=angle.minimum, max_mechanical=angle.maximum)

    async def read_rotator(self) -> RotatorReading:
        """Read what it has told last."""
        vector = self.indi.vector(_ANGLE)
        return RotatorReading(vector.number("ANGLE"), vector.state is PropertyState.BUSY)

    async def begin_turn(self, mechanical: Degrees) -> None:
        """Start to turn."""
        target = mechanical % 360.0
        await self.indi.set(
            _ANGLE,
            {"ANGLE": target},
            self.config.answer_time,
            done=lambda now: now.state is PropertyState.BUSY or abs(now.number("ANGLE") - target) < 0.01,
        )

    async def halt(self) -> None:
        """Stop."""
        if self.indi.has("ROTATOR_ABORT_MOTION"):
            await self.indi.set("ROTATOR_ABORT_MOTION", {"ABORT": True}, self.config.answer_time)
