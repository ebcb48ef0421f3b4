"""Telling people what the robot cannot mend by itself."""

from __future__ import annotations

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.interfaces.notifier import Notifier, Urgency
from pytel.services import Module

AGAIN_AFTER: Seconds = 3600.0


class People:
    """Sends notices through the notifier, each matter at most once an hour; what fails is sent later."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._told: dict[str, float] = {}
        self._unsent: list[tuple[Urgency, str, str]] = []

    async def tell(self, urgency: Urgency, subject: str, message: str) -> None:
        """Tell of a matter, named by its subject, unless that was done within the hour."""
        if clock.time() - self._told.get(subject, float("-inf")) >= AGAIN_AFTER:
            self._told[subject] = clock.time()
            self._unsent.append((urgency, subject, message))
        await self.send()

    async def send(self) -> None:
        """Send what is waiting."""
        while self._unsent:
            try:
                await self._module.find(Notifier).notify(*self._unsent[0])
            except PytelError as error:
                self._module.log.warning("%s: nobody was told: %s", self._unsent[0][1], error.message)
                return
            self._unsent.pop(0)

    def forget(self, subject: str) -> None:
        """The matter is settled: when it comes back it is told again."""
        self._told.pop(subject, None)
