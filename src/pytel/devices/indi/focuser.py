"""Focusers of INDI."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base.units import Celsius, Duration, Micrometres, Millimetres
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.services.focuser import BaseFocuser, FocuserReading

_POSITION, _STEPS = "ABS_FOCUS_POSITION", "FOCUS_ABSOLUTE_POSITION"


class IndiFocuser(IndiDriver, BaseFocuser):
    """Drives a focuser of an INDI server, which counts in steps."""

    class Config(BaseFocuser.Config, frozen=True, kw_only=True):
        """The device, and how far it goes with a step."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        step_size: Annotated[Micrometres, Meta(gt=0)]
        """Micrometres of a step, which INDI does not tell."""
        speed: float = 1.0

    config: Config

    @property
    def _step(self) -> Millimetres:
        return self.config.step_size / 1000.0

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(_POSITION)
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the travel."""
        member = self.indi.vector(_POSITION).members[_STEPS]
        travel = {"step": self._step}
        if member.maximum > member.minimum:
            travel |= {"min_position": member.minimum * self._step, "max_position": member.maximum * self._step}
        self.fit(**travel)

    async def read_focuser(self) -> FocuserReading:
        """Read what it has told last."""
        vector = self.indi.vector(_POSITION)
        return FocuserReading(
            vector.number(_STEPS) * self._step, vector.state is PropertyState.BUSY, self._temperature()
        )

    def _temperature(self) -> Celsius | None:
        if not self.indi.has("FOCUS_TEMPERATURE", "TEMPERATURE"):
            return None
        return self.indi.number("FOCUS_TEMPERATURE", "TEMPERATURE")

    async def begin_move(self, position: Millimetres) -> None:
        """Start to move to the nearest step."""
        steps = float(round(position / self._step))
        await self.indi.set(
            _POSITION,
            {_STEPS: steps},
            self.config.answer_time,
            done=lambda now: now.state is PropertyState.BUSY or now.number(_STEPS) == steps,
        )

    async def halt(self) -> None:
        """Stop; not all INDI focusers can."""
        if self.indi.has("FOCUS_ABORT_MOTION"):
            await self.indi.set("FOCUS_ABORT_MOTION", {"ABORT": True}, self.config.answer_time)
