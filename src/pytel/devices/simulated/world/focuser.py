"""The focuser, and the filters whose thickness shifts the focus."""

from __future__ import annotations

from typing import Any

from pytel.base.errors import LimitExceeded
from pytel.base.units import Millimetres
from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.config import FilterConfig
from pytel.devices.simulated.world.device import Device, Site, command

_TUBE_LAG = 1800.0  # the tube follows the air with half an hour's delay


class Focuser(Device):
    """Moves the camera along the axis, in mm."""

    name = "focuser"

    def __init__(self, site: Site, climate: Climate) -> None:
        super().__init__(site)
        self.climate = climate
        self.state = site.state.focuser
        self.state.travel.speed = site.config.focuser.speed

    def position(self, now: float) -> float:
        """Where the motor stands, mm."""
        return self.state.travel.at(self.local(now))

    def tube_temperature(self, now: float) -> float:
        """Temperature of the tube, °C."""
        return sum(self.climate.temperature(now - lag * _TUBE_LAG) for lag in (0.5, 1.0, 1.5)) / 3

    def defocus(self, now: float, offset: float) -> float:
        """How far the optics are from the best focus with a filter's `offset`, mm."""
        config = self.site.config.focuser
        best = config.best_focus + config.temperature_coefficient * (self.tube_temperature(now) - 10.0) + offset
        return self.position(now) - self.state.slack - best

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report position, motion and the tube's temperature."""
        return {
            "position": self.position(now),
            "moving": self.local(now) < self.state.travel.end,
            "temperature": self.tube_temperature(now),
        }

    @command
    def move(self, now: float, position: Millimetres) -> None:
        """Begin to move. Raises `LimitExceeded` beyond the travel."""
        config = self.site.config.focuser
        if not 0 <= position <= config.travel:
            raise LimitExceeded(
                f"the focuser moves from 0 to {config.travel:g} mm, not to {position:g}", device=self.name
            )
        if self.is_stuck():
            return
        here = self.position(now)
        if position != here:
            moved = position - here
            self.state.slack = max(-config.backlash / 2, min(config.backlash / 2, self.state.slack + moved))
        self.state.travel.go(position, self.local(now))

    @command
    def stop(self, now: float) -> None:
        """Stand still."""
        self.state.travel.go(self.position(now), self.local(now))

    def halt(self, now: float, value: Any) -> None:
        """Get stuck here."""
        self.stop(now)

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report that it has arrived."""
        return status | {"moving": False, "position": self.state.travel.target}


class FilterWheel(Device):
    """Turns filters into the beam."""

    name = "filters"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.state = site.state.filters
        self.slots = site.config.filters.filters

    @property
    def names(self) -> list[str]:
        """The filters, slot by slot."""
        return [slot.name for slot in self.slots]

    def in_beam(self, now: float) -> FilterConfig | None:
        """The filter in the beam; none while the wheel turns."""
        return None if self.local(now) < self._end() else self.slots[self.state.target]

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report the filter in the beam."""
        current = self.in_beam(now)
        return {"filter": current and current.name, "moving": current is None, "names": self.names}

    @command
    def move(self, now: float, name: str) -> None:
        """Begin to turn to a filter. Raises `DeviceError` for one that is not in the wheel."""
        if name not in self.names:
            raise self.fault(f"the filter wheel holds {', '.join(self.names)}, but no filter {name!r}")
        if self.is_stuck():
            return
        local, state = self.local(now), self.state
        state.origin, state.target, state.start = self._slot(local), self.names.index(name), local

    @command
    def stop(self, now: float) -> None:
        """Stand still at the next slot."""
        slot = self._slot(self.local(now))
        self.state.origin = self.state.target = slot

    def halt(self, now: float, value: Any) -> None:
        """Get stuck at the nearest slot."""
        self.stop(now)

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report that it has arrived."""
        return status | {"filter": self.names[self.state.target], "moving": False}

    def _distance(self) -> int:
        apart = abs(self.state.target - self.state.origin)
        return min(apart, len(self.slots) - apart)

    def _end(self) -> float:
        return self.state.start + self._distance() * self.site.config.filters.move_time

    def _slot(self, local: float) -> int:
        if local >= self._end():
            return self.state.target
        passed = int(max(0.0, local - self.state.start) / self.site.config.filters.move_time)
        count = len(self.slots)
        forward = (self.state.target - self.state.origin) % count == self._distance()
        return (self.state.origin + (passed if forward else -passed)) % count
