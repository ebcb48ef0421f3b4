"""Domes and roofs of INDI."""

from __future__ import annotations

from collections.abc import Callable

from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, PytelError
from pytel.base.units import Azimuth, Degrees, Duration
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.outgoing import Values
from pytel.devices.indi.properties import PropertyState, Vector
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.dome_following import FollowingDome, SlitReading
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_sensor import EnclosureReading

_SHUTTER, _AZIMUTH, _ABORT, _PARK = "DOME_SHUTTER", "ABS_DOME_POSITION", "DOME_ABORT_MOTION", "DOME_PARK"
_ANSWER = 1.2
"""Less than an enclosure waits for its hardware: what went wrong is told in words."""


class _IndiEnclosure(IndiDriver, BaseEnclosure):
    """What roofs and domes share: commands go out over a link that stands, or not at all."""

    class Config(BaseEnclosure.Config, frozen=True, kw_only=True):
        """The device; it tells neither its speed nor how far it has come."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        stall_time: Duration = 60.0
        """INDI tells that it moves, not how far: longer than the whole way."""
        poll_period: Duration = 2.0

    config: Config
    shutter = ""
    """The property that opens and closes."""
    ways = ("", "")
    """Its members: what opens, and what closes."""

    async def connect(self) -> None:
        """Connect the device, and wait for its shutter."""
        await self.connect_device(self.shutter)

    async def read_capabilities(self) -> None:
        """Make sure that it has what is needed to open and to close."""
        for member in self.ways:
            if not self.indi.has(self.shutter, member):
                raise DeviceError(
                    f"{self.indi.name} cannot be opened and closed: its {self.shutter} has no {member}",
                    device=str(self.address),
                )

    def _standing(self, name: str) -> Vector:
        """A property over a link that stands. Raises `ConnectionLost`: then it is connected anew."""
        if not self.indi.connected:
            raise ConnectionLost(f"{self.indi.name} of {self.indi.client.address} is not connected")
        return self.indi.vector(name)

    async def _command(self, name: str, values: Values, done: Callable[[Vector], bool]) -> None:
        self._standing(name)
        await self.indi.set(name, values, _ANSWER, done=done)

    async def begin_open(self) -> None:
        """Start to open."""
        await self._begin(self.ways[0])

    async def begin_close(self) -> None:
        """Start to close; an opening under way is stopped first, but if it does not stop, closing goes ahead."""
        shutter = self._standing(self.shutter)
        if shutter.state is PropertyState.BUSY and not shutter.members_on(self.ways[1]):
            try:
                await self.halt()
            except PytelError as error:
                self.log.warning("closing although the opening was not stopped: %s", error)
        await self._begin(self.ways[1])

    async def _begin(self, member: str) -> None:
        await self._command(
            self.shutter,
            {member: True},
            lambda now: now.members_on(member) and now.state is not PropertyState.ALERT,
        )

    async def halt(self) -> None:
        """Stand still. Some INDI drivers answer Alert although they have stopped: the shutter itself is believed."""
        if not self.indi.has(_ABORT):
            return
        try:
            await self._command(_ABORT, {"ABORT": True}, lambda now: True)
        except DeviceTimeout:
            raise
        except DeviceError:
            if self._standing(self.shutter).state is PropertyState.BUSY:
                raise

    async def read_enclosure(self) -> EnclosureReading:
        """Read what it has told last."""
        vector = self._standing(self.shutter)
        opens, closes = (vector.members_on(member) for member in self.ways)
        if vector.state is PropertyState.ALERT:
            return EnclosureReading(EnclosureStatus.ERROR)
        if opens == closes:
            return EnclosureReading(EnclosureStatus.UNKNOWN)
        if vector.state is PropertyState.BUSY:
            return EnclosureReading(EnclosureStatus.OPENING if opens else EnclosureStatus.CLOSING)
        return EnclosureReading(EnclosureStatus.OPEN if opens else EnclosureStatus.CLOSED)


class IndiRoof(_IndiEnclosure):
    """Drives a roll-off roof of an INDI server: what INDI calls unparked is open."""

    shutter = _PARK
    ways = ("UNPARK", "PARK")


class IndiDome(_IndiEnclosure, FollowingDome):
    """Drives a dome of an INDI server: its shutter, and its azimuth after the telescope."""

    class Config(_IndiEnclosure.Config, frozen=True, kw_only=True):
        """The device, and how it follows."""

        follow: bool = True
        """Turn the slit to where the telescope points; off where INDI does (DOME_AUTOSYNC) or nothing turns."""
        follow_within: Degrees = 5.0

    config: Config
    kind = "dome"
    shutter = _SHUTTER
    ways = ("SHUTTER_OPEN", "SHUTTER_CLOSE")

    async def read_slit(self) -> SlitReading | None:
        """Read what it has told last."""
        if self._indi is None or not self.indi.connected or not self.indi.has(_AZIMUTH):
            return None
        vector = self.indi.vector(_AZIMUTH)
        return SlitReading(vector.number("DOME_ABSOLUTE_POSITION") % 360.0, vector.state is PropertyState.BUSY)

    async def turn_to(self, azimuth: Azimuth) -> None:
        """Start to turn."""
        await self._command(
            _AZIMUTH,
            {"DOME_ABSOLUTE_POSITION": azimuth},
            lambda now: now.state is PropertyState.BUSY or now.state is PropertyState.OK,
        )
