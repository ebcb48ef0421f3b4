"""GPS receivers of INDI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from pytel.base.errors import DeviceError
from pytel.base.units import Duration, Latitude, Longitude, Metres, Seconds
from pytel.devices.indi.client import DEFAULT_SERVER
from pytel.devices.indi.device import IndiDriver
from pytel.devices.indi.properties import PropertyState, Vector
from pytel.interfaces.timesource import TimeSource, TimeSourceState
from pytel.module.config import ModuleConfig
from pytel.services import every

_TIME, _PLACE, _REFRESH = "TIME_UTC", "GEOGRAPHIC_COORD", "GPS_REFRESH"
_CLOCK = "clock"
_HALF_A_SECOND = 0.5
"""TIME_UTC tells whole seconds, cut off: the instant lies half a second later, give or take as much."""


class IndiTime(IndiDriver, TimeSource):
    """Reads a GPS receiver of an INDI server, and tells when the computer's clock is off."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """The device, how often it is asked, and how far off the clock may be."""

        server: str = DEFAULT_SERVER
        device: str
        connect_time: Duration = 30.0
        period: Annotated[Seconds, Meta(ge=1)] = 60.0
        """How often the receiver is asked."""
        tolerance: Annotated[Seconds, Meta(ge=1)] = 2.0
        """The module is in error while the computer's clock is off by more; INDI tells whole seconds."""
        answer_time: Annotated[Seconds, Meta(gt=0)] = 10.0
        """For the receiver to tell a time after it was asked; one without a fix lets it pass."""

    config: Config
    _has_place = False

    async def on_start(self) -> None:
        """Connect."""
        await self.connect_device(_TIME, _REFRESH)

    async def read_capabilities(self) -> None:
        """Find out whether the receiver tells a place, too."""
        self._has_place = all(self.indi.has(_PLACE, member) for member in ("LAT", "LONG", "ELEV"))

    @every("period")
    async def measure(self) -> None:
        """Ask, and publish what was told; a clock that is off is an alarm until it is right."""
        await self.read_time()

    async def read_time(self) -> TimeSourceState:
        """Ask now."""
        told = await self._refreshed()
        receiver = _instant(told)
        offset = told.received - receiver.timestamp() - _HALF_A_SECOND
        fine = abs(offset) <= self.config.tolerance
        latitude, longitude, elevation = self._where()
        state = TimeSourceState(
            measured=receiver,
            offset=offset,
            uncertainty=_HALF_A_SECOND,
            within_tolerance=fine,
            latitude=latitude,
            longitude=longitude,
            elevation=elevation,
        )
        self.publish(state)
        self._judge(offset, fine=fine)
        return state

    async def _refreshed(self) -> Vector:
        """The time as told after the receiver was asked for it."""
        before = self.indi.vector(_TIME).count
        await self.indi.send(_REFRESH, {"REFRESH": True})
        told = await self.indi.wait(
            _TIME,
            lambda now: now.count > before and now.state is not PropertyState.BUSY,
            self.config.answer_time,
            alert=False,
        )
        if told.state is PropertyState.ALERT:
            raise DeviceError(
                f"{self.indi.name} tells no time: {self.indi.last_words() or 'nothing said'}; has it a fix?",
                device=str(self.address),
            )
        return told

    def _where(self) -> tuple[Latitude | None, Longitude | None, Metres | None]:
        if not self._has_place:
            return None, None, None
        place = self.indi.vector(_PLACE)
        longitude = (place.number("LONG") + 180.0) % 360.0 - 180.0
        return place.number("LAT"), longitude, place.number("ELEV")

    def _judge(self, offset: Seconds, *, fine: bool) -> None:
        if fine:
            self.clear_alarm(_CLOCK)
            return
        # Without the offset itself: what stays the same is told once.
        way = "ahead of" if offset > 0 else "behind"
        self.raise_alarm(
            _CLOCK,
            DeviceError(
                f"this computer's clock is {way} {self.indi.name} by more than {self.config.tolerance:g} s: see to its "
                "NTP or PTP service",
                device=str(self.address),
            ),
        )


def _instant(told: Vector) -> datetime:
    """The UTC of a TIME_UTC vector. Raises `DeviceError`."""
    text = told.text("UTC")
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise DeviceError(
            f"{told.device}: {_TIME}.UTC is no time ({text[:40]!r}); look at its INDI driver", device=told.device
        ) from error
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
