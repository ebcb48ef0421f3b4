"""Domes and roofs of Alpaca."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, InvalidParams, MethodNotFound, PytelError
from pytel.base.units import Azimuth, Degrees, Duration, Seconds
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.alpaca_client import DEFAULT_SERVER
from pytel.services.dome_following import FollowingDome, SlitReading
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_sensor import EnclosureReading

_STATUS = (
    EnclosureStatus.OPEN,
    EnclosureStatus.CLOSED,
    EnclosureStatus.OPENING,
    EnclosureStatus.CLOSING,
    EnclosureStatus.ERROR,
)
"""By ShutterState of ASCOM, from 0."""


class AlpacaDome(AlpacaDriver, FollowingDome):
    """Drives a dome or a roof of an Alpaca server: its shutter, and its azimuth after the telescope where it turns."""

    class Config(BaseEnclosure.Config, frozen=True, kw_only=True):
        """The device; it tells neither its speed nor how far it has come."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        stall_time: Duration = 60.0
        """Alpaca tells that it moves, not how far: longer than the whole way."""
        poll_period: Duration = 2.0
        follow: bool = True
        """Turn the slit to where the telescope points; off where another program does, or nothing turns."""
        follow_within: Degrees = 5.0

    config: Config
    device_type = "dome"
    kind = "dome"
    _turns = False
    _closes_since: Seconds | None = None

    async def connect(self) -> None:
        """Connect."""
        await self.connect_device()

    async def read_capabilities(self) -> None:
        """Make sure that it can be opened and closed."""
        if not await self.alpaca.flag("cansetshutter", ANSWER):
            raise DeviceError(
                f"{self.address}: this dome's shutter cannot be opened and closed by its Alpaca server",
                device=str(self.address),
            )
        self._turns = await self.alpaca.flag("cansetazimuth", ANSWER)

    async def read_slit(self) -> SlitReading | None:
        """Ask for the slit; a dome that is slaved to a telescope by its server follows without us."""
        if not self._turns or not self.linked or await self._is_slaved():
            return None
        turning = await self.alpaca.flag("slewing", ANSWER)
        return SlitReading(await self.alpaca.number_of("azimuth", ANSWER) % 360.0, turning)

    async def _is_slaved(self) -> bool:
        try:
            return await self.alpaca.flag("slaved", ANSWER)
        except (MethodNotFound, InvalidParams):
            return False

    async def turn_to(self, azimuth: Azimuth) -> None:
        """Start to turn."""
        await self.alpaca.put("slewtoazimuth", ANSWER, Azimuth=azimuth % 360.0)

    async def begin_open(self) -> None:
        """Start to open."""
        self._closes_since = None
        await self.alpaca.put("openshutter", ANSWER)

    async def begin_close(self) -> None:
        """Start to close; one that refuses in the midst of an opening is stopped first, one that closes never is."""
        try:
            await self.alpaca.put("closeshutter", ANSWER)
        except DeviceError as error:
            if "number" not in error.data:
                raise
            if (await self.read_enclosure()).status is EnclosureStatus.CLOSING:
                return
            await self.halt()
            await self.alpaca.put("closeshutter", ANSWER)

    async def begin_close_otherwise(self) -> None:
        """Start to close after stopping; a closing that is under way is not stopped before it is late."""
        if not await self._is_closing_in_time():
            await self.halt()
        await self.begin_close()

    async def _is_closing_in_time(self) -> bool:
        try:
            status = (await self.read_enclosure()).status
        except (ConnectionLost, DeviceTimeout):
            raise
        except PytelError:
            return False
        if status is not EnclosureStatus.CLOSING:
            self._closes_since = None
            return False
        if self._closes_since is None:
            self._closes_since = clock.elapsed()
        return clock.elapsed() - self._closes_since < self.config.closing_time

    async def halt(self) -> None:
        """Stand still."""
        self._closes_since = None
        await self.alpaca.put("abortslew", ANSWER)

    async def read_enclosure(self) -> EnclosureReading:
        """Ask for the shutter."""
        status = await self.alpaca.whole("shutterstatus", ANSWER)
        if not 0 <= status < len(_STATUS):
            raise DeviceError(
                f"{self.address}: a shutter's status is 0 to 4, not {status}; look at that server",
                device=str(self.address),
            )
        return EnclosureReading(_STATUS[status])
