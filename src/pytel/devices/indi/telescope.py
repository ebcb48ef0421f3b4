"""Mounts of INDI."""

from __future__ import annotations

from pytel.base import clock
from pytel.base.errors import DeviceError
from pytel.base.units import Altitude, Arcsec, Azimuth, Declination, DegreesPerSecond, Duration, RightAscension
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState, Vector
from pytel.services.aiming import AimedSlew
from pytel.services.angles import apart
from pytel.services.telescope import BaseTelescope, MountReading

_OF_DATE, _J2000 = "EQUATORIAL_EOD_COORD", "EQUATORIAL_COORD"
_MODE, _PARK, _TRACK, _ABORT = "ON_COORD_SET", "TELESCOPE_PARK", "TELESCOPE_TRACK_STATE", "TELESCOPE_ABORT_MOTION"
_NEAR = 0.01
"""Degrees within which a place that the mount tells is the one it was sent to."""


class IndiTelescope(IndiDriver, BaseTelescope):
    """Drives a mount of an INDI server; it counts in the equinox of date there, or in J2000."""

    class Config(BaseTelescope.Config, frozen=True, kw_only=True):
        """The device, and what it does not tell: limits and speed."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        slew_rate: DegreesPerSecond = 2.0
        """The slowest to be expected; time-outs follow from it."""
        goto_accuracy: Arcsec = 3.0
        """A slew that ends farther off is repeated, twice at most: some mounts forget that the sky turns meanwhile."""
        send_site: bool = True
        """Tell the mount the place and the time of the site at each connect."""

    config: Config
    _place = _OF_DATE

    async def on_start(self) -> None:
        """Connect, and learn what the mount is like."""
        config = self.config
        self._slew = AimedSlew(self._send_track, self._stand_still, config.slew_rate, config.goto_accuracy)
        await self.connect_device(_MODE)
        await super().on_start()

    async def read_capabilities(self) -> None:
        """Read the optics, if the mount was told them, and which coordinates it has."""
        patience = self.config.connect_time
        await self.indi.require(_OF_DATE if self.indi.has(_OF_DATE) or not self.indi.has(_J2000) else _J2000, patience)
        self._place = _OF_DATE if self.indi.has(_OF_DATE) else _J2000
        facts: dict[str, float] = {}
        for fact, member in (("focal_length", "TELESCOPE_FOCAL_LENGTH"), ("aperture", "TELESCOPE_APERTURE")):
            if self.indi.has("TELESCOPE_INFO", member) and (told := self.indi.number("TELESCOPE_INFO", member)) > 0:
                facts[fact] = told
        self.fit(**facts)

    async def on_connect(self) -> None:
        """Tell the mount where it stands and what time it is."""
        self._slew.forget()
        if self.config.send_site:
            await self._send_site()

    async def _send_site(self) -> None:
        location, patience = self.site.location, self.config.answer_time
        if self.indi.has("TIME_UTC"):
            now = clock.now().strftime("%Y-%m-%dT%H:%M:%S")
            await self.indi.set("TIME_UTC", {"UTC": now, "OFFSET": "0.00"}, patience)
        if self.indi.has("GEOGRAPHIC_COORD"):
            values = {"LAT": location.latitude, "LONG": location.longitude % 360.0, "ELEV": location.elevation}
            await self.indi.set("GEOGRAPHIC_COORD", values, patience)

    # reading

    async def read_mount(self) -> MountReading:
        """Read what the mount has told last, and go on with a slew to where it is to stand still."""
        from pytel.sky.coordinates import radec_to_altaz

        coordinates = self.indi.vector(self._place)
        ra, dec = self._icrs(coordinates)
        alt, az = radec_to_altaz(ra, dec, clock.time(), self.site.location)
        parking = self.indi.has(_PARK) and self.indi.vector(_PARK).state is PropertyState.BUSY
        parked = self.indi.has(_PARK) and not parking and self.indi.on(_PARK, "PARK")
        slewing = parking or (coordinates.state is PropertyState.BUSY and not parked)
        slewing = slewing or await self._slew.goes_on((ra, dec))
        tracking = not slewing and not parked and self._tracks(self.indi.vector(self._place))
        return MountReading(ra, dec, alt, az, slewing, tracking, parked)

    def _tracks(self, coordinates: Vector) -> bool:
        if self.indi.has(_TRACK):
            return self.indi.on(_TRACK, "TRACK_ON")
        return coordinates.state is PropertyState.OK

    def _icrs(self, coordinates: Vector) -> tuple[RightAscension, Declination]:
        from pytel.sky.coordinates import icrs_place

        ra, dec = coordinates.number("RA") * 15.0, coordinates.number("DEC")
        if not (-360.0 <= ra <= 720.0 and -90.0 <= dec <= 90.0):
            raise DeviceError(
                f"{self.indi.name} says that it points at {ra:g} {dec:g} deg; look at its INDI driver",
                device=str(self.address),
            )
        return icrs_place(ra, dec, clock.time()) if self._place == _OF_DATE else (ra % 360.0, dec)

    def _theirs(self, ra: RightAscension, dec: Declination) -> tuple[RightAscension, Declination]:
        from pytel.sky.coordinates import apparent_place

        return apparent_place(ra, dec, clock.time()) if self._place == _OF_DATE else (ra, dec)

    # motion

    async def begin_slew(self, ra: RightAscension, dec: Declination) -> None:
        """Start to slew; it tracks there."""
        await self._slew.to_place(self._here(), ra, dec)

    def _here(self) -> tuple[RightAscension, Declination]:
        return self._icrs(self.indi.vector(self._place))

    async def _send_track(self, ra: RightAscension, dec: Declination) -> None:
        await self._send_coordinates("TRACK", ra, dec)

    async def _stand_still(self) -> None:
        await self.set_tracking(False)

    async def _send_coordinates(self, mode: str, ra: RightAscension, dec: Declination) -> None:
        await self._choose(mode)
        there = self._theirs(ra, dec)

        def is_taken(vector: Vector) -> bool:
            moving = vector.state is PropertyState.BUSY and mode != "SYNC"
            return moving or apart(vector.number("RA") * 15.0, vector.number("DEC"), *there) < _NEAR

        values = {"RA": there[0] / 15.0, "DEC": there[1]}
        await self.indi.set(self._place, values, self.config.answer_time, done=is_taken)

    async def _choose(self, mode: str) -> None:
        if not self.indi.vector(_MODE).members_on(mode):
            await self.indi.set(_MODE, {mode: True}, self.config.answer_time, done=lambda now: now.members_on(mode))

    async def begin_slew_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Start to slew to where it will stand still."""
        await self._slew.to_direction(self._here(), alt, az, self.site.location)

    async def begin_offset(self, ra: Arcsec, dec: Arcsec) -> None:
        """Start to move by a small angle."""
        from pytel.sky.sphere import offset_by

        here = self._here()
        await self._slew.to_place(here, *offset_by(*here, ra, dec))

    async def begin_park(self) -> None:
        """Start to go to the park position."""
        self._slew.forget()
        self._need(_PARK, "cannot park")
        await self.indi.set(
            _PARK,
            {"PARK": True},
            self.config.answer_time,
            done=lambda now: now.state is PropertyState.BUSY or now.members_on("PARK"),
        )

    async def begin_unpark(self) -> None:
        """Make ready to move."""
        await self.indi.set(_PARK, {"UNPARK": True}, self.config.answer_time, done=lambda now: now.members_on("UNPARK"))

    async def set_tracking(self, enabled: bool) -> None:
        """Follow the sky, or stand still."""
        self._need(_TRACK, "cannot be told to track or to stand still")
        member = "TRACK_ON" if enabled else "TRACK_OFF"
        await self.indi.set(_TRACK, {member: True}, self.config.answer_time, done=lambda now: now.members_on(member))

    async def halt(self) -> None:
        """Stop a slew."""
        self._slew.forget()
        await self.indi.set(_ABORT, {"ABORT": True}, self.config.answer_time)

    async def synchronise(self, ra: RightAscension, dec: Declination) -> None:
        """Take these coordinates for where it points."""
        await self._send_coordinates("SYNC", ra, dec)
        await self._choose("TRACK")

    def _need(self, name: str, what: str) -> None:
        if not self.indi.has(name):
            raise DeviceError(f"{self.indi.name} {what}: it has no {name}", device=str(self.address))
