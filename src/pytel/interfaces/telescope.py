"""Pointing and tracking (ASCOM ITelescope, INDI telescope)."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.units import (
    Altitude,
    Arcsec,
    Azimuth,
    Declination,
    Degrees,
    DegreesPerSecond,
    Millimetres,
    RightAscension,
)
from pytel.module import Capabilities, Interface, Role, State, rpc


class TelescopeStatus(StrEnum):
    """What the mount does."""

    PARKED = "parked"
    IDLE = "idle"
    SLEWING = "slewing"
    TRACKING = "tracking"
    PARKING = "parking"
    ERROR = "error"


class MountKind(StrEnum):
    """How the axes stand."""

    EQUATORIAL = "equatorial"
    ALTAZIMUTH = "altazimuth"


class TelescopeState(State, frozen=True, kw_only=True):
    """Where the telescope points, as the mount believes (ICRS)."""

    status: TelescopeStatus
    ra: RightAscension | None = None
    dec: Declination | None = None
    alt: Altitude | None = None
    az: Azimuth | None = None
    target_ra: RightAscension | None = None
    target_dec: Declination | None = None
    offset_ra: Arcsec = 0.0
    offset_dec: Arcsec = 0.0


class TelescopeCapabilities(Capabilities, frozen=True, kw_only=True):
    """The optics and limits of a telescope."""

    focal_length: Millimetres
    aperture: Millimetres
    slew_rate: DegreesPerSecond
    min_altitude: Altitude
    sun_distance: Degrees


class Telescope(Interface, state=TelescopeState, capabilities=TelescopeCapabilities):
    """Points at the sky and follows it."""

    @rpc(long=True, control=True, exclusive="motion")
    async def move_radec(self, ra: RightAscension, dec: Declination) -> None:
        """Slew to ICRS coordinates and track; done when settled.

        Raises `LimitExceeded` below the horizon limit or near the Sun, `DeviceError`, `DeviceTimeout`.
        """
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="motion")
    async def move_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Slew to horizontal coordinates and stay there."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="motion")
    async def offset_radec(self, ra: Arcsec, dec: Arcsec) -> None:
        """Move by a small angle on the sky: `ra` is along right ascension, times cos(dec)."""
        raise NotImplementedError

    @rpc(long=True, role=Role.MODULE)
    async def guide(self, ra: Arcsec, dec: Arcsec) -> None:
        """Correct the tracking by a small angle on the sky, as a guider does: `ra` is along right ascension.

        Needs no lease, for it keeps what the holder of the lease asked for, and does not count as an offset. Raises
        `LimitExceeded` beyond an arcminute, `Busy` while the telescope moves, `NotReady` when it does not track,
        `Cancelled` when a motion takes over, `DeviceError`, `DeviceTimeout`.
        """
        raise NotImplementedError

    @rpc(control=True)
    async def sync_radec(self, ra: RightAscension, dec: Declination) -> None:
        """Tell the mount where it really points."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR, control=True)
    async def set_pointing_model(self, mount: MountKind, terms: dict[str, Arcsec]) -> None:
        """Correct all slews by a pointing model from now on; without terms by none.

        The terms and their sense are those of `pytel.sky.pointing_model`. Raises `InvalidParams` for an unknown term,
        and where the mount has a model of its own.
        """
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def pointing_terms(self) -> dict[str, Arcsec]:
        """Give the terms of the pointing model in use, none without a model."""
        raise NotImplementedError

    @rpc(long=True, role=Role.OBSERVER, exclusive="motion", queues=True)
    async def park(self) -> None:
        """Go to the park position and stop tracking. Needs no lease: it is the way to safety."""
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="motion")
    async def unpark(self) -> None:
        """Make ready to move."""
        raise NotImplementedError

    @rpc(role=Role.OBSERVER, always=True)
    async def stop(self) -> None:
        """Stop all motion at once; a motion under way ends with `Cancelled`."""
        raise NotImplementedError
