"""Mounts of Alpaca."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import DeviceError, MethodNotFound
from pytel.base.units import (
    Altitude,
    Arcsec,
    Azimuth,
    Declination,
    Degrees,
    DegreesPerSecond,
    Duration,
    RightAscension,
)
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.services.aiming import AimedSlew
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.telescope import BaseTelescope, MountReading
from pytel.services.timing import MARGIN

_FARTHEST: Degrees = 180.0
_TOPOCENTRIC, _J2000 = 1, 2
"""EquatorialCoordinateType of ASCOM."""


class MountCoordinates(StrEnum):
    """In which coordinates a mount counts."""

    MOUNT = "as the mount tells"
    OF_DATE = "of date"
    J2000 = "J2000"


class AlpacaTelescope(AlpacaDriver, BaseTelescope):
    """Drives a mount of an Alpaca server that slews without keeping its client waiting."""

    class Config(BaseTelescope.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell: limits and speed."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        slew_rate: DegreesPerSecond = 2.0
        """The slowest to be expected; time-outs follow from it."""
        goto_accuracy: Arcsec = 3.0
        """A slew that ends farther off is repeated, twice at most: some mounts forget that the sky turns meanwhile."""
        coordinates: MountCoordinates = MountCoordinates.MOUNT
        """`of date` or `J2000` for a mount that tells another equinox than it uses, or none."""

    config: Config
    device_type = "telescope"
    _of_date = True
    _parking: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        """Connect, and learn what the mount is like."""
        config = self.config
        self._slew = AimedSlew(self._send, self._stand_still, config.slew_rate, config.goto_accuracy)
        self.at_stop(self._forget_parking)
        await self.connect_device()
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read optics, coordinates, and what it can do."""
        self._slew.forget()
        if not await self.alpaca.flag("canslewasync", ANSWER):
            raise _cannot(self.address, "slew while others go on (CanSlewAsync); such mounts are not driven")
        self._can_track = await self.alpaca.flag("cansettracking", ANSWER)
        self._can_park = await self.alpaca.flag("canpark", ANSWER)
        self._of_date = await self._counts_of_date()
        facts = {}
        for fact, member in (("focal_length", "focallength"), ("aperture", "aperturediameter")):
            told = await self.optional(member)
            if told is not None and told > 0:
                facts[fact] = 1000.0 * told
        self.fit(**facts)

    async def _counts_of_date(self) -> bool:
        if self.config.coordinates is not MountCoordinates.MOUNT:
            return self.config.coordinates is MountCoordinates.OF_DATE
        told = await self.alpaca.whole("equatorialsystem", ANSWER)
        if told not in (_TOPOCENTRIC, _J2000):
            raise DeviceError(
                f"{self.address}: the mount tells EquatorialSystem {told}, which is neither of date (1) nor J2000 (2); "
                "write 'coordinates: of date' or 'coordinates: J2000', as its manual says",
                device=str(self.address),
            )
        return told == _TOPOCENTRIC

    # reading

    async def read_mount(self) -> MountReading:
        """Ask where it points and what it does, and go on with a slew that missed."""
        from pytel.sky.coordinates import radec_to_altaz

        parking = await self._is_parking()
        slewing = await self.alpaca.flag("slewing", ANSWER)
        parked = await self.alpaca.flag("atpark", ANSWER)
        tracking = await self.alpaca.flag("tracking", ANSWER)
        ra, dec = await self._here()
        slewing = (slewing or parking) and not parked
        if not slewing and not parked and await self._slew.goes_on((ra, dec)):
            slewing = True
        elif not slewing and tracking:
            tracking = await self.alpaca.flag("tracking", ANSWER)
        alt, az = radec_to_altaz(ra, dec, clock.time(), self.site.location)
        return MountReading(ra, dec, alt, az, slewing, tracking and not slewing and not parked, parked)

    async def _here(self) -> tuple[RightAscension, Declination]:
        from pytel.sky.coordinates import icrs_place

        ra = 15.0 * await self.alpaca.number_of("rightascension", ANSWER)
        dec = await self.alpaca.number_of("declination", ANSWER)
        if not (-360.0 <= ra <= 720.0 and -90.0 <= dec <= 90.0):
            raise DeviceError(
                f"{self.address}: the mount says that it points at {ra:g} {dec:g} deg; look at its Alpaca server",
                device=str(self.address),
            )
        return icrs_place(ra, dec, clock.time()) if self._of_date else (ra % 360.0, dec)

    # motion

    async def begin_slew(self, ra: RightAscension, dec: Declination) -> None:
        """Start to slew; it tracks there."""
        await self._slew.to_place(await self._here(), ra, dec)

    async def _send(self, ra: RightAscension, dec: Declination) -> None:
        await self._track_first()
        await self._put_coordinates("slewtocoordinatesasync", ra, dec)

    async def _put_coordinates(self, member: str, ra: RightAscension, dec: Declination) -> None:
        from pytel.sky.coordinates import apparent_place

        there = apparent_place(ra, dec, clock.time()) if self._of_date else (ra, dec)
        hours = there[0] / 15.0 % 24.0
        await self.alpaca.put(member, self.config.answer_time, RightAscension=hours, Declination=there[1])

    async def _track_first(self) -> None:
        """ASCOM takes equatorial coordinates from a mount that tracks, and from no other."""
        if self._can_track and not await self.alpaca.flag("tracking", ANSWER):
            await self.set_tracking(True)

    async def begin_slew_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Start to slew to where it will stand still."""
        await self._slew.to_direction(await self._here(), alt, az, self.site.location)

    async def _stand_still(self) -> None:
        await self.set_tracking(False)

    async def begin_offset(self, ra: Arcsec, dec: Arcsec) -> None:
        """Start to move by a small angle."""
        from pytel.sky.sphere import offset_by

        here = await self._here()
        await self._slew.to_place(here, *offset_by(*here, ra, dec))

    async def begin_park(self) -> None:
        """Start to go to the park position. Before ITelescopeV4 the answer comes when it is there."""
        self._slew.forget()
        if not self._can_park:
            raise _cannot(self.address, "park (CanPark)")
        await self._forget_parking()
        longest = MARGIN * _FARTHEST / self.config.slew_rate + self.config.extra_time
        self._parking = asyncio.create_task(self.alpaca.put("park", longest), name=f"{self.address} park")
        await asyncio.wait([self._parking], timeout=ANSWER)
        await self._is_parking()

    async def _is_parking(self) -> bool:
        """Whether the command to park is unanswered; raises what it ended with."""
        if self._parking is None:
            return False
        if not self._parking.done():
            return True
        parking, self._parking = self._parking, None
        if not parking.cancelled():
            parking.result()
        return False

    async def _forget_parking(self) -> None:
        parking, self._parking = self._parking, None
        if parking is not None:
            parking.cancel()
            await asyncio.wait([parking])
            if not parking.cancelled():
                parking.exception()

    async def begin_unpark(self) -> None:
        """Make ready to move."""
        await self.alpaca.put("unpark", self.config.answer_time)

    async def set_tracking(self, enabled: bool) -> None:
        """Follow the sky, or stand still."""
        if not self._can_track:
            raise _cannot(self.address, "be told to track or to stand still (CanSetTracking)")
        await self.alpaca.put("tracking", self.config.answer_time, Tracking=enabled)

    async def halt(self) -> None:
        """Stop a slew."""
        self._slew.forget()
        await self._forget_parking()
        if not await self.alpaca.flag("atpark", ANSWER):
            await self.alpaca.put("abortslew", self.config.answer_time)

    async def synchronise(self, ra: RightAscension, dec: Declination) -> None:
        """Take these coordinates for where it points."""
        await self._track_first()
        try:
            await self._put_coordinates("synctocoordinates", ra, dec)
        except MethodNotFound:
            raise _cannot(self.address, "be told where it points (CanSync)") from None


def _cannot(address: object, what: str) -> DeviceError:
    return DeviceError(f"{address}: this mount cannot {what}", device=str(address))
