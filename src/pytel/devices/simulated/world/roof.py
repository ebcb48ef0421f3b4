"""Things that open and close: the roof, and the cover of the tube with its light."""

from __future__ import annotations

from typing import Any

from pytel.base.units import Fraction
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.state import Travel


class Shutters(Device):
    """Something that opens and closes at constant speed."""

    def __init__(self, site: Site, travel: Travel, move_time: float) -> None:
        super().__init__(site)
        self.travel = travel
        travel.speed = 1.0 / move_time

    def fraction(self, now: float) -> float:
        """How far it is open, from 0 to 1."""
        return self.travel.at(self.local(now))

    def condition(self, now: float) -> str:
        """closed, opening, open, closing or stopped (half-way)."""
        travel, local = self.travel, self.local(now)
        if local < travel.end:
            return "opening" if travel.target > travel.origin else "closing"
        return {0.0: "closed", 1.0: "open"}.get(travel.target, "stopped")

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report what the limit switches say."""
        return {"status": self.condition(now), "fraction": self.fraction(now)}

    @command
    def open(self, now: float) -> None:
        """Begin to open."""
        self._go(1.0, now)

    @command
    def close(self, now: float) -> None:
        """Begin to close."""
        self._go(0.0, now)

    @command
    def stop(self, now: float) -> None:
        """Stand still where it is."""
        self.travel.go(self.fraction(now), self.local(now))

    def halt(self, now: float, value: Any) -> None:
        """Get stuck; with a `value` as soon as that fraction is reached."""
        self._go(self.travel.target, now)

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report it shut."""
        return status | {"status": "closed", "fraction": 0.0}

    def _go(self, target: float, now: float) -> None:
        here, local = self.fraction(now), self.local(now)
        for fault in self.faults():
            if fault.active and fault.kind == "stuck":
                obstacle = here if fault.value is None else float(fault.value)
                between = min(here, target) <= obstacle <= max(here, target)
                target = obstacle if between else here
        if target != self.travel.target or local >= self.travel.end:
            self.travel.go(target, local)


class Roof(Shutters):
    """The roll-off roof."""

    name = "roof"

    def __init__(self, site: Site) -> None:
        super().__init__(site, site.state.roof.travel, site.config.roof.open_time)


class Cover(Shutters):
    """The cover of the tube; where none is fitted it is always open."""

    name = "cover"

    def __init__(self, site: Site) -> None:
        super().__init__(site, site.state.cover.travel, site.config.cover.move_time)
        if not site.config.cover.present:
            self.travel.origin = self.travel.target = 1.0

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report the cover's place and the light's level."""
        return super().status(now) | {"present": self.site.config.cover.present, "light": self.site.state.cover.light}

    @command
    def light(self, now: float, level: Fraction) -> None:
        """Set the light panel, from 0 (off) to 1."""
        self._require()
        self.site.state.cover.light = level

    def _go(self, target: float, now: float) -> None:
        self._require()
        super()._go(target, now)

    def _require(self) -> None:
        if not self.site.config.cover.present:
            raise self.fault("the simulated telescope has no cover; set cover.present to fit one")
