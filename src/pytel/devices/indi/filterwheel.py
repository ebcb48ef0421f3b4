"""Filter wheels of INDI."""

from __future__ import annotations

from pytel.base.errors import DeviceError
from pytel.base.units import Duration
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.services.filterwheel import BaseFilterWheel, FilterWheelReading

_SLOT, _VALUE = "FILTER_SLOT", "FILTER_SLOT_VALUE"


class IndiFilterWheel(IndiDriver, BaseFilterWheel):
    """Drives a filter wheel of an INDI server (also one inside a camera)."""

    class Config(BaseFilterWheel.Config, frozen=True, kw_only=True):
        """The device, and what is in its slots."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        filters: tuple[str, ...] = ()
        """Names from slot 1 on; those of the INDI driver (FILTER_NAME) otherwise."""

    config: Config
    _slots: tuple[str, ...] = ()

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(_SLOT)
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the number of slots and the names of the filters."""
        count = round(self.indi.vector(_SLOT).members[_VALUE].maximum)
        names = self.config.filters or self._told_names(count) or tuple(f"slot {slot + 1}" for slot in range(count))
        if (count and len(names) > count) or len(set(names)) < len(names):
            raise DeviceError(
                f"{self.indi.name} has {count} slots and the filters {', '.join(names)}: name each slot once, under "
                "'filters' or in its INDI driver",
                device=str(self.address),
            )
        self._slots = names

    def _told_names(self, count: int) -> tuple[str, ...]:
        if not self.indi.has("FILTER_NAME"):
            return ()
        named = self.indi.vector("FILTER_NAME")
        return tuple(named.text(member) for member in list(named.members)[: count or None])

    async def read_wheel(self) -> FilterWheelReading:
        """Read what it has told last."""
        vector = self.indi.vector(_SLOT)
        slot, moving = round(vector.number(_VALUE)), vector.state is PropertyState.BUSY
        if not moving and not 1 <= slot <= len(self._slots):
            raise DeviceError(
                f"{self.indi.name} stands at slot {slot} of {len(self._slots)}; look at the wheel",
                device=str(self.address),
            )
        return FilterWheelReading(None if moving else self._slots[slot - 1], moving, self._slots)

    async def begin_move(self, name: str) -> None:
        """Start to move."""
        slot = float(self._slots.index(name) + 1)
        await self.indi.set(
            _SLOT,
            {_VALUE: slot},
            self.config.answer_time,
            done=lambda now: now.state is PropertyState.BUSY or now.number(_VALUE) == slot,
        )
