"""Domes and roofs of Alpaca."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from pytel.base.errors import DeviceError
from pytel.base.units import Duration
from pytel.devices.alpaca.device import ANSWER, AlpacaDriver
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.services.alpaca_client import DEFAULT_SERVER
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


class AlpacaDome(AlpacaDriver, BaseEnclosure):
    """Opens and closes the shutter of a dome, or a roof, of an Alpaca server; its azimuth is left to that server."""

    class Config(BaseEnclosure.Config, frozen=True, kw_only=True):
        """The device; it tells neither its speed nor how far it has come."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        connect_time: Duration = 30.0
        stall_time: Duration = 60.0
        """Alpaca tells that it moves, not how far: longer than the whole way."""
        poll_period: Duration = 2.0

    config: Config
    device_type: ClassVar[str] = "dome"
    kind = "dome"

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

    async def begin_open(self) -> None:
        """Start to open."""
        await self.alpaca.put("openshutter", ANSWER)

    async def begin_close(self) -> None:
        """Start to close; a dome that does not take it in the midst of an opening is stopped first."""
        try:
            await self.alpaca.put("closeshutter", ANSWER)
        except DeviceError as error:
            if "number" not in error.data:
                raise
            await self.halt()
            await self.alpaca.put("closeshutter", ANSWER)

    async def halt(self) -> None:
        """Stand still."""
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
