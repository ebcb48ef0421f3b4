"""Pulse guiding of a telescope of Alpaca, by the guide port that the site file gives it."""

from __future__ import annotations

from typing import Any

from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import in_range
from pytel.gateway.alpaca.errors import not_implemented as absent
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.operation import Operation
from pytel.gateway.alpaca.site import AlpacaSite, Client
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities, GuidePortState

BEGUN_WITHIN: Seconds = 0.1
"""Real seconds for which an answer waits: guiders send pulse after pulse."""
_DIRECTIONS = (GuideDirection.NORTH, GuideDirection.SOUTH, GuideDirection.EAST, GuideDirection.WEST)


class PulseGuided(Device):
    """Has pulses where there is a guide port."""

    kind = "telescope"

    def __init__(self, site: AlpacaSite, *where: Any) -> None:
        super().__init__(site, *where)
        self._pulses: Operation[None] = Operation()

    async def close(self) -> None:
        """Let go of what is under way."""
        await super().close()
        await self._pulses.close()

    def _port(self, what: str) -> Address:
        port = self.site.guide_ports.get(self.address)
        if port is None:
            raise absent(what)
        return port

    async def _rates(self, what: str) -> GuidePortCapabilities:
        return await self.site.capabilities(self._port(what), GuidePortCapabilities)

    @get("CanPulseGuide")
    def can_pulse_guide(self) -> bool:
        """Whether the site file gives it a guide port."""
        return self.address in self.site.guide_ports

    @get("IsPulseGuiding")
    def is_pulse_guiding(self) -> bool:
        """Whether a pulse is being given; raises the error of one that failed."""
        state = self.site.state(self._port("IsPulseGuiding"), GuidePortState)
        if self._pulses.is_running or state.ra is not None or state.dec is not None:
            return True
        self._pulses.check()
        return False

    @get("GuideRateRightAscension")
    async def guide_rate_right_ascension(self) -> float:
        """Degrees per second."""
        return (await self._rates("GuideRateRightAscension")).rate_ra / 3600.0

    @get("GuideRateDeclination")
    async def guide_rate_declination(self) -> float:
        """Degrees per second."""
        return (await self._rates("GuideRateDeclination")).rate_dec / 3600.0

    @put("PulseGuide", Direction=int, Duration=int)
    async def pulse_guide(self, client: Client, direction: int, duration: int) -> None:
        """Begin to give a pulse of so many milliseconds."""
        longest = (await self._rates("PulseGuide")).max_pulse
        in_range(direction, 0, 3, "a direction")
        in_range(duration, 0, longest * 1000.0, "the milliseconds of a pulse")
        self.refuse_to_guide()
        if duration:
            port = client.find(GuidePort, self._port("PulseGuide"))
            await self._pulses.begin(port.pulse_guide(_DIRECTIONS[direction], duration / 1000.0), BEGUN_WITHIN)

    def refuse_to_guide(self) -> None:
        """Raise `AlpacaError` where no pulse makes sense."""
