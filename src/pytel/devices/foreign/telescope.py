"""A telescope that a foreign system moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, PytelError
from pytel.base.units import Altitude, Arcsec, Azimuth, Declination, RightAscension
from pytel.devices.foreign.client import ForeignSystem
from pytel.devices.foreign.device import Begun, ForeignCall, ForeignDevice, Question, faults_of_config, open_device
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.services.telescope import BaseTelescope, MountReading


class MountStatus(StrEnum):
    """What a mount can say that it does."""

    PARKED = "parked"
    IDLE = "idle"
    SLEWING = "slewing"
    TRACKING = "tracking"
    ERROR = "error"


class MountReport(Struct, frozen=True, kw_only=True):
    """What is wanted of `read`: ICRS degrees. Where altitude and azimuth are not told they are calculated."""

    ra: RightAscension
    dec: Declination
    alt: Altitude | None = None
    az: Azimuth | None = None
    status: MountStatus


class _Direction(Struct, frozen=True, kw_only=True):
    ra: RightAscension
    dec: Declination


class _Horizontal(Struct, frozen=True, kw_only=True):
    alt: Altitude
    az: Azimuth


class _Offset(Struct, frozen=True, kw_only=True):
    ra: Arcsec
    dec: Arcsec


class _Tracking(Struct, frozen=True, kw_only=True):
    enabled: bool


class _Operation(Struct, frozen=True, kw_only=True):
    operation: str | int


class OperationStatus(StrEnum):
    """How far something has come that was begun."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class _OperationReport(Struct, frozen=True, kw_only=True):
    status: OperationStatus
    message: str | None = None


QUESTIONS = {
    "read": Question(wants=MountReport, again=True),
    "slew": Question(_Direction, Begun),
    "slew_altaz": Question(_Horizontal, Begun),
    "offset": Question(_Offset, Begun),
    "park": Question(wants=Begun),
    "unpark": Question(wants=Begun),
    "track": Question(_Tracking),
    "halt": Question(),
    "sync": Question(_Direction),
    "operation": Question(_Operation, _OperationReport, again=True),
}


class ForeignTelescope(BaseTelescope):
    """Presents the telescope of a foreign system; limits, the Sun and time-outs are pytel's own."""

    class Config(BaseTelescope.Config, frozen=True, kw_only=True):
        """The system, and how each thing is asked of it.

        Without `offset` a small move is a slew; without `operation` the end of a motion is seen from the status alone.
        """

        system: ForeignSystem
        read: ForeignCall
        slew: ForeignCall
        park: ForeignCall
        unpark: ForeignCall
        track: ForeignCall
        halt: ForeignCall
        slew_altaz: ForeignCall | None = None
        offset: ForeignCall | None = None
        sync: ForeignCall | None = None
        operation: ForeignCall | None = None

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with the mapping."""
            return faults_of_config(self, QUESTIONS)

    config: Config
    device: ForeignDevice
    _under_way: str | int | None = None

    async def on_start(self) -> None:
        """Reach the system once."""
        self.device = await open_device(self, QUESTIONS)
        await super().on_start()

    async def read_mount(self) -> MountReading:
        """Ask for the status, and for the operation that was begun last until it is over."""
        is_moving = await self._goes_on()
        report: MountReport = await self.device.ask("read")
        if report.status is MountStatus.ERROR:
            raise DeviceError(f"{self.address}: the foreign system reports an error of its mount", device=self._name)
        alt, az = self._horizontal(report)
        return MountReading(
            ra=report.ra,
            dec=report.dec,
            alt=alt,
            az=az,
            slewing=is_moving or report.status is MountStatus.SLEWING,
            tracking=report.status is MountStatus.TRACKING,
            parked=report.status is MountStatus.PARKED and not is_moving,
        )

    @property
    def _name(self) -> str:
        return str(self.address)

    def _horizontal(self, report: MountReport) -> tuple[Altitude, Azimuth]:
        if report.alt is not None and report.az is not None:
            return report.alt, report.az
        from pytel.sky.coordinates import radec_to_altaz

        return radec_to_altaz(report.ra, report.dec, clock.time(), self.site.location)

    async def _goes_on(self) -> bool:
        """Whether the operation that was begun last is still under way. Raises `DeviceError` when it failed."""
        operation = self._under_way
        if operation is None or self.config.operation is None:
            return False
        try:
            report: _OperationReport = await self.device.ask("operation", operation=operation)
        except (ConnectionLost, DeviceTimeout):
            raise
        except PytelError:
            self._forget(operation)  # a system that was started again knows nothing of it
            raise
        if report.status is OperationStatus.RUNNING:
            return True
        self._forget(operation)
        if report.status is OperationStatus.FAILED:
            said = f": {' '.join(report.message.split())[:200]}" if report.message else ""
            raise DeviceError(f"{self.address}: the foreign system failed to move{said}", device=self._name)
        return False

    def _forget(self, operation: str | int) -> None:
        if self._under_way == operation:
            self._under_way = None

    async def _begin(self, name: str, **given: Any) -> None:
        begun: Begun = await self.device.ask(name, **given)
        self._under_way = begun.operation

    async def begin_slew(self, ra: RightAscension, dec: Declination) -> None:
        """Start to slew."""
        await self._begin("slew", ra=ra, dec=dec)

    async def begin_slew_altaz(self, alt: Altitude, az: Azimuth) -> None:
        """Start to slew to where it will stand still."""
        await self._begin("slew_altaz", alt=alt, az=az)

    async def begin_offset(self, ra: Arcsec, dec: Arcsec) -> None:
        """Start to move by a small angle; a system that cannot is sent to the place itself."""
        if self.config.offset is not None:
            await self._begin("offset", ra=ra, dec=dec)
            return
        now = await self.read_mount()
        there = now.dec + dec / 3600.0
        if abs(there) > 89.0:
            raise DeviceError(f"{self.address} cannot make small moves so near to the pole", device=self._name)
        around = now.ra + ra / 3600.0 / math.cos(math.radians(now.dec))
        await self.begin_slew(around % 360.0 % 360.0, there)

    async def begin_park(self) -> None:
        """Start to go to the park position."""
        await self._begin("park")

    async def begin_unpark(self) -> None:
        """Make ready to move."""
        await self._begin("unpark")

    async def set_tracking(self, enabled: bool) -> None:
        """Follow the sky, or stand still."""
        await self.device.ask("track", enabled=enabled)

    async def halt(self) -> None:
        """Stop a slew."""
        self._under_way = None
        await self.device.ask("halt")

    async def synchronise(self, ra: RightAscension, dec: Declination) -> None:
        """Take these coordinates for where it points."""
        await self.device.ask("sync", ra=ra, dec=dec)
