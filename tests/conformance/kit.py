"""A way to the modules of an observatory of the test kit, and modules that lie."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pytel.base import clock
from pytel.base.errors import DeviceError, InternalError, LimitExceeded, PytelError
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Origin, Role
from pytel.bus.control_socket import Mute
from pytel.bus.door import NOBODY, Door, Visitor
from pytel.conformance.report import Report, Verdict
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus
from pytel.interfaces.enclosure import Enclosure, EnclosureCapabilities, EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import Filter, FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.rotator import Rotator, RotatorCapabilities, RotatorState
from pytel.interfaces.telescope import Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.interfaces.weather import WeatherState, WeatherStation
from pytel.module import Capabilities, rpc
from pytel.services import Module
from pytel.testing import Observatory

NIGHT = datetime(2026, 6, 17, 20, 0, tzinfo=UTC)
RATE = 10.0


class VisitorLink:
    """What comes through a door of the site, as the control socket hands it on."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.calls: list[tuple[str, Mapping[str, Builtin]]] = []

    async def call(self, method: str, params: Mapping[str, Builtin], within: float) -> Builtin:
        self.calls.append((method, params))
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}
        answer = await self._visitor.answered(msgspec.json.encode(request))
        if "error" in answer:
            raise PytelError.from_wire(answer["error"])
        return msgspec.json.decode(msgspec.json.encode(answer["result"]))


@contextlib.asynccontextmanager
async def linked(observatory: Observatory, name: str = "cli/test") -> AsyncIterator[VisitorLink]:
    """A link of somebody who may do anything."""
    bus = observatory.hub.bus(Address("cli"), is_proxy=True)
    await bus.open(Mute(), NOBODY)
    door = Door(bus, "test")
    door.open()
    try:
        yield VisitorLink(Visitor(door, Origin(name, Role.ADMIN)))
    finally:
        door.close()
        await bus.close()


@contextlib.asynccontextmanager
async def observatory_with(
    modules: dict[str, Any], directory: Path, **more: Any
) -> AsyncIterator[tuple[Observatory, VisitorLink]]:
    """A site of some modules, in its night."""
    place = {"name": "sutherland", "latitude": -32.38, "longitude": 20.81}
    site = {"site": place, "modules": {"control": {"type": "lease-control"}, **modules}, **more}
    fast = clock.ScaledClock(NIGHT.timestamp(), clock.RealClock().real_time(), RATE)
    with clock.using(fast):
        async with Observatory(site, directory=directory) as observatory, linked(observatory) as link:
            yield observatory, link


def verdicts(report: Report) -> dict[str, Verdict]:
    """By what was looked at."""
    return {finding.what: finding.verdict for finding in report.findings}


def deviations(report: Report) -> list[str]:
    """What was found, as sentences."""
    return [f"{finding.what}: {finding.detail}" for finding in report.findings if finding.verdict is Verdict.DEVIATION]


class LazyFocuser(Module, Focuser):
    """Says that it has arrived, and has not moved; takes any position."""

    async def on_start(self) -> None:
        self.publish(FocuserState(status=MotionStatus.IDLE, position=5.0, base=5.0))

    def capabilities(self) -> list[Capabilities]:
        return [FocuserCapabilities(min_position=0.0, max_position=10.0, step=0.001)]

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


class SlowFocuser(LazyFocuser):
    """Moves, but takes its time."""

    base = 5.0

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        if not 0.0 <= position <= 10.0:
            raise LimitExceeded("a focus position must be between 0 and 10 mm")
        self.publish(FocuserState(status=MotionStatus.MOVING, position=self.base, base=self.base))
        try:
            await clock.sleep(2.0 * RATE)
            self.base = position
        finally:
            self.base = self.base if self.base == position else (self.base + position) / 2.0
            self.publish(FocuserState(status=MotionStatus.IDLE, position=self.base, base=self.base))


class StuckWheel(Module, FilterWheel):
    """Reports a filter that is not in the beam by an error of the wrong kind."""

    async def on_start(self) -> None:
        self.publish(FilterWheelState(status=MotionStatus.IDLE, filter="R"))

    def capabilities(self) -> list[Capabilities]:
        return [FilterWheelCapabilities(filters=(Filter(name="R"), Filter(name="V")))]

    @rpc(long=True)
    async def set_filter(self, name: str) -> None:
        if name not in ("R", "V"):
            raise InternalError("KeyError: 'name'")
        self.publish(FilterWheelState(status=MotionStatus.IDLE, filter="R"))


class BlindCamera(Module, Camera):
    """Hands out no image, and does not care for aborts."""

    async def on_start(self) -> None:
        self.publish(CameraState(status=CameraStatus.IDLE))

    def capabilities(self) -> list[Capabilities]:
        return [
            CameraCapabilities(
                width=100,
                height=100,
                pixel_size=9.0,
                gain=1.0,
                read_noise=5.0,
                saturation=65535.0,
                binnings=(1, 2),
                readout_time=1.0,
                has_shutter=True,
                has_cooler=False,
            )
        ]

    @rpc(long=True)
    async def expose(self, exposure_time: Any = 0.0, frame_type: Any = "", binning: int = 1, window: Any = None) -> Any:
        return {"id": "x", "sha256": "", "size": 1, "store": "store"}

    async def abort_exposure(self) -> None:
        """Nothing."""


class DreamingTelescope(Module, Telescope):
    """Says that it has arrived, and stays where it is."""

    async def on_start(self) -> None:
        self._tell(0.0)

    def _tell(self, offset: float) -> None:
        self.publish(
            TelescopeState(status=TelescopeStatus.TRACKING, ra=10.0, dec=20.0, offset_ra=offset, offset_dec=offset)
        )

    def capabilities(self) -> list[Capabilities]:
        return [
            TelescopeCapabilities(
                focal_length=1000.0, aperture=200.0, slew_rate=2.0, min_altitude=20.0, sun_distance=30.0
            )
        ]

    @rpc(long=True)
    async def offset_radec(self, ra: float, dec: float) -> None:
        self._tell(max(ra, 0.0))


class MuteRotator(Module, Rotator):
    """Refuses with an error that says nothing, and cannot be stopped."""

    async def on_start(self) -> None:
        self.publish(RotatorState(status=MotionStatus.IDLE, mechanical=10.0))

    def capabilities(self) -> list[Capabilities]:
        return [RotatorCapabilities(min_mechanical=0.0, max_mechanical=360.0, rate=2.0, can_follow=False)]

    @rpc(long=True)
    async def move_mechanical(self, angle: float) -> None:
        if angle > 360.0:
            raise LimitExceeded("no")
        self.publish(RotatorState(status=MotionStatus.IDLE, mechanical=angle))

    async def stop(self) -> None:
        raise DeviceError("the controller board does not answer")


class EagerRoof(Module, Enclosure):
    """Opens whatever the weather, and remembers that it was told to."""

    opened = 0
    may = False

    async def on_start(self) -> None:
        self.publish(
            EnclosureState(status=EnclosureStatus.CLOSED, may_open=self.may, reasons=() if self.may else ("it rains",))
        )

    def capabilities(self) -> list[Capabilities]:
        return [EnclosureCapabilities(kind="roof", opening_time=10.0, closing_time=10.0)]

    @rpc(long=True)
    async def open(self) -> None:
        type(self).opened += 1

    @rpc(long=True)
    async def close(self) -> None:
        """It is closed."""


class WillingRoof(EagerRoof):
    """Says that it may open, where no safety monitor says so."""

    may = True


class OddStation(Module, WeatherStation):
    """Measures in the wrong units."""

    async def on_start(self) -> None:
        """Nothing."""

    async def read_weather(self) -> WeatherState:
        state = WeatherState(measured=clock.now(), temperature=288.0, humidity=40.0)
        self.publish(state)
        return state
