"""The base of every filter wheel: names, time-outs, state and header cards.

The wheel tells how far each filter shifts the focus; whoever changes filters hands that to the focuser
(`set_focus_offset`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import msgspec

from pytel.base import clock
from pytel.base.errors import DeviceError, DeviceTimeout, InvalidParams, PytelError
from pytel.base.units import Duration, Millimetres, Seconds
from pytel.interfaces.filterwheel import Filter, FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.services.module import Module
from pytel.services.timing import MARGIN, answered, patient

_POLL = 0.5


class FilterWheelReading(NamedTuple):
    """What the wheel says: the filter in the beam (None while it moves) and all of them, slot by slot."""

    filter: str | None
    moving: bool
    names: tuple[str, ...]


class BaseFilterWheel(Module, FilterWheel, FitsHeaderProvider, ABC):
    """What all filter wheels share."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Speed, and what the filters do to the focus."""

        focus_offsets: dict[str, Millimetres] = msgspec.field(default_factory=dict)
        """By name of the filter; 0 for those not named."""
        slot_time: Duration = 1.0
        """From one slot to the next."""
        extra_time: Duration = 5.0
        answer_time: Duration = 5.0
        poll_period: Duration = 30.0

    config: Config
    _names: tuple[str, ...] = ()
    _told: FilterWheelState | None = None

    # hooks

    @abstractmethod
    async def read_wheel(self) -> FilterWheelReading:
        """Ask what is in the beam."""

    @abstractmethod
    async def begin_move(self, name: str) -> None:
        """Start to move to a filter."""

    # state

    async def on_start(self) -> None:
        """Learn the names before serving."""
        await self._look()

    def capabilities(self) -> list[Capabilities]:
        """Tell the filters; nothing before they are known."""
        if not self._names:
            return []
        offsets = self.focus_offsets()
        filters = tuple(Filter(name=name, focus_offset=offsets.get(name, 0.0)) for name in self._names)
        return [FilterWheelCapabilities(filters=filters)]

    def focus_offsets(self) -> dict[str, Millimetres]:
        """How far each filter shifts the focus; one that is not named does not."""
        return self.config.focus_offsets

    @every("poll_period")
    async def poll(self) -> None:
        """Read what is in the beam."""
        try:
            await self._look()
        except PytelError:
            self._tell(FilterWheelState(status=MotionStatus.ERROR))
            raise

    async def _look(self) -> FilterWheelReading:
        reading = await answered(self.read_wheel(), self.config.answer_time, str(self.address), "tell its filter")
        self.clear_alarm("poll")
        self._names = reading.names
        status = MotionStatus.MOVING if reading.moving else MotionStatus.IDLE
        self._tell(FilterWheelState(status=status, filter=None if reading.moving else reading.filter))
        return reading

    def _tell(self, state: FilterWheelState) -> None:
        if state != self._told:
            self._told = state
            self.publish(state)

    # motion

    @rpc(long=True)
    async def set_filter(self, name: str) -> None:
        """Move to a filter; done when it is in the beam."""
        if name not in self._names:
            raise InvalidParams(f"{self.address} has no filter {name!r}; it has {', '.join(self._names)}")
        patience = self.estimate_set_filter(name) * MARGIN + patient(self.config.extra_time, 2.0)
        ends = clock.time() + patience
        await answered(self.begin_move(name), self.config.answer_time, str(self.address), "begin to move")
        while (reading := await self._look()).moving:
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} still moves after {patience:.0f} s; look at the wheel", device=str(self.address)
                )
            await clock.sleep(_POLL)
        if reading.filter != name:
            raise DeviceError(
                f"{self.address} stands at {reading.filter} and was sent to {name}; look at the wheel",
                device=str(self.address),
            )

    def estimate_set_filter(self, name: str) -> Seconds:
        """From half a turn, which is the longest way."""
        return len(self._names) * self.config.slot_time / 2

    # header cards

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell the filter in the beam."""
        reading = await self._look()
        return {"FILTER": Card(value=reading.filter, comment="filter")}
