"""Domes that turn: the slit follows the telescope."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import NamedTuple, Protocol, cast

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.units import Azimuth
from pytel.interfaces.telescope import TelescopeState, TelescopeStatus
from pytel.module.handlers import every
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_drive import Goal


class SlitReading(NamedTuple):
    """Where the slit looks, and whether it turns."""

    azimuth: Azimuth
    turning: bool


class FollowConfig(Protocol):
    """What the configuration of each such dome has; write the fields with these types and defaults:

    follow: bool = True
    follow_within: Degrees = 5.0
    """

    @property
    def follow(self) -> bool:
        """Turn the slit to where the telescope points; off where another program does, or nothing turns."""

    @property
    def follow_within(self) -> float:
        """Degrees."""


class FollowingDome(BaseEnclosure):
    """An enclosure with a slit; a driver writes two more hooks, and has the configuration of `FollowConfig`."""

    _slit: SlitReading | None = None

    @abstractmethod
    async def read_slit(self) -> SlitReading | None:
        """Ask for the slit; None when it does not turn, or nobody can be asked."""

    @abstractmethod
    async def turn_to(self, azimuth: Azimuth) -> None:
        """Start to turn."""

    def azimuth(self) -> Azimuth | None:
        """Where the slit looks."""
        return None if self._slit is None else self._slit.azimuth

    @every(2.0)
    async def follow_telescope(self) -> None:
        """Turn the slit after the telescope when it is off by more than `follow_within`."""
        try:
            self._slit = slit = await self.read_slit()
        except PytelError:
            self._slit = None
            raise
        there = self._wanted()
        if slit is None or slit.turning or there is None or self._drive.goal is Goal.CLOSED:
            # A dome that closes has nothing else to do: some take no second command, or lose the shutter's power.
            return
        if abs(math.remainder(there - slit.azimuth, 360.0)) <= self._following.follow_within:
            return
        try:
            await self.turn_to(there)
        except PytelError as error:
            self.log.warning("the dome does not follow: %s", error)
            raise

    @property
    def _following(self) -> FollowConfig:
        return cast("FollowConfig", self.config)

    def _wanted(self) -> Azimuth | None:
        state = self.latest(TelescopeState) if self._following.follow else None
        moves = state is not None and state.status in (TelescopeStatus.TRACKING, TelescopeStatus.SLEWING)
        if state is None or not moves:
            return None
        if state.status is TelescopeStatus.SLEWING and state.target_ra is not None and state.target_dec is not None:
            from pytel.sky.coordinates import radec_to_altaz

            return radec_to_altaz(state.target_ra, state.target_dec, clock.time(), self.site.location)[1]
        return state.az


__all__ = ["FollowConfig", "FollowingDome", "SlitReading"]
