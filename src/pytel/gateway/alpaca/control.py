"""The control lease, which Alpaca does not know: the first command takes it, silence gives it back."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions, Origin
from pytel.bus.door import Door
from pytel.interfaces import control as leases

if TYPE_CHECKING:
    from pytel.gateway.alpaca.site import Client

RENEWED: Seconds = 15.0
"""Real seconds after which a lease is renewed; it lasts for a minute."""
SILENCE: Seconds = 60.0
"""Real seconds without a request of a connected client after which leases are given back."""

log = logging.getLogger("pytel.gateway")


class Control:
    """Keeps the leases of all groups whose devices clients move; they are one origin, and share them."""

    def __init__(self, door: Door, origin: Origin) -> None:
        self._door, self._origin = door, origin
        self._held: dict[Address, float] = {}
        self._heard = monotonic()

    def note_request(self) -> None:
        """A connected client has asked for something."""
        self._heard = monotonic()

    async def take(self, client: Client, device: Address) -> None:
        """Have the control of a device's group. Raises `ControlHeld`, `NotAllowed`."""
        self.note_request()
        for peer in self._door.modules():
            if leases.Control.urn() in peer.card.interfaces and peer.address.group in (None, device.group):
                if self._is_fresh(peer.address):
                    continue
                await client.find(leases.Control, peer.address).take()
                self._held[peer.address] = monotonic()

    def _is_fresh(self, keeper: Address) -> bool:
        return monotonic() - self._held.get(keeper, float("-inf")) < RENEWED

    async def run(self) -> None:
        """Renew what is used and give back what is not, until it is cancelled."""
        while True:
            await asyncio.sleep(RENEWED)
            if monotonic() - self._heard > SILENCE:
                await self.release()
            for keeper in list(self._held):
                await self._ask(keeper, "renew")

    async def release(self) -> None:
        """Give all leases back."""
        for keeper in list(self._held):
            await self._ask(keeper, "release")
            self._held.pop(keeper, None)

    async def _ask(self, keeper: Address, method: str) -> None:
        try:
            await self._door.bus.call(keeper, method, {}, CallOptions(timeout=5.0, origin=self._origin))
            self._held[keeper] = monotonic()
        except PytelError as error:
            log.info("Alpaca's clients have no control any more: %s", error)
            self._held.pop(keeper, None)
