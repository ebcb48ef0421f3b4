"""The mount: slews with acceleration, tracks, and does not point quite where it believes."""

from __future__ import annotations

import math
from typing import Any

from pytel.base.errors import LimitExceeded
from pytel.base.units import Altitude, Arcsec, Azimuth, Declination, RightAscension
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.pointing import PointingErrors
from pytel.devices.simulated.world.state import Frame
from pytel.sky.coordinates import altaz_to_radec, hour_angle, offset_by, project, radec_to_altaz

Place = tuple[float, float]
_NEVER = 1e12
_SIDEREAL_RATE = 15.041068640 / 3600  # degrees per second


class Mount(Device):
    """An equatorial mount. Places are (ra, dec) or (alt, az) in degrees."""

    name = "mount"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.config = site.config.telescope
        self.state = site.state.mount
        self.errors = PointingErrors(self.config, site.seed)

    def radec(self, now: float) -> Place:
        """Where it believes it points, ICRS."""
        frame, place = self._place(now)
        return place if frame == "radec" else altaz_to_radec(*place, now, self.site.location)

    def altaz(self, now: float) -> Place:
        """Where it believes it points above the horizon."""
        frame, place = self._place(now)
        return place if frame == "altaz" else radec_to_altaz(*place, now, self.site.location)

    def true_radec(self, now: float) -> Place:
        """Where it really points, ICRS: the centre of the detector."""
        ra, dec = self.radec(now)
        east, north = self._error(ra, dec, now)
        return offset_by(ra, dec, east - self.state.sync_east, north - self.state.sync_north)

    def slewing(self, now: float) -> bool:
        """Tell whether it moves or settles."""
        return self.local(now) < self.state.start + self._duration()

    def tracking(self, now: float) -> bool:
        """Tell whether it follows the sky."""
        return self.state.tracking and now < self.state.tracking_until

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report what the encoders say."""
        ra, dec = self.radec(now)
        alt, az = self.altaz(now)
        slewing = self.slewing(now)
        return {
            "ra": ra,
            "dec": dec,
            "alt": alt,
            "az": az,
            "slewing": slewing,
            "tracking": self.tracking(now),
            "parked": self.state.parked and not slewing,
        }

    @command
    def slew(self, now: float, ra: RightAscension, dec: Declination) -> None:
        """Begin to slew to an ICRS place and track there. Raises `LimitExceeded` below the limit of altitude."""
        self._require_unparked()
        self._require_altitude(radec_to_altaz(ra, dec, now, self.site.location)[0])
        if not self.is_stuck():
            self.state.slews += 1
            self._move("radec", self.radec(now), (ra, dec), now)

    @command
    def slew_altaz(self, now: float, alt: Altitude, az: Azimuth) -> None:
        """Begin to slew to a place above the horizon and stand still there."""
        self._require_unparked()
        self._require_altitude(alt)
        if not self.is_stuck():
            self.state.slews += 1
            self._move("altaz", self.altaz(now), (alt, az), now)

    @command
    def offset(self, now: float, d_ra: Arcsec, d_dec: Arcsec) -> None:
        """Begin to move by arcseconds on the sky, east and north, from where it is or is going to."""
        self._require_unparked()
        if not self.tracking(now):
            raise self.fault("the mount is not tracking; slew to a target before an offset")
        if not self.is_stuck():
            since = self.state.tracking_since
            target = offset_by(*self.state.target, d_ra, d_dec)
            self._move("radec", self.radec(now), target, now)
            self.state.tracking_since = since

    @command
    def track(self, now: float, enabled: bool) -> None:
        """Follow the sky from here, or stand still."""
        self._require_unparked()
        if not self.is_stuck() and enabled != self.tracking(now):
            self._hold("radec" if enabled else "altaz", now)

    @command
    def park(self, now: float) -> None:
        """Begin to slew to the place of rest."""
        if not self.is_stuck() and not self.state.parked:
            self.state.parked = True
            self._move("altaz", self.altaz(now), (self.config.park_altitude, self.config.park_azimuth), now)

    @command
    def unpark(self, now: float) -> None:
        """Make ready to move."""
        if not self.is_stuck() and self.state.parked:
            self.state.parked = False
            self._hold("altaz", now)

    @command
    def stop(self, now: float) -> None:
        """End a slew where it is; tracking goes on if the slew would have ended tracking."""
        if self.slewing(now):
            self.state.parked = False
            self._hold("radec" if self.tracking(now) else "altaz", now)

    @command
    def sync(self, now: float, ra: RightAscension, dec: Declination) -> None:
        """Believe that it points at (`ra`, `dec`) now."""
        self._require_unparked()
        if self.slewing(now) or not self.tracking(now):
            raise self.fault("the mount can be synchronised only while it tracks; slew and wait before a sync")
        true = self.true_radec(now)
        since = self.state.tracking_since
        self._move("radec", (ra, dec), (ra, dec), now)
        self.state.tracking_since = since
        xi, eta = project(*true, ra, dec)
        east, north = self._error(ra, dec, now)
        self.state.sync_east, self.state.sync_north = east - xi * 3600, north - eta * 3600

    def halt(self, now: float, value: Any) -> None:
        """Get stuck: stand still above the horizon."""
        self.state.parked = self.state.parked and not self.slewing(now)
        self._hold("altaz", now)

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Report that it has arrived."""
        if self.state.frame == "altaz":
            return status | {"slewing": False}
        ra, dec = self.state.target
        alt, az = radec_to_altaz(ra, dec, now, self.site.location)
        return status | {"slewing": False, "ra": ra, "dec": dec, "alt": alt, "az": az}

    def _place(self, now: float) -> tuple[Frame, Place]:
        state = self.state
        if state.frame == "radec" and now >= state.tracking_until:
            return "altaz", radec_to_altaz(*state.target, state.tracking_until, self.site.location)
        done = self._progress(self.local(now) - state.start)
        if done >= 1.0:
            return state.frame, state.target
        steps = self._steps()
        first, second = (start + done * step for start, step in zip(state.origin, steps, strict=True))
        return state.frame, ((first % 360, second) if state.frame == "radec" else (first, second % 360))

    def _steps(self) -> Place:
        """Degrees along both axes, the short way round for the one that goes round."""
        state = self.state
        first, second = (b - a for a, b in zip(state.origin, state.target, strict=True))
        return (_short(first), second) if state.frame == "radec" else (first, _short(second))

    def _duration(self) -> float:
        distance = max(map(abs, self._steps()))
        return self._travel_time(distance) + self.config.settle_time if distance else 0.0

    def _travel_time(self, distance: float) -> float:
        rate, acceleration = self.config.slew_rate, self.config.acceleration
        if distance < rate**2 / acceleration:
            return 2 * math.sqrt(distance / acceleration)
        return distance / rate + rate / acceleration

    def _progress(self, seconds: float) -> float:
        """How much of the way is done, 0 to 1: speed up, cruise, slow down."""
        distance = max(map(abs, self._steps()))
        total = self._travel_time(distance)
        if seconds >= total or distance == 0:
            return 1.0
        rate, acceleration = self.config.slew_rate, self.config.acceleration
        ramp = min(rate / acceleration, total / 2)
        if seconds < ramp:
            return max(0.0, acceleration * seconds**2 / 2 / distance)
        if seconds > total - ramp:
            return 1.0 - acceleration * (total - seconds) ** 2 / 2 / distance
        return acceleration * ramp * (seconds - ramp / 2) / distance

    def _move(self, frame: Frame, origin: Place, target: Place, now: float) -> None:
        state = self.state
        state.frame, state.origin, state.target, state.start = frame, origin, target, self.local(now)
        state.tracking = frame == "radec"
        state.tracking_since = now
        state.tracking_until = self._sets(*target, now) if state.tracking else 0.0

    def _hold(self, frame: Frame, now: float) -> None:
        place = self.radec(now) if frame == "radec" else self.altaz(now)
        self._move(frame, place, place, now)

    def _sets(self, ra: float, dec: float, now: float) -> float:
        """When a place sinks to the limit of altitude."""
        lat, d, limit = (math.radians(x) for x in (self.site.location.latitude, dec, self.config.minimum_altitude))
        across = math.cos(lat) * math.cos(d)
        cosine = (math.sin(limit) - math.sin(lat) * math.sin(d)) / across if abs(across) > 1e-9 else -2.0
        if cosine <= -1:
            return _NEVER
        setting = math.degrees(math.acos(min(1.0, cosine)))
        left = setting - hour_angle(ra, dec, now, self.site.location)
        return now + max(0.0, left) / _SIDEREAL_RATE

    def _error(self, ra: float, dec: float, now: float) -> Place:
        scatter = self.errors.scatter(self.state.slews)
        smooth = self.errors.smooth(hour_angle(ra, dec, now, self.site.location), dec)
        tracking = self.tracking(now)
        drift = self.errors.drift(now - self.state.tracking_since) if tracking else (0.0, 0.0)
        worm = self.errors.worm(now) if tracking else 0.0
        return smooth[0] + scatter[0] + drift[0] + worm, smooth[1] + scatter[1] + drift[1]

    def _require_unparked(self) -> None:
        if self.state.parked:
            raise self.fault("the mount is parked; unpark it first")

    def _require_altitude(self, alt: float) -> None:
        limit = self.config.minimum_altitude
        if alt < limit:
            raise LimitExceeded(
                f"the mount does not go below {limit:g}° altitude; the target is at {alt:.1f}°", device=self.name
            )


def _short(angle: float) -> float:
    return (angle + 180.0) % 360.0 - 180.0
