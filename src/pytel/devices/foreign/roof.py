"""A roof or dome that a foreign system opens and closes."""

from __future__ import annotations

from collections.abc import Iterator

from pytel.base.units import Fraction
from pytel.devices.foreign.client import ForeignSystem
from pytel.devices.foreign.device import ForeignCall, ForeignDevice, Question, faults_of_config, open_device
from pytel.interfaces.enclosure import EnclosureStatus
from pytel.module.faults import Found
from pytel.module.messages import Struct
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_sensor import EnclosureReading


class RoofReport(Struct, frozen=True, kw_only=True):
    """What is wanted of `read`; `opening` is 0 (shut) to 1."""

    status: EnclosureStatus
    opening: Fraction | None = None


QUESTIONS = {
    "read": Question(wants=RoofReport, again=True),
    "open": Question(),
    "close": Question(),
    "halt": Question(),
}


class ForeignRoof(BaseEnclosure):
    """Presents the roof of a foreign system; whether it may be open is judged here, whatever that system thinks."""

    class Config(BaseEnclosure.Config, frozen=True, kw_only=True):
        """The system, and how each thing is asked of it."""

        system: ForeignSystem
        read: ForeignCall
        open: ForeignCall
        close: ForeignCall
        halt: ForeignCall

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with the mapping."""
            return faults_of_config(self, QUESTIONS)

    config: Config
    device: ForeignDevice

    async def on_start(self) -> None:
        """Begin to watch; the system is reached later."""
        self.device = await open_device(self, QUESTIONS)
        await super().on_start()

    async def begin_open(self) -> None:
        """Start to open."""
        await self.device.ask("open")

    async def begin_close(self) -> None:
        """Start to close."""
        await self.device.ask("close")

    async def halt(self) -> None:
        """Stand still."""
        await self.device.ask("halt")

    async def read_enclosure(self) -> EnclosureReading:
        """Ask for the status."""
        report: RoofReport = await self.device.ask("read")
        return EnclosureReading(report.status, report.opening)
