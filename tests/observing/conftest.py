"""A small observatory of fakes: every interface that the robot uses, as simple as can be, with faults to inject."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytel.base import clock, ids, virtual
from pytel.base.errors import Busy, Cancelled, NotFound, Unsafe
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.autofocus import AutoFocus, AutoFocusState, AutoFocusStatus, FocusResult
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState, CameraStatus, Window
from pytel.interfaces.enclosure import Enclosure, EnclosureCapabilities, EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import Filter, FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.fitsheaders import ExposureMoment, FitsHeaderProvider
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive, ImageArchived, ImageArchiveState
from pytel.interfaces.images import FrameType, ImageRef
from pytel.interfaces.imagestore import ImageStore
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.notifier import Notifier, Urgency
from pytel.interfaces.safety import SafetyMonitor, SafetyMonitorState
from pytel.interfaces.telescope import Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.module import Capabilities, rpc
from pytel.module.handlers import every, on
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.observing.night import night_at
from pytel.services import Module

SITE = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
EVENING = datetime(2026, 3, 17, 17, 0, tzinfo=UTC)


class World:
    """What the fakes share: faults, the sky's mood, and what was archived."""

    def __init__(self) -> None:
        self.safe = True
        self.silent = False
        self.errors: dict[str, list[Exception]] = {}
        self.archive: list[ArchivedImage] = []
        self.in_store: list[ImageRef] = []
        self.archive_delay = 3.0
        self.notices: list[tuple[Urgency, str]] = []
        self.open_at: list[tuple[float, str]] = []

    def fail(self, what: str, *errors: Exception) -> None:
        """Make the next calls of `what` fail, one error each."""
        self.errors.setdefault(what, []).extend(errors)

    def check(self, what: str) -> None:
        """Raise the error that waits for this call."""
        if self.errors.get(what):
            raise self.errors[what].pop(0)


world: World = World()


class FakeSafety(Module, SafetyMonitor):
    @every(10.0)
    async def beat(self) -> None:
        if not world.silent:
            self.speak()

    def speak(self) -> None:
        now = clock.now()
        reasons = () if world.safe else ("rain",)
        expires = now + timedelta(seconds=20)
        self.publish(SafetyMonitorState(safe=world.safe, reasons=reasons, expires=expires, since=now))


class FakeRoof(Module, Enclosure):
    async def on_start(self) -> None:
        self.show(EnclosureStatus.CLOSED)

    def capabilities(self) -> list[Capabilities]:
        return [EnclosureCapabilities(kind="roof", opening_time=30.0, closing_time=30.0)]

    @on(SafetyMonitorState)
    async def guard(self, state: SafetyMonitorState) -> None:
        if not state.safe and self.status is EnclosureStatus.OPEN:
            await self._close()

    @rpc(long=True)
    async def open(self) -> None:
        world.check("open")
        if not world.safe:
            raise Unsafe("rain")
        if self.status is EnclosureStatus.CLOSING:
            raise Busy("roof is closing; wait until it is closed", by="itself", method="close", until=None)
        self.show(EnclosureStatus.OPENING)
        await clock.sleep(30)
        self.show(EnclosureStatus.OPEN)

    @rpc(long=True)
    async def close(self) -> None:
        world.check("close")
        await self._close()

    async def _close(self) -> None:
        if self.status is not EnclosureStatus.CLOSED:
            self.show(EnclosureStatus.CLOSING)
            await clock.sleep(30)
            self.show(EnclosureStatus.CLOSED)

    def show(self, status: EnclosureStatus) -> None:
        self.status = status
        world.open_at.append((clock.time(), status.value))
        self.publish(EnclosureState(status=status))


class FakeTelescope(Module, Telescope):
    async def on_start(self) -> None:
        self.show(TelescopeStatus.PARKED)

    def capabilities(self) -> list[Capabilities]:
        return [TelescopeCapabilities(focal_length=1000, aperture=300, slew_rate=4, min_altitude=10, sun_distance=30)]

    @rpc(long=True)
    async def move_radec(self, ra: float, dec: float) -> None:
        world.check("slew")
        self.show(TelescopeStatus.SLEWING)
        await clock.sleep(20)
        self.show(TelescopeStatus.TRACKING)

    @rpc(long=True)
    async def park(self) -> None:
        world.check("park")
        await clock.sleep(20)
        self.show(TelescopeStatus.PARKED)

    @rpc(long=True)
    async def unpark(self) -> None:
        self.show(TelescopeStatus.IDLE)

    async def stop(self) -> None:
        self.show(TelescopeStatus.IDLE)

    def show(self, status: TelescopeStatus) -> None:
        self.publish(TelescopeState(status=status))


class FakeWheel(Module, FilterWheel):
    async def on_start(self) -> None:
        self.publish(FilterWheelState(status=MotionStatus.IDLE, filter="Clear"))

    def capabilities(self) -> list[Capabilities]:
        return [FilterWheelCapabilities(filters=(Filter(name="Clear"), Filter(name="V", focus_offset=0.02)))]

    @rpc(long=True)
    async def set_filter(self, name: str) -> None:
        world.check("filter")
        await clock.sleep(2)
        self.publish(FilterWheelState(status=MotionStatus.IDLE, filter=name))


class FakeFocuser(Module, Focuser):
    async def on_start(self) -> None:
        self.base, self.offset = 25.0, 0.0
        self.show()

    def capabilities(self) -> list[Capabilities]:
        return [FocuserCapabilities(min_position=0, max_position=50, step=0.001)]

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        await clock.sleep(0.5)
        self.base = position
        self.show()

    @rpc(long=True)
    async def set_focus_offset(self, offset: float) -> None:
        await clock.sleep(0.5)
        self.offset = offset
        self.show()

    def show(self) -> None:
        self.publish(
            FocuserState(status=MotionStatus.IDLE, position=self.base + self.offset, base=self.base, offset=self.offset)
        )


class FakeAutoFocus(Module, AutoFocus):
    @rpc(long=True)
    async def focus(self) -> FocusResult:
        world.check("focus")
        await clock.sleep(60)
        result = FocusResult(position=25.0, uncertainty=0.01, hfd=2.0, time=clock.now())
        self.publish(AutoFocusState(status=AutoFocusStatus.IDLE, last=result))
        return result


class FakeCamera(Module, Camera):
    async def on_start(self) -> None:
        self.aborted = asyncio.Event()
        self.publish(CameraState(status=CameraStatus.IDLE))

    def capabilities(self) -> list[Capabilities]:
        return [
            CameraCapabilities(
                width=64, height=64, pixel_size=9, gain=1.5, read_noise=6, saturation=65535, binnings=(1,),
                readout_time=3, has_shutter=True, has_cooler=True,
            )
        ]  # fmt: skip

    @rpc(long=True)
    async def expose(
        self,
        exposure_time: float,
        frame_type: FrameType = FrameType.OBJECT,
        binning: int = 1,
        window: Window | None = None,
    ) -> ImageRef:
        world.check("expose")
        cards: dict[str, Any] = {}
        for provider in self.find_all(FitsHeaderProvider):
            cards |= await provider.fits_headers(ExposureMoment.START)
        start = clock.now()
        self.publish(CameraState(status=CameraStatus.EXPOSING))
        try:
            self.aborted = asyncio.Event()
            if await clock.wait_for_event(self.aborted, exposure_time + 3):
                raise Cancelled("aborted")
        finally:
            self.publish(CameraState(status=CameraStatus.IDLE))
        image = ids.new_id()
        ref = ImageRef(id=image, sha256=hashlib.sha256(image.encode()).hexdigest(), size=1, store="archive")
        world.in_store.append(ref)
        values = {key: card.value for key, card in cards.items()}
        night = night_at(clock.time(), SITE, -12.0, -18.0)
        assert night is not None
        record = ArchivedImage(
            id=image, sha256=ref.sha256, size=1, path=f"{image}.fits", night=night.date,
            camera="camera", frame_type=frame_type, exposure_time=exposure_time, start=start,
            task=values.get("TASKID"), exposure_index=values.get("TASKEXP"), object=values.get("OBJECT"),
        )  # fmt: skip
        self.spawn(self.deliver(record, ref))
        world.check("answer")
        return ref

    async def deliver(self, record: ArchivedImage, ref: ImageRef) -> None:
        await clock.sleep(world.archive_delay)
        world.archive.append(record)
        self.publish(ImageArchived(image=ref, archived=record))

    async def abort_exposure(self) -> None:
        self.aborted.set()

    async def set_cooling(self, setpoint: float | None) -> None: ...


class FakeArchive(Module, ImageArchive):
    async def on_start(self) -> None:
        self.publish(ImageArchiveState(images=0, pending=0))

    async def find_images(
        self,
        night: Any = None,
        task: str | None = None,
        frame_type: FrameType | None = None,
        object: str | None = None,  # noqa: A002
        limit: int = 1000,
        reduction_level: Any = None,
        sha256: str | None = None,
    ) -> list[ArchivedImage]:
        world.check("archive")
        return [
            image
            for image in world.archive
            if task in (None, image.task) and (night is None or str(image.night) == str(night))
        ]

    async def get_image(self, id: str) -> ArchivedImage:  # noqa: A002
        for image in world.archive:
            if image.id == id:
                return image
        raise NotFound(f"no image {id}")


class FakeStore(Module, ImageStore):
    async def list_images(self, unreleased: bool = False) -> list[ImageRef]:
        return world.in_store


class FakeNotifier(Module, Notifier):
    async def notify(self, urgency: Urgency, subject: str, message: str) -> None:
        world.notices.append((urgency, subject))


FAKES: dict[str, type[Module]] = {
    "archive": FakeArchive,
    "autofocus": FakeAutoFocus,
    "camera": FakeCamera,
    "filterwheel": FakeWheel,
    "focuser": FakeFocuser,
    "notifier": FakeNotifier,
    "roof": FakeRoof,
    "safety": FakeSafety,
    "store": FakeStore,
    "telescope": FakeTelescope,
}


class Site:
    """Modules on one local bus, by name."""

    def __init__(self, directory: Path, world: World) -> None:
        self.info = SiteInfo(name="test", location=SITE, seed=1, state_dir=directory)
        self.hub = LocalHub()
        self.world = world
        self.runtimes: dict[str, ModuleRuntime] = {}

    async def start(self, name: str, kind: type[Module], config: Any = None) -> Any:
        runtime = ModuleRuntime(kind, config=config, site=self.info, bus=self.hub.bus(Address(name)))
        self.runtimes[name] = runtime
        await runtime.start()
        return runtime.module

    async def start_fakes(self) -> None:
        for name, kind in FAKES.items():
            await self.start(name, kind)

    async def crash(self, name: str) -> None:
        await self.runtimes.pop(name).crash()

    async def stop(self) -> None:
        for runtime in reversed(list(self.runtimes.values())):
            await runtime.stop()


@pytest.fixture
def site(tmp_path: Path) -> Callable[[Callable[[Site], Any]], Any]:
    """Run an async function with a fresh site on the virtual clock, from an evening on."""

    def run(scenario: Callable[[Site], Any], start: datetime = EVENING) -> Any:
        global world
        world = World()

        async def main() -> Any:
            site = Site(tmp_path, world)
            try:
                return await scenario(site)
            finally:
                await site.stop()

        return virtual.run(main(), start=start, seed=1)

    return run
