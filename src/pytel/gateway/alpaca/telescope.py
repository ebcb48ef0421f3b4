"""A telescope of ours as ASCOM's ITelescopeV4: right ascensions in hours, coordinates of J2000 (our ICRS)."""

from __future__ import annotations

from pytel.base import clock
from pytel.base.units import Seconds
from pytel.gateway.alpaca.device import iso_utc, told_soon
from pytel.gateway.alpaca.errors import (
    INVALID_WHILE_PARKED,
    VALUE_NOT_SET,
    AlpacaError,
    in_range,
    invalid_operation,
    invalid_value,
    not_implemented,
)
from pytel.gateway.alpaca.guiding import PulseGuided
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.telescope import Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus

J2000 = 2
SIDEREAL = 0
LONGEST_SLEW: Seconds = 600.0
"""Real seconds that a request may take whose answer comes after the slew."""
TRACKS_WITHIN: Seconds = 4.0
"""Real seconds that the answer may wait for the mount to track or stand still; clients give up after five."""
_MOVES = frozenset({TelescopeStatus.SLEWING, TelescopeStatus.PARKING})


class AlpacaTelescope(PulseGuided):
    """Slews, tracks, parks. Rates and single axes are nothing that pytel's telescopes offer."""

    kind = "telescope"
    type_name = "Telescope"
    interface = Telescope
    interface_version = 4
    constants = {  # noqa: RUF012 - declared as such by the base
        "AtHome": False,
        "CanFindHome": False,
        "CanPark": True,
        "CanSetDeclinationRate": False,
        "CanSetGuideRates": False,
        "CanSetPark": False,
        "CanSetPierSide": False,
        "CanSetRightAscensionRate": False,
        "CanSetTracking": True,
        "CanSlew": True,
        "CanSlewAltAz": True,
        "CanSlewAltAzAsync": True,
        "CanSlewAsync": True,
        "CanSync": True,
        "CanSyncAltAz": False,
        "CanUnpark": True,
        "DeclinationRate": 0.0,
        "EquatorialSystem": J2000,
        "RightAscensionRate": 0.0,
        "TrackingRate": SIDEREAL,
        "TrackingRates": [SIDEREAL],
    }
    missing = {  # noqa: RUF012
        "AlignmentMode": None,
        "ApertureArea": None,
        "DeclinationRate": {"DeclinationRate": float},
        "DoesRefraction": {"DoesRefraction": bool},
        "FindHome": {},
        "GuideRateDeclination": {"GuideRateDeclination": float},
        "GuideRateRightAscension": {"GuideRateRightAscension": float},
        "MoveAxis": {"Axis": int, "Rate": float},
        "RightAscensionRate": {"RightAscensionRate": float},
        "SetPark": {},
        "SideOfPier": {"SideOfPier": int},
        "SiteElevation": {"SiteElevation": float},
        "SiteLatitude": {"SiteLatitude": float},
        "SiteLongitude": {"SiteLongitude": float},
        "SlewSettleTime": {"SlewSettleTime": int},
        "SyncToAltAz": {"Azimuth": float, "Altitude": float},
        "UTCDate": {"UTCDate": str},
    }
    operational = (
        "Altitude",
        "AtHome",
        "AtPark",
        "Azimuth",
        "Declination",
        "IsPulseGuiding",
        "RightAscension",
        "SideOfPier",
        "SiderealTime",
        "Slewing",
        "Tracking",
        "UTCDate",
    )
    _target_ra: float | None = None
    _target_dec: float | None = None

    # where it is

    def _state(self) -> TelescopeState:
        return self.site.state(self.address, TelescopeState)

    async def _optics(self) -> TelescopeCapabilities:
        return await self.site.capabilities(self.address, TelescopeCapabilities)

    @get("Altitude")
    def altitude(self) -> float:
        """Degrees."""
        return _known(self._state().alt)

    @get("Azimuth")
    def azimuth(self) -> float:
        """Degrees from north through east."""
        return _known(self._state().az)

    @get("RightAscension")
    def right_ascension(self) -> float:
        """Hours."""
        return _known(self._state().ra) / 15.0 % 24.0

    @get("Declination")
    def declination(self) -> float:
        """Degrees."""
        return _known(self._state().dec)

    @get("AtPark")
    def at_park(self) -> bool:
        """Whether it is parked."""
        return self._state().status is TelescopeStatus.PARKED

    @get("Slewing")
    def slewing(self) -> bool:
        """Whether it moves; raises the error of a motion that failed."""
        if self.operation.is_running or self._state().status in _MOVES:
            return True
        self.operation.check()
        return False

    @get("Tracking")
    def tracking(self) -> bool:
        """Whether it follows the sky."""
        return self._state().status is TelescopeStatus.TRACKING

    @get("SiderealTime")
    def sidereal_time(self) -> float:
        """Local apparent sidereal time in hours."""
        from pytel.sky.coordinates import local_sidereal_time

        return local_sidereal_time(clock.time(), self.site.info.location) / 15.0 % 24.0

    @get("UTCDate")
    def utc_date(self) -> str:
        """Site time."""
        return iso_utc(clock.time())

    @get("SiteElevation")
    def site_elevation(self) -> float:
        """Metres."""
        return self.site.info.location.elevation

    @get("SiteLatitude")
    def site_latitude(self) -> float:
        """Degrees."""
        return self.site.info.location.latitude

    @get("SiteLongitude")
    def site_longitude(self) -> float:
        """Degrees, positive to the east, -180 to 180."""
        return (self.site.info.location.longitude + 180.0) % 360.0 - 180.0

    @get("ApertureDiameter")
    async def aperture_diameter(self) -> float:
        """Metres."""
        return (await self._optics()).aperture / 1000.0

    @get("FocalLength")
    async def focal_length(self) -> float:
        """Metres."""
        return (await self._optics()).focal_length / 1000.0

    # axes, which cannot be moved one by one

    @get("AxisRates", Axis=int)
    def axis_rates(self, axis: int) -> list[dict[str, float]]:
        """None."""
        in_range(axis, 0, 2, "an axis")
        return []

    @get("CanMoveAxis", Axis=int)
    def can_move_axis(self, axis: int) -> bool:
        """No."""
        in_range(axis, 0, 2, "an axis")
        return False

    @get("DestinationSideOfPier", RightAscension=float, Declination=float)
    def destination_side_of_pier(self, ra: float, dec: float) -> int:
        """Nothing that pytel knows."""
        raise not_implemented("DestinationSideOfPier")

    # target

    @get("TargetRightAscension")
    def target_right_ascension(self) -> float:
        """Hours."""
        return _set(self._target_ra, "TargetRightAscension")

    @get("TargetDeclination")
    def target_declination(self) -> float:
        """Degrees."""
        return _set(self._target_dec, "TargetDeclination")

    @put("TargetRightAscension", TargetRightAscension=float)
    def set_target_right_ascension(self, client: Client, ra: float) -> None:
        """Set the target."""
        self._target_ra = _hours(ra)

    @put("TargetDeclination", TargetDeclination=float)
    def set_target_declination(self, client: Client, dec: float) -> None:
        """Set the target."""
        self._target_dec = in_range(dec, -90.0, 90.0, "a declination")

    # motion

    def _refuse_parked(self) -> None:
        if self._state().status is TelescopeStatus.PARKED:
            raise AlpacaError(INVALID_WHILE_PARKED, f"{self.address} is parked; unpark it first")

    def refuse_to_guide(self) -> None:
        """A mount that is parked, slews or stands still cannot be guided."""
        self._refuse_parked()
        if not self.tracking():
            raise invalid_operation(f"{self.address} does not track; there is nothing to guide")

    @put("SlewToCoordinatesAsync", RightAscension=float, Declination=float)
    async def slew_to_coordinates_async(self, client: Client, ra: float, dec: float) -> None:
        """Begin to slew."""
        ra, dec = _hours(ra), in_range(dec, -90.0, 90.0, "a declination")
        self._refuse_parked()
        if not self.tracking():
            raise invalid_operation(f"{self.address} does not track; set Tracking first")
        self._target_ra, self._target_dec = ra, dec
        telescope = await self.controlled(client, Telescope)
        await self.operation.begin(telescope.move_radec(ra * 15.0 % 360.0, dec))

    @put("SlewToCoordinates", RightAscension=float, Declination=float)
    async def slew_to_coordinates(self, client: Client, ra: float, dec: float) -> None:
        """Slew; answers when it has arrived."""
        await self.slew_to_coordinates_async(client, ra, dec)
        await self.operation.finished(LONGEST_SLEW)

    @put("SlewToTargetAsync")
    async def slew_to_target_async(self, client: Client) -> None:
        """Begin to slew to the target."""
        ra, dec = self.target_right_ascension(), self.target_declination()
        await self.slew_to_coordinates_async(client, ra, dec)

    @put("SlewToTarget")
    async def slew_to_target(self, client: Client) -> None:
        """Slew to the target; answers when it has arrived."""
        await self.slew_to_target_async(client)
        await self.operation.finished(LONGEST_SLEW)

    @put("SlewToAltAzAsync", Azimuth=float, Altitude=float)
    async def slew_to_alt_az_async(self, client: Client, az: float, alt: float) -> None:
        """Begin to slew to horizontal coordinates."""
        in_range(az, 0.0, 360.0, "an azimuth")
        in_range(alt, -90.0, 90.0, "an altitude")
        self._refuse_parked()
        if self.tracking():
            raise invalid_operation(f"{self.address} tracks; end Tracking first")
        telescope = await self.controlled(client, Telescope)
        await self.operation.begin(telescope.move_altaz(alt, az % 360.0))

    @put("SlewToAltAz", Azimuth=float, Altitude=float)
    async def slew_to_alt_az(self, client: Client, az: float, alt: float) -> None:
        """Slew to horizontal coordinates; answers when it has arrived."""
        await self.slew_to_alt_az_async(client, az, alt)
        await self.operation.finished(LONGEST_SLEW)

    @put("AbortSlew")
    async def abort_slew(self, client: Client) -> None:
        """Stop."""
        self._refuse_parked()
        self.operation.excuse()
        await self.of(client, Telescope).stop()

    @put("Tracking", Tracking=bool)
    async def set_tracking(self, client: Client, tracking: bool) -> None:
        """Follow the sky from where it points, or stand still there."""
        if tracking:
            self._refuse_parked()
        state = self._state()
        if tracking == self.tracking() or state.status is TelescopeStatus.PARKED:
            return
        telescope = await self.controlled(client, Telescope)
        if tracking:
            job = telescope.move_radec(_known(state.ra), _known(state.dec))
        else:
            job = telescope.move_altaz(_known(state.alt), _known(state.az))
        await self.operation.begin(job, TRACKS_WITHIN)
        await told_soon(lambda: self.operation.is_running or self.tracking() is tracking)

    @put("TrackingRate", TrackingRate=int)
    def set_tracking_rate(self, client: Client, rate: int) -> None:
        """Sidereal only."""
        if rate != SIDEREAL:
            raise invalid_value("the tracking rate is 0 (sidereal), there is no other")

    @put("Park")
    async def park(self, client: Client) -> None:
        """Begin to park."""
        if not self.at_park():
            await self.operation.begin(self.of(client, Telescope).park())

    @put("Unpark")
    async def unpark(self, client: Client) -> None:
        """Make ready to move."""
        if self.at_park():
            await self.operation.begin((await self.controlled(client, Telescope)).unpark(), TRACKS_WITHIN)
            await told_soon(lambda: self.operation.is_running or not self.at_park())

    # synchronisation

    @put("SyncToCoordinates", RightAscension=float, Declination=float)
    async def sync_to_coordinates(self, client: Client, ra: float, dec: float) -> None:
        """Tell the mount where it points."""
        ra, dec = _hours(ra), in_range(dec, -90.0, 90.0, "a declination")
        self._refuse_parked()
        await (await self.controlled(client, Telescope)).sync_radec(ra * 15.0 % 360.0, dec)
        self._target_ra, self._target_dec = ra, dec

    @put("SyncToTarget")
    async def sync_to_target(self, client: Client) -> None:
        """Tell the mount that it points at the target."""
        await self.sync_to_coordinates(client, self.target_right_ascension(), self.target_declination())


def _known(value: float | None) -> float:
    if value is None:
        raise invalid_operation("the mount has not told where it points")
    return value


def _hours(ra: float) -> float:
    if not 0.0 <= ra < 24.0:
        raise invalid_value(f"a right ascension is 0 to 24 hours, not {ra:g}")
    return ra


def _set(value: float | None, name: str) -> float:
    if value is None:
        raise AlpacaError(VALUE_NOT_SET, f"{name} has not been set")
    return value
