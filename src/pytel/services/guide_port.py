"""The base of every guide port: one pulse at a time on each axis, each with its time-out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable

from pytel.base import clock
from pytel.base.errors import Busy, Cancelled, DeviceTimeout, PytelError
from pytel.base.units import ArcsecPerSecond, Duration, Seconds
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities, GuidePortState
from pytel.module import Capabilities, limit, rpc
from pytel.module.config import ModuleConfig
from pytel.services.module import Module
from pytel.services.timing import MARGIN, answered, patient

_POLL = 0.1
_RA = frozenset({GuideDirection.EAST, GuideDirection.WEST})
SIDEREAL: ArcsecPerSecond = 15.041


class BaseGuidePort(Module, GuidePort, ABC):
    """What all guide ports share; a driver writes the hooks, each of which returns at once."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Rates and patience."""

        rate_ra: ArcsecPerSecond = 0.5 * SIDEREAL
        rate_dec: ArcsecPerSecond = 0.5 * SIDEREAL
        max_pulse: Duration = 5.0
        extra_time: Duration = 3.0
        answer_time: Duration = 5.0

    config: Config
    _ra: GuideDirection | None = None
    _dec: GuideDirection | None = None
    _stops = 0

    @abstractmethod
    async def begin_pulse(self, direction: GuideDirection, duration: Duration) -> None:
        """Start to move at the guide rate for `duration`."""

    @abstractmethod
    async def is_guiding(self, direction: GuideDirection) -> bool:
        """Ask whether the axis of a direction still moves; asked when its pulse should be over."""

    @abstractmethod
    async def end_pulses(self) -> None:
        """Stop both axes."""

    def capabilities(self) -> list[Capabilities]:
        """Tell the rates."""
        config = self.config
        return [GuidePortCapabilities(rate_ra=config.rate_ra, rate_dec=config.rate_dec, max_pulse=config.max_pulse)]

    @rpc(long=True)
    async def pulse_guide(self, direction: GuideDirection, duration: Duration) -> None:
        """Give one pulse; done when it is over."""
        limit(duration, 0.0, self.config.max_pulse, "a guide pulse", "s")
        if (self._ra if direction in _RA else self._dec) is not None:
            raise Busy(f"{self.address} still gives a pulse on that axis", device=str(self.address))
        self._note(direction, direction)
        stops, over = self._stops, clock.time() + duration
        try:
            # Some devices answer when the pulse is over.
            await self._answered(self.begin_pulse(direction, duration), "begin to guide", duration)
            await clock.sleep(max(0.0, over - clock.time()))
            await self._until_over(direction, duration, stops)
        except BaseException:
            await self._end_quietly()
            raise
        finally:
            self._note(direction, None)

    async def _until_over(self, direction: GuideDirection, duration: Duration, stops: int) -> None:
        patience = duration * (MARGIN - 1.0) + patient(self.config.extra_time, 1.0)
        ends = clock.time() + patience
        while await self._asked(direction):
            if clock.time() >= ends:
                raise DeviceTimeout(
                    f"{self.address} still guides {patience:.0f} s after the end of its pulse; look at the mount",
                    device=str(self.address),
                )
            await clock.sleep(_POLL)
        if self._stops != stops:
            raise Cancelled(f"{self.address} was stopped")

    async def _asked(self, direction: GuideDirection) -> bool:
        within: Seconds = self.config.answer_time
        return await answered(self.is_guiding(direction), within, str(self.address), "tell whether it guides")

    async def _answered(self, work: Awaitable[None], what: str, longer: Seconds = 0.0) -> None:
        await answered(work, self.config.answer_time + longer, str(self.address), what)

    def estimate_pulse_guide(self, direction: GuideDirection, duration: Duration) -> Seconds:
        """As long as the pulse."""
        return duration

    async def stop_guide(self) -> None:
        """End all pulses at once."""
        self._stops += 1
        await self._answered(self.end_pulses(), "stop guiding")

    async def _end_quietly(self) -> None:
        try:
            await self._answered(self.end_pulses(), "stop guiding")
        except PytelError as error:
            self.log.warning("its pulses could not be ended: %s", error)

    def _note(self, axis: GuideDirection, now: GuideDirection | None) -> None:
        if axis in _RA:
            self._ra = now
        else:
            self._dec = now
        self.publish(GuidePortState(ra=self._ra, dec=self._dec))
