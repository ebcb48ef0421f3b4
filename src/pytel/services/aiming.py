"""Slews that end where they should, with mounts that forget that the sky turns meanwhile, or that only follow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pytel.base import clock
from pytel.base.location import Location
from pytel.base.units import Altitude, Arcsec, Azimuth, Declination, DegreesPerSecond, RightAscension, Seconds
from pytel.services.angles import apart

_MOST_AIMS = 3
_NEAR = 0.01
"""Degrees within which a place on the ground has been reached."""


class _Goal(NamedTuple):
    """Where a slew goes (ICRS, by the instant), within how many degrees, and how often it was aimed."""

    place: Callable[[Seconds], tuple[float, float]]
    within: float
    stands_still: bool
    aims: int = 1


class AimedSlew:
    """A slew of a mount that knows how to go to coordinates and follow them, and nothing else.

    `send` starts it towards ICRS coordinates; `stand_still` ends the tracking.
    """

    def __init__(
        self,
        send: Callable[[RightAscension, Declination], Awaitable[None]],
        stand_still: Callable[[], Awaitable[None]],
        slew_rate: DegreesPerSecond,
        accuracy: Arcsec,
    ) -> None:
        self._send, self._stand_still = send, stand_still
        self._slew_rate, self._accuracy = slew_rate, accuracy / 3600.0
        self._goal: _Goal | None = None

    def forget(self) -> None:
        """There is no goal any more."""
        self._goal = None

    async def to_place(self, here: tuple[float, float], ra: RightAscension, dec: Declination) -> None:
        """Start from `here` to coordinates, and follow them."""
        await self._aim_at(here, _Goal(lambda when: (ra, dec), self._accuracy, stands_still=False))

    async def to_direction(self, here: tuple[float, float], alt: Altitude, az: Azimuth, location: Location) -> None:
        """Start from `here` to a direction, to stand still there."""
        from pytel.sky.coordinates import altaz_to_radec

        await self._aim_at(here, _Goal(lambda when: altaz_to_radec(alt, az, when, location), _NEAR, stands_still=True))

    async def _aim_at(self, here: tuple[float, float], goal: _Goal) -> None:
        """Slew to where the goal will be at the end of the slew."""
        self._goal = None
        arrival = clock.time() + apart(*here, *goal.place(clock.time())) / self._slew_rate
        await self._send(*goal.place(arrival))
        self._goal = goal

    async def goes_on(self, here: tuple[float, float]) -> bool:
        """A slew is over: aim again if it missed, track or stand still otherwise; tells whether it slews on."""
        goal = self._goal
        if goal is None:
            return False
        if apart(*here, *goal.place(clock.time())) > goal.within and goal.aims < _MOST_AIMS:
            await self._aim_at(here, goal._replace(aims=goal.aims + 1))
            return True
        self._goal = None
        if goal.stands_still:
            await self._stand_still()
        return False


__all__ = ["AimedSlew"]
