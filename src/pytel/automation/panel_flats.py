"""Flats on the lamp of a cover."""

from __future__ import annotations

from pytel.automation.flat_light import FlatLight
from pytel.automation.flats import BaseFlatField
from pytel.base import clock
from pytel.base.units import Adu, Fraction, Seconds
from pytel.interfaces.cover import CoverCalibrator, CoverCalibratorCapabilities
from pytel.interfaces.flatfield import FlatFieldFailed

_MOVE: Seconds = 300.0


class PanelFlatField(BaseFlatField):
    """Takes flats on a light panel: closes the cover, switches the lamp on, and dims it for sensitive filters."""

    class Config(BaseFlatField.Config, frozen=True, kw_only=True):
        """The lamp."""

        brightness: Fraction = 0.5
        """To begin with."""

    config: Config
    _brightness: float = 0.0

    def slope(self, when: float) -> float:
        """A lamp is steady."""
        return 0.0

    async def light_up(self) -> None:
        """Close the cover and switch the lamp on."""
        cover = self.find(CoverCalibrator, deadline=_MOVE)
        able = await self.capabilities_of(CoverCalibratorCapabilities)
        if not able.has_calibrator:
            raise FlatFieldFailed(f"{self.address_of(cover)} has no lamp", taken=0)
        self._dimmest = 1.0 / max(1, able.brightness_levels)
        if able.has_cover:
            await cover.close_cover()
        await self._shine(self.config.brightness)

    async def _shine(self, brightness: Fraction) -> None:
        self._brightness = max(self._dimmest, min(1.0, brightness))
        await self.find(CoverCalibrator, deadline=_MOVE).calibrator_on(self._brightness)

    async def adjust(self, light: FlatLight, wanted: Adu) -> Seconds:
        """Change the brightness. Raises `FlatFieldFailed` at the end of its range."""
        before = self._brightness
        # A third off the limit, so that the next test lies well within.
        rate = light.rate(clock.time())
        goal = before * wanted / rate * (1.3 if rate < wanted else 0.7)
        light.forget()
        await self._shine(goal)
        if self._brightness == before:
            raise FlatFieldFailed(
                f"the lamp is too {'bright' if rate > wanted else 'dark'} for a flat, at {before:.0%} of its light",
                taken=0,
            )
        return 0.0

    async def moved_on(self) -> None:
        """Nothing moves under a lamp."""

    async def put_out(self) -> None:
        """Switch the lamp off; the cover stays closed."""
        await self.find(CoverCalibrator, deadline=_MOVE).calibrator_off()

    def in_order(self, filters: tuple[str, ...]) -> tuple[str, ...]:
        """As given."""
        return filters
