"""The base of every telescope: limits, the Sun, calculated time-outs, state and header cards.

It refuses targets below its horizon or near the Sun, and stops tracking when the sky carries it to either. A mount that
is parked is unparked by the next slew. It does not know the weather: whoever opens the roof parks it.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from pytel.base import clock
from pytel.base.errors import (
    Busy,
    Cancelled,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    LimitExceeded,
    NotReady,
    PytelError,
)
from pytel.base.units import (
    Altitude,
    Arcsec,
    Azimuth,
    Declination,
    Degrees,
    DegreesPerSecond,
    Duration,
    Millimetres,
    RightAscension,
    Seconds,
)
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.telescope import MountKind, Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.module import Capabilities, limit, rpc
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background
from pytel.services.angles import FARTHEST, apart, axis_distance
from pytel.services.module import Module
from pytel.services.telescope_pointing import AppliedPointing
from pytel.services.timing import MARGIN, answered, patient

_ARRIVED = 0.05
"""Degrees off at the end of a slew that still count as arrived (pointing errors are far smaller, mounts that are stuck
farther off)."""
_MOVING_POLL = 1.0
_GUIDING_POLL = 0.2
_POLL = 5.0
_PARKED_POLL = 30.0
FARTHEST_GUIDED: Arcsec = 60.0
"""A guider that wants more has lost its field."""


class MountReading(NamedTuple):
    """What the mount says: ICRS and horizontal degrees, and what it does."""

    ra: RightAscension
    dec: Declination
    alt: Altitude
    az: Azimuth
    slewing: bool
    tracking: bool
    parked: bool


class BaseTelescope(Module, Telescope, FitsHeaderProvider, ABC):
    """What all telescopes share; a driver writes the hooks, each of which talks to the mount and returns at once."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Optics, limits and speed."""

        focal_length: Millimetres = 1056.0
        aperture: Millimetres = 300.0
        min_altitude: Altitude = 15.0
        sun_distance: Degrees = 30.0
        slew_rate: DegreesPerSecond = 4.0
        settle_time: Duration = 2.0
        extra_time: Duration = 10.0
        """Added to each calculated time-out: for acceleration, relays and slow links."""
        answer_time: Duration = 10.0
        mount_has_pointing_model: bool = False
        """A mount that corrects its pointing itself is left alone by `set_pointing_model`."""
        telescope_name: str | None = None
        """For the header (TELESCOP); the module's address otherwise."""

    config: Config

    # hooks

    @abstractmethod
    async def read_mount(self) -> MountReading:
        """Ask the mount where it is."""

    @abstractmethod
    async def begin_slew(self, ra: RightAscension, dec: Declination) -> None:
        """Start to slew to ICRS coordinates; it tracks there."""

    @abstractmethod
    async def begin_slew_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Start to slew to horizontal coordinates; it stands still there."""

    @abstractmethod
    async def begin_offset(self, ra: Arcsec, dec: Arcsec) -> None:
        """Start to move by a small angle on the sky."""

    @abstractmethod
    async def begin_park(self) -> None:
        """Start to go to the park position."""

    @abstractmethod
    async def begin_unpark(self) -> None:
        """Make ready to move."""

    @abstractmethod
    async def set_tracking(self, enabled: bool) -> None:
        """Follow the sky, or stand still."""

    @abstractmethod
    async def halt(self) -> None:
        """Stop a slew at once."""

    @abstractmethod
    async def synchronise(self, ra: RightAscension, dec: Declination) -> None:
        """Take these coordinates for where it points now."""

    # state

    _target: tuple[float, float] | None = None
    _offset: tuple[float, float] = (0.0, 0.0)
    _motion: TelescopeStatus | None = None
    _guiding = False
    _told: TelescopeState | None = None

    async def on_start(self) -> None:
        """Reach the mount once before serving."""
        self._stopped = asyncio.Event()
        self._look_again = asyncio.Event()
        self._looks = asyncio.Lock()
        self._pointing = AppliedPointing(self.directory / "pointing.json", self.site.location)
        await self._pointing.load()
        await self._look()

    def capabilities(self) -> list[Capabilities]:
        """Tell optics and limits."""
        config = self.config
        return [
            TelescopeCapabilities(
                focal_length=config.focal_length,
                aperture=config.aperture,
                slew_rate=config.slew_rate,
                min_altitude=config.min_altitude,
                sun_distance=config.sun_distance,
            )
        ]

    @background
    async def watch(self) -> None:
        """Read the mount again and again, and hold it to its limits (while it moves, the motion itself reads it)."""
        while True:
            try:
                reading = await self._look()
                if reading.tracking and not reading.slewing:
                    await self._hold_limits(reading)
            except PytelError:
                self.log.debug("the mount could not be read; the alarm says why", exc_info=True)
            tracks = self._told is None or self._told.status is not TelescopeStatus.PARKED
            await clock.wait_for_event(self._look_again, _POLL if tracks else _PARKED_POLL)
            self._look_again.clear()

    async def _look(self) -> MountReading:
        # One after the other: what is told last is what was read last.
        async with self._looks:
            return await self._read_and_tell()

    async def _read_and_tell(self) -> MountReading:
        try:
            reading = await self._ask(self.read_mount(), "tell where it points")
        except PytelError as error:
            self.raise_alarm("connection", error)
            self._tell(TelescopeState(status=TelescopeStatus.ERROR))
            raise
        self.clear_alarm("connection")
        ra, dec = self._pointing.sky(reading.ra, reading.dec, clock.time())
        reading = reading._replace(ra=ra, dec=dec)
        self._tell(self._state_of(reading))
        return reading

    async def _ask(self, work: Awaitable[MountReading], what: str) -> MountReading:
        return await answered(work, self.config.answer_time, str(self.address), what)

    async def _tell_mount(self, work: Awaitable[None], what: str) -> None:
        await answered(work, self.config.answer_time, str(self.address), what)

    def _state_of(self, reading: MountReading) -> TelescopeState:
        target = self._target or (None, None)
        return TelescopeState(
            status=self._status_of(reading),
            ra=reading.ra,
            dec=reading.dec,
            alt=reading.alt,
            az=reading.az,
            target_ra=target[0],
            target_dec=target[1],
            offset_ra=self._offset[0],
            offset_dec=self._offset[1],
        )

    def _status_of(self, reading: MountReading) -> TelescopeStatus:
        if self._motion is not None:
            return self._motion
        if reading.slewing and not self._guiding:
            return TelescopeStatus.SLEWING
        if reading.parked:
            return TelescopeStatus.PARKED
        return TelescopeStatus.TRACKING if reading.tracking or self._guiding else TelescopeStatus.IDLE

    def _tell(self, state: TelescopeState) -> None:
        if state != self._told:
            self._told = state
            self.publish(state)

    # limits

    async def _hold_limits(self, reading: MountReading) -> None:
        """Stop tracking at the horizon and near the Sun."""
        try:
            self._refuse_low(reading.alt)
            await self._refuse_sun(reading.ra, reading.dec)
        except LimitExceeded as error:
            await self._tell_mount(self.set_tracking(False), "stop tracking")
            self.raise_alarm("limits", error)
            await self._look()

    def _refuse_low(self, alt: Altitude) -> None:
        if alt < self.config.min_altitude:
            raise LimitExceeded(
                f"{self.address} does not go below {self.config.min_altitude:g} deg altitude; this is at {alt:.0f} deg",
                device=str(self.address),
            )

    async def _refuse_sun(self, ra: RightAscension, dec: Declination) -> None:
        from pytel.sky.almanac import sun
        from pytel.sky.coordinates import separation

        distance = separation(ra, dec, *sun(clock.time()))
        if distance < self.config.sun_distance:
            raise LimitExceeded(
                f"{self.address} does not point within {self.config.sun_distance:g} deg of the Sun: "
                f"{ra:.2f} {dec:+.2f} is {distance:.0f} deg from it",
                device=str(self.address),
            )

    async def _refuse_radec(self, ra: RightAscension, dec: Declination) -> None:
        from pytel.sky.coordinates import radec_to_altaz

        alt, _ = radec_to_altaz(ra, dec, clock.time(), self.site.location)
        self._refuse_low(alt)
        await self._refuse_sun(ra, dec)

    # pointing model

    def _aim(self, ra: RightAscension, dec: Declination) -> tuple[RightAscension, Declination]:
        """Where the mount is to be sent for a place of the sky."""
        return self._pointing.aim(ra, dec, clock.time())

    async def set_pointing_model(self, mount: MountKind, terms: dict[str, Arcsec]) -> None:
        """Use a pointing model for all slews from now on, also after a restart."""
        if self.config.mount_has_pointing_model and terms:
            raise InvalidParams(f"the mount of {self.address} has a pointing model of its own; give it the terms")
        await self._pointing.use(mount.value, terms)
        self._look_again.set()

    async def pointing_terms(self) -> dict[str, Arcsec]:
        """The terms in use."""
        return self._pointing.terms

    # motion

    @rpc(long=True)
    async def move_radec(self, ra: RightAscension, dec: Declination) -> None:
        """Slew and track; done when settled."""
        await self._refuse_radec(ra, dec)
        await self._unpark()
        self._target, self._offset = (ra, dec), (0.0, 0.0)
        await self._move(
            TelescopeStatus.SLEWING,
            lambda: self.begin_slew(*self._aim(ra, dec)),
            lambda now: apart(now.ra, now.dec, ra, dec),
        )

    @rpc(long=True)
    async def move_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Slew and stay there."""
        from pytel.sky.coordinates import altaz_to_radec

        self._refuse_low(alt)
        await self._refuse_sun(*altaz_to_radec(alt, az, clock.time(), self.site.location))
        await self._unpark()
        self._target, self._offset = None, (0.0, 0.0)
        await self._move(
            TelescopeStatus.SLEWING,
            lambda: self.begin_slew_altaz(alt, az),
            lambda now: apart(now.az, now.alt, az, alt),
        )

    @rpc(long=True)
    async def offset_radec(self, ra: Arcsec, dec: Arcsec) -> None:
        """Move by a small angle. Raises `LimitExceeded` beyond a degree, `DeviceError` when it does not track."""
        limit(math.hypot(ra, dec), 0.0, 3600.0, "an offset", "arcsec")
        reading = await self._look()
        if not reading.tracking:
            raise DeviceError(f"{self.address} does not track; slew to a target first", device=str(self.address))
        await self._move(
            TelescopeStatus.SLEWING, lambda: self.begin_offset(ra, dec), lambda now: 0.0, distance=1.0, offset=(ra, dec)
        )

    @rpc(long=True)
    async def guide(self, ra: Arcsec, dec: Arcsec) -> None:
        """Correct the tracking by at most `FARTHEST_GUIDED`; whatever moves the telescope takes over."""
        limit(math.hypot(ra, dec), 0.0, FARTHEST_GUIDED, "a correction", "arcsec")
        reading = await self._look()
        if self._motion is not None or self._guiding or reading.slewing:
            raise Busy(f"{self.address} is moving; correct it again when it tracks", device=str(self.address))
        if not reading.tracking:
            raise NotReady(f"{self.address} does not track: there is nothing to correct", device=str(self.address))
        self._guiding = True
        try:
            await self._tell_mount(self.begin_offset(ra, dec), "begin to move")
            await self._corrected()
        finally:
            self._guiding = False
            self._look_again.set()

    async def _corrected(self) -> None:
        """Wait for the end of a correction. Raises `Cancelled` when something else moves, `DeviceTimeout`."""
        patience = self._duration(1.0) * MARGIN + patient(self.config.extra_time, 2.0)
        ends = clock.time() + patience
        while True:
            reading = await self._look()
            if self._motion is not None:
                raise Cancelled(f"{self.address} was moved during the correction")
            if not reading.slewing:
                return
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} still moves after {patience:.0f} s; look at the mount", device=str(self.address)
                )
            await clock.sleep(min(_GUIDING_POLL, max(0.1, ends - clock.time())))

    async def sync_radec(self, ra: RightAscension, dec: Declination) -> None:
        """Tell the mount where it really points. Raises `DeviceError` unless it tracks, `LimitExceeded` if far off."""
        reading = await self._look()
        if not reading.tracking or reading.slewing:
            raise DeviceError(f"{self.address} does not track; slew to a target first", device=str(self.address))
        limit(apart(reading.ra, reading.dec, ra, dec), 0.0, 5.0, "a correction", "deg")
        await self._tell_mount(self.synchronise(*self._aim(ra, dec)), "take its position")
        self._look_again.set()

    @rpc(long=True)
    async def park(self) -> None:
        """Go to the park position; a parked mount stays as it is."""
        if (await self._look()).parked:
            return
        self._target, self._offset = None, (0.0, 0.0)
        await self._move(TelescopeStatus.PARKING, self.begin_park, lambda now: 0.0 if now.parked else FARTHEST)

    @rpc(long=True)
    async def unpark(self) -> None:
        """Make ready to move."""
        await self._unpark()
        await self._look()

    async def stop(self) -> None:
        """Stop all motion at once."""
        self._stopped.set()
        await self._tell_mount(self.halt(), "stop")
        self._look_again.set()

    def estimate_move_radec(self, ra: RightAscension, dec: Declination) -> Seconds:
        """From the longer way of both axes."""
        told = self._told
        return self._duration(FARTHEST if told is None else axis_distance(told.ra, told.dec, ra, dec))

    def estimate_move_altaz(self, alt: Altitude, az: Azimuth) -> Seconds:
        """From the longer way of both axes."""
        told = self._told
        return self._duration(FARTHEST if told is None else axis_distance(told.az, told.alt, az, alt))

    def _duration(self, distance: Degrees) -> Seconds:
        return distance / self.config.slew_rate + self.config.settle_time

    async def _unpark(self) -> None:
        if (await self._look()).parked:
            await self._tell_mount(self.begin_unpark(), "unpark")
            await self._settled(lambda now: FARTHEST if now.parked else 0.0, self._duration(0.0))

    async def _move(
        self,
        motion: TelescopeStatus,
        begin: Callable[[], Awaitable[None]],
        off: Callable[[MountReading], Degrees],
        distance: Degrees = FARTHEST,
        offset: tuple[Arcsec, Arcsec] = (0.0, 0.0),
    ) -> None:
        """Begin a motion and wait for its end; whatever goes wrong, the mount is stopped.

        The state that tells its end tells the `offset` that it made as well: guiders know an offset from a slew by it.
        An equatorial mount may go a long way round to a place that is near: the time-out is that of half a turn.
        """
        self._stopped.clear()
        self._motion = motion
        self._look_again.set()
        try:
            await self._tell_mount(begin(), "begin to move")
            reading = await self._settled(off, self._duration(distance))
        except BaseException as error:
            if isinstance(error, DeviceError):
                self.raise_alarm("motion", error)
            await self._halt_quietly()
            raise
        finally:
            self._motion = None
            self._look_again.set()
        self._offset = (self._offset[0] + offset[0], self._offset[1] + offset[1])
        self._tell(self._state_of(reading))
        self.clear_alarm("limits")
        self.clear_alarm("motion")

    async def _settled(self, off: Callable[[MountReading], Degrees], expected: Seconds) -> MountReading:
        """Wait until it stands where it should. Raises `Cancelled`, `DeviceTimeout`, and `DeviceError` elsewhere."""
        patience = expected * MARGIN + patient(self.config.extra_time, 2.0)
        ends = clock.time() + patience
        while True:
            reading = await self._look()
            if self._stopped.is_set():
                raise Cancelled(f"{self.address} was stopped")
            if not reading.slewing:
                self._refuse_elsewhere(off(reading))
                return reading
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} still moves after {patience:.0f} s; look at the mount", device=str(self.address)
                )
            await clock.wait_for_event(self._stopped, min(_MOVING_POLL, max(0.1, ends - clock.time())))

    def _refuse_elsewhere(self, off: Degrees) -> None:
        if off > _ARRIVED:
            raise DeviceError(
                f"{self.address} stands still and is not where it was sent; look at the mount", device=str(self.address)
            )

    async def _halt_quietly(self) -> None:
        try:
            await self._tell_mount(self.halt(), "stop")
        except PytelError as error:
            self.raise_alarm("motion", error)

    # header cards

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell where it points now, the optics and the site."""
        from pytel.imaging.headers import card, pointing_cards, site_cards
        from pytel.sky.coordinates import airmass

        now = await self._look()
        cards = pointing_cards(
            telescope=self.config.telescope_name or str(self.address),
            ra=now.ra,
            dec=now.dec,
            altitude=now.alt,
            azimuth=now.az,
            airmass=airmass(now.alt),
        )
        cards |= site_cards(self.site.name, self.site.location)
        cards["FOCALLEN"] = card("FOCALLEN", self.config.focal_length)
        cards["APTDIA"] = card("APTDIA", self.config.aperture)
        return {keyword: Card(value=value, comment=comment) for keyword, (value, comment) in cards.items()}
