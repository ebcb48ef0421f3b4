"""The simulated drivers with their bases, against the simulated world in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytel.archive.store import DirectoryImageStore
from pytel.base import clock, virtual
from pytel.base.errors import (
    Busy,
    Cancelled,
    ConnectionLost,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    LimitExceeded,
    NotReady,
    PytelError,
)
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.devices.simulated.camera import SimulatedCamera
from pytel.devices.simulated.connection import world_config
from pytel.devices.simulated.filterwheel import SimulatedFilterWheel
from pytel.devices.simulated.focuser import SimulatedFocuser
from pytel.devices.simulated.roof import SimulatedRoof
from pytel.devices.simulated.telescope import SimulatedTelescope
from pytel.devices.simulated.weather import SimulatedWeather
from pytel.devices.simulated.world.world import World
from pytel.imaging.fits import read_fits
from pytel.imaging.headers import HeaderCard
from pytel.imaging.wcs import pixel_to_sky, sky_to_pixel
from pytel.interfaces.camera import Camera, CameraCapabilities, CameraState
from pytel.interfaces.enclosure import EnclosureState
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.fitsheaders import ExposureMoment, FitsHeaderProvider
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.images import FrameType
from pytel.interfaces.safety import SafetyMonitor, SafetyMonitorState
from pytel.interfaces.telescope import Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.interfaces.weather import WeatherState
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module, in_thread, on
from pytel.sky.coordinates import altaz_to_radec, offset_by

START = datetime(2026, 1, 10, 20, tzinfo=UTC)
NOON = datetime(2026, 6, 10, 11, tzinfo=UTC)
SIMULATION: dict[str, Any] = {
    "camera": {"width": 128, "height": 96, "rotation": 0.0, "hot_pixels": 0},
    "weather": {"mode": "clear"},
}


class Client(Module):
    """Whoever commands."""


class Site:
    """Drivers on a local bus, and the hardware below them."""

    def __init__(self, path: Path, simulation: dict[str, Any]) -> None:
        place = Location(latitude=50, longitude=10)
        self.info = SiteInfo(name="test", location=place, state_dir=path, seed=1, simulation=simulation)
        self.world = World(world_config(self.info), place, 1)
        self.hub = LocalHub()
        self._running: list[ModuleRuntime] = []

    async def execute(self, device: str, command: str, **params: Any) -> Any:
        return await in_thread(self.world.execute, device, command, params)

    def fault(self, device: str, kind: str, **more: Any) -> None:
        self.world.execute("faults", "inject", {"device": device, "kind": kind, **more})

    def mend(self) -> None:
        self.world.execute("faults", "clear", {})

    async def start(self, kind: type[Module], name: str, **config: Any) -> ModuleRuntime:
        runtime = ModuleRuntime(kind, config=kind.Config(**config), site=self.info, bus=self.hub.bus(Address(name)))
        self._running.append(runtime)
        await runtime.start()
        return runtime

    async def set_up(self) -> None:
        self.client = (await self.start(Client, "client")).module

    async def take_down(self) -> None:
        for runtime in reversed(self._running):
            await runtime.stop()

    def high(self) -> tuple[float, float]:
        """A place well above the horizon."""
        return altaz_to_radec(60.0, 120.0, clock.time(), self.info.location)


Scenario = Callable[[Site], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    async def staged(scenario: Scenario, camera: dict[str, Any]) -> None:
        site = Site(tmp_path, SIMULATION | {"camera": SIMULATION["camera"] | camera})

        async def connected(_: SiteInfo) -> Site:
            return site

        monkeypatch.setattr("pytel.devices.simulated.connection.connect_world", connected)
        await site.set_up()
        try:
            await scenario(site)
        finally:
            await site.take_down()

    def perform(scenario: Scenario, start: datetime = START, **camera: Any) -> None:
        virtual.run(staged(scenario, camera), start=start, seed=1)

    return perform


async def awaited(job: Awaitable[Any]) -> Any:
    return await job


# telescope


async def telescope(site: Site, **config: Any) -> Telescope:
    await site.start(SimulatedTelescope, "telescope", **config)
    return site.client.find(Telescope)


def told(site: Site) -> TelescopeState:
    state = site.client.latest(TelescopeState)
    assert state is not None
    return state


def test_the_telescope_slews_tracks_and_parks(play: Play) -> None:
    async def scenario(site: Site) -> None:
        mount = await telescope(site)
        assert told(site).status is TelescopeStatus.PARKED
        ra, dec = site.high()
        job = mount.move_radec(ra, dec)
        assert 2.0 < (await job.eta() or 0.0) < 60.0
        await clock.sleep(3)
        assert told(site).status is TelescopeStatus.SLEWING
        await job
        await clock.sleep(1)
        state = told(site)
        assert state.status is TelescopeStatus.TRACKING
        assert (state.ra, state.dec) == pytest.approx((ra, dec))
        assert (state.target_ra, state.target_dec) == (ra, dec)
        await mount.offset_radec(30.0, -20.0)
        await clock.sleep(1)
        assert told(site).dec == pytest.approx(dec - 20.0 / 3600)
        assert (told(site).offset_ra, told(site).offset_dec) == (30.0, -20.0)
        await mount.sync_radec(ra, dec)
        await mount.move_altaz(50.0, 200.0)
        await clock.sleep(1)
        assert told(site).status is TelescopeStatus.IDLE
        await mount.park()
        await clock.sleep(1)
        assert told(site).status is TelescopeStatus.PARKED
        await mount.park()
        await mount.unpark()
        assert told(site).status is TelescopeStatus.IDLE

    play(scenario)


def test_the_state_that_tells_the_end_of_an_offset_tells_the_offset(play: Play) -> None:
    class Listener(Module):
        """Notes what the telescope tells."""

        async def on_start(self) -> None:
            self.states: list[TelescopeState] = []

        @on(TelescopeState, policy="all")
        async def noted(self, state: TelescopeState) -> None:
            self.states.append(state)

    async def scenario(site: Site) -> None:
        mount = await telescope(site)
        listener = (await site.start(Listener, "listener")).module
        assert isinstance(listener, Listener)
        await mount.move_radec(*site.high())
        await clock.sleep(10)
        listener.states.clear()
        await mount.offset_radec(30.0, -20.0)
        await clock.sleep(10)
        course = [state.status for state in listener.states]
        assert course.count(TelescopeStatus.SLEWING) >= 1
        arrived = listener.states[len(course) - course[::-1].index(TelescopeStatus.SLEWING) :]
        assert arrived
        assert {(state.offset_ra, state.offset_dec) for state in arrived} == {(30.0, -20.0)}

    play(scenario)


def test_the_telescope_refuses_what_is_below_its_limit_or_near_the_sun(play: Play) -> None:
    async def low(site: Site) -> None:
        mount = await telescope(site)
        ra, dec = altaz_to_radec(14.0, 120.0, clock.time(), site.info.location)
        with pytest.raises(LimitExceeded, match="telescope"):
            await mount.move_radec(ra, dec)
        with pytest.raises(LimitExceeded):
            await mount.move_altaz(5.0, 0.0)
        assert told(site).status is TelescopeStatus.PARKED

    async def sunny(site: Site) -> None:
        from pytel.sky.almanac import sun

        mount = await telescope(site)
        ra, dec = sun(clock.time())
        with pytest.raises(LimitExceeded, match="Sun"):
            await mount.move_radec(ra, dec + 20)

    play(low)
    play(sunny, NOON)


def test_a_guider_corrects_the_tracking_and_a_slew_takes_over(play: Play) -> None:
    async def scenario(site: Site) -> None:
        mount = await telescope(site)
        with pytest.raises(NotReady, match="track"):
            await mount.guide(1.0, 1.0)
        ra, dec = site.high()
        await mount.move_radec(ra, dec)
        correction = asyncio.ensure_future(_guided(mount, 0.0, -3.0))
        await clock.sleep(0.5)
        assert told(site).status is TelescopeStatus.TRACKING
        with pytest.raises(Busy):
            await mount.guide(1.0, 1.0)
        await correction
        await clock.sleep(1)
        assert told(site).dec == pytest.approx(dec - 3.0 / 3600)
        assert (told(site).offset_ra, told(site).offset_dec) == (0.0, 0.0)
        with pytest.raises(LimitExceeded):
            await mount.guide(59.0, 59.0)
        overtaken = asyncio.ensure_future(_guided(mount, 0.0, 3.0))
        await clock.sleep(0.5)
        slew = mount.move_radec(ra, dec - 5.0)
        with pytest.raises(Cancelled):
            await overtaken
        await slew
        await clock.sleep(1)
        assert told(site).dec == pytest.approx(dec - 5.0)

    play(scenario)


async def _guided(mount: Telescope, ra: float, dec: float) -> None:
    await mount.guide(ra, dec)


def test_tracking_ends_at_the_limit(play: Play) -> None:
    async def scenario(site: Site) -> None:
        runtime = await site.start(SimulatedTelescope, "telescope", min_altitude=30.0)
        mount = site.client.find(Telescope)
        ra, dec = altaz_to_radec(30.3, 270.0, clock.time(), site.info.location)
        await mount.move_radec(ra, dec)
        await clock.sleep(300)
        assert told(site).status is TelescopeStatus.IDLE
        assert not runtime.lifecycle.healthy
        await mount.move_radec(*site.high())
        assert runtime.lifecycle.healthy

    play(scenario)


def test_stop_ends_a_slew_and_its_job(play: Play) -> None:
    async def scenario(site: Site) -> None:
        mount = await telescope(site)
        job = asyncio.ensure_future(awaited(mount.move_radec(*site.high())))
        await clock.sleep(4)
        await mount.stop()
        with pytest.raises(Cancelled):
            await job
        assert told(site).status is not TelescopeStatus.SLEWING

    play(scenario)


@pytest.mark.parametrize(
    ("fault", "error"), [("stuck", DeviceError), ("hang", DeviceTimeout), ("silent", DeviceTimeout)]
)
def test_a_mount_that_fails_is_named_and_works_again_when_mended(
    play: Play, fault: str, error: type[DeviceError]
) -> None:
    async def scenario(site: Site) -> None:
        runtime = await site.start(SimulatedTelescope, "telescope")
        mount = site.client.find(Telescope)
        await mount.unpark()
        site.fault("mount", fault)
        begun = clock.time()
        with pytest.raises(error) as failure:
            await mount.move_radec(*site.high())
        assert failure.value.data["device"] in ("telescope", "mount")
        assert clock.time() - begun < 120
        await clock.sleep(6)
        assert not runtime.lifecycle.healthy
        site.mend()
        await mount.move_radec(*site.high())
        await clock.sleep(10)
        assert told(site).status is TelescopeStatus.TRACKING
        assert runtime.lifecycle.healthy

    play(scenario)


def test_the_telescope_gives_header_cards(play: Play) -> None:
    async def scenario(site: Site) -> None:
        mount = await telescope(site, telescope_name="Zwei")
        ra, dec = site.high()
        await mount.move_radec(ra, dec)
        cards = await site.client.find(FitsHeaderProvider).fits_headers(ExposureMoment.START)
        assert cards["RA"].value == pytest.approx(ra)
        assert cards["TELESCOP"].value == "Zwei"
        assert cards["AIRMASS"].value == pytest.approx(1.15, abs=0.01)
        assert {"DEC", "OBJCTRA", "OBJCTDEC", "OBJCTALT", "OBJCTAZ", "FOCALLEN", "APTDIA", "SITELAT"} < set(cards)
        assert (await site.client.capabilities_of(TelescopeCapabilities)).focal_length == 1056.0

    play(scenario)


# focuser and filters


def test_the_focuser_keeps_base_and_offset_apart_also_over_a_restart(play: Play) -> None:
    async def scenario(site: Site) -> None:
        runtime = await site.start(SimulatedFocuser, "focuser")
        focuser = site.client.find(Focuser)
        await focuser.set_focus(20.0)
        await focuser.set_focus_offset(0.5)
        state = site.client.latest(FocuserState)
        assert state is not None
        assert (state.position, state.base, state.offset) == pytest.approx((20.5, 20.0, 0.5))
        await runtime.crash()
        await site.start(SimulatedFocuser, "focuser")
        await focuser.set_focus_offset(0.1)
        state = site.client.latest(FocuserState)
        assert state is not None
        assert (state.position, state.base, state.offset) == pytest.approx((20.1, 20.0, 0.1))
        with pytest.raises(LimitExceeded):
            await focuser.set_focus(1000.0)
        cards = await site.client.find(FitsHeaderProvider).fits_headers(ExposureMoment.START)
        assert cards["FOCUSPOS"].value == pytest.approx(20.1)

    play(scenario)


def test_a_damaged_offset_of_a_focuser_is_an_error_in_words(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Site) -> None:
        runtime = await site.start(SimulatedFocuser, "focuser")
        await site.client.find(Focuser).set_focus_offset(0.5)
        await runtime.stop()
        (kept,) = site.info.state_dir.rglob("offset.json")
        kept.write_text("0.5}", encoding="utf-8")
        await site.start(SimulatedFocuser, "focuser")
        assert "offset.json is damaged" in caplog.text
        with pytest.raises(NotReady, match="remove it"):
            await site.client.find(Focuser).set_focus(10.0)
        kept.unlink()
        await clock.sleep(60)
        await site.client.find(Focuser).set_focus(10.0)

    play(scenario)


@pytest.mark.parametrize(("fault", "error"), [("stuck", DeviceError), ("hang", DeviceTimeout)])
def test_a_focuser_that_fails_is_named(play: Play, fault: str, error: type[DeviceError]) -> None:
    async def scenario(site: Site) -> None:
        await site.start(SimulatedFocuser, "focuser")
        site.fault("focuser", fault)
        with pytest.raises(error, match="focuser"):
            await site.client.find(Focuser).set_focus(10.0)
        site.mend()
        await site.client.find(Focuser).set_focus(10.0)

    play(scenario)


def test_the_filter_wheel_knows_its_filters(play: Play) -> None:
    async def scenario(site: Site) -> None:
        await site.start(SimulatedFilterWheel, "filters", focus_offsets={"V": 0.07})
        wheel = site.client.find(FilterWheel)
        await wheel.set_filter("V")
        state = site.client.latest(FilterWheelState)
        assert state is not None
        assert state.filter == "V"
        with pytest.raises(InvalidParams, match="Clear, B, V, R, I"):
            await wheel.set_filter("Halpha")
        filters = (await site.client.capabilities_of(FilterWheelCapabilities)).filters
        assert {item.name: item.focus_offset for item in filters} == {
            "Clear": 0.0,
            "B": 0.03,
            "V": 0.07,
            "R": 0.01,
            "I": -0.01,
        }
        site.fault("filters", "stuck")
        with pytest.raises(DeviceError, match="filters"):
            await wheel.set_filter("B")

    play(scenario)


# weather and roof


def test_the_weather_station_measures_and_falls_silent_with_an_alarm(play: Play) -> None:
    async def scenario(site: Site) -> None:
        runtime = await site.start(SimulatedWeather, "weather")
        await clock.sleep(1)
        state = site.client.latest(WeatherState)
        assert state is not None
        assert 0 <= (state.humidity or 0.0) <= 100
        assert 0 <= (state.cloud_cover or 0.0) <= 100
        for fault in ("silent", "hang", "disconnect"):
            site.fault("weather", fault)
            before = clock.now()
            await clock.sleep(60)
            state = site.client.latest(WeatherState)
            assert state is not None
            assert (state.measured - before).total_seconds() < 5
            assert not runtime.lifecycle.healthy
            site.mend()
            await clock.sleep(6)
            assert runtime.lifecycle.healthy

    play(scenario)


def test_the_roof_learns_its_speed_from_the_hardware_and_closes_unwatched(play: Play) -> None:
    async def scenario(site: Site) -> None:
        site.world.execute("roof", "open", {})
        await clock.sleep(31)
        await site.start(SimulatedRoof, "roof")
        await clock.sleep(22)
        state = site.client.latest(EnclosureState)
        assert state is not None
        assert state.status.value == "closing"
        await clock.sleep(31)
        assert site.world.execute("roof", "status", {})["status"] == "closed"

    play(scenario)


class Monitor(Module, SafetyMonitor):
    """Says what the test wants."""

    def say(self, safe: bool) -> None:
        now = clock.now()
        self.publish(SafetyMonitorState(safe=safe, since=now, expires=now + timedelta(seconds=20)))


@pytest.mark.parametrize("begins", ["before", "while closing"])
@pytest.mark.parametrize("fault", ["stuck", "hang", "slow", "disconnect", "silent", "lie"])
def test_whatever_ails_the_roof_it_closes_or_somebody_is_told_at_once(play: Play, fault: str, begins: str) -> None:
    async def scenario(site: Site) -> None:
        site.world.execute("roof", "open", {})
        await clock.sleep(31)
        monitor: Any = (await site.start(Monitor, "monitor")).module
        monitor.say(True)
        runtime = await site.start(SimulatedRoof, "roof")
        await clock.sleep(1)
        value = {"value": 4.0} if fault == "slow" else {}
        if begins == "before":
            site.fault("roof", fault, **value)
        monitor.say(False)
        await clock.sleep(10 if begins == "while closing" else 0)
        if begins == "while closing":
            site.fault("roof", fault, **value)
        before = site.world._roof.fraction(clock.time())
        await clock.sleep(2)
        assert site.world._roof.fraction(clock.time()) < before or not runtime.lifecycle.healthy
        await clock.sleep(100)
        site.mend()
        await clock.sleep(80)
        assert site.world._roof.fraction(clock.time()) == 0.0
        state = site.client.latest(EnclosureState)
        assert state is not None
        assert state.status.value == "closed"
        assert runtime.lifecycle.healthy

    play(scenario)


# camera


def test_the_camera_takes_an_image_of_the_simulated_sky(play: Play) -> None:
    async def scenario(site: Site) -> None:
        await site.start(DirectoryImageStore, "store")
        await site.start(SimulatedCamera, "camera", setpoint=-10.0)
        mount = await telescope(site)
        await site.start(SimulatedFilterWheel, "filters")
        site.world.execute("roof", "open", {})
        await mount.move_radec(*site.high())
        assert (await site.client.capabilities_of(CameraCapabilities)).width == 128
        ref = await site.client.find(Camera).expose(20.0, binning=2)
        client: Any = site.client
        pixels, header = await in_thread(read_fits, await client.images.path(ref))
        assert pixels.shape == (48, 64)
        assert header["FILTER"] == "Clear"
        assert header["SET-TEMP"] == -10.0
        assert header["CRVAL1"] == pytest.approx(site.high()[0], abs=2.0)
        await site.client.find(Camera).set_cooling(-20.0)
        state = site.client.latest(CameraState)
        assert state is not None
        assert state.setpoint == -20.0
        bias = await site.client.find(Camera).expose(0.0, FrameType.BIAS)
        assert bias.id != ref.id

    play(scenario)


@pytest.mark.parametrize(
    ("fault", "error"), [("hang", DeviceTimeout), ("disconnect", ConnectionLost), ("stuck", DeviceError)]
)
def test_a_camera_that_fails_works_again_when_mended(play: Play, fault: str, error: type[PytelError]) -> None:
    async def scenario(site: Site) -> None:
        await site.start(DirectoryImageStore, "store")
        runtime = await site.start(SimulatedCamera, "camera")
        site.fault("camera", fault)
        with pytest.raises(error):
            await site.client.find(Camera).expose(20.0)
        site.mend()
        await clock.sleep(20)
        await site.client.find(Camera).expose(2.0)
        assert runtime.lifecycle.healthy

    play(scenario)


@pytest.mark.parametrize(("rotation", "flip"), [(0.0, False), (33.0, False), (33.0, True)])
def test_the_coordinates_in_the_header_are_those_of_the_simulated_optics(
    play: Play, rotation: float, flip: bool
) -> None:
    async def scenario(site: Site) -> None:
        await site.start(DirectoryImageStore, "store")
        await site.start(SimulatedCamera, "camera")
        mount = await telescope(site)
        site.world.execute("roof", "open", {})
        await mount.move_radec(*site.high())
        ref = await site.client.find(Camera).expose(1.0)
        client: Any = site.client
        _, values = await in_thread(read_fits, await client.images.path(ref))
        header = {keyword: HeaderCard(value) for keyword, value in values.items()}
        centre = pixel_to_sky(header, 64.5, 48.5)
        ra, dec = offset_by(*centre, 40.0, -25.0)
        x, y = site.world._renderer.pixels_of(np.array([ra]), np.array([dec]), centre)
        assert sky_to_pixel(header, ra, dec) == pytest.approx((x[0] + 1, y[0] + 1), abs=1e-3)

    play(scenario, rotation=rotation, flip=flip)
