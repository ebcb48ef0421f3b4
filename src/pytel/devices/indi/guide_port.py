"""Guide ports of INDI: mounts and cameras that take timed pulses."""

from __future__ import annotations

from pytel.base.units import Duration
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState
from pytel.interfaces.guideport import GuideDirection
from pytel.services.guide_port import SIDEREAL, BaseGuidePort

_MEMBERS = {
    GuideDirection.NORTH: ("TELESCOPE_TIMED_GUIDE_NS", "TIMED_GUIDE_N"),
    GuideDirection.SOUTH: ("TELESCOPE_TIMED_GUIDE_NS", "TIMED_GUIDE_S"),
    GuideDirection.WEST: ("TELESCOPE_TIMED_GUIDE_WE", "TIMED_GUIDE_W"),
    GuideDirection.EAST: ("TELESCOPE_TIMED_GUIDE_WE", "TIMED_GUIDE_E"),
}
_AXES = ("TELESCOPE_TIMED_GUIDE_NS", "TELESCOPE_TIMED_GUIDE_WE")


class IndiGuidePort(IndiDriver, BaseGuidePort):
    """Gives pulses through an INDI device."""

    class Config(BaseGuidePort.Config, frozen=True, kw_only=True):
        """The device: a mount, a camera with an ST-4 socket, or an adapter."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0

    config: Config

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(*_AXES)

    async def read_capabilities(self) -> None:
        """Read the guide rates, which only mounts tell, as fractions of the sidereal rate."""
        if self.indi.has("GUIDE_RATE"):
            rates = self.indi.vector("GUIDE_RATE")
            east_west, north_south = rates.number("GUIDE_RATE_WE"), rates.number("GUIDE_RATE_NS")
            if east_west > 0 and north_south > 0:
                self.fit(rate_ra=SIDEREAL * east_west, rate_dec=SIDEREAL * north_south)

    async def begin_pulse(self, direction: GuideDirection, duration: Duration) -> None:
        """Start to move."""
        name, member = _MEMBERS[direction]
        values = {each: 0.0 for way, each in _MEMBERS.values() if way == name} | {member: 1000.0 * duration}
        await self.indi.set(name, values, self.config.answer_time, done=lambda now: True)

    async def is_guiding(self, direction: GuideDirection) -> bool:
        """Ask whether its axis still moves."""
        return self.indi.vector(_MEMBERS[direction][0]).state is PropertyState.BUSY

    async def end_pulses(self) -> None:
        """Stop both axes: a pulse of no length takes the place of the one under way."""
        for name in _AXES:
            if self.indi.vector(name).state is PropertyState.BUSY:
                await self.indi.send(name, {member: 0.0 for way, member in _MEMBERS.values() if way == name})
