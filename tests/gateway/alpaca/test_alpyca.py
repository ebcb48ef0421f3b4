"""ASCOM's own client, unchanged, drives an observatory of pytel."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable
from types import ModuleType

import alpaca
import numpy as np
import pytest
from alpaca import discovery, management
from alpaca.camera import Camera, CameraStates, ImageArrayElementTypes
from alpaca.covercalibrator import CalibratorStatus, CoverCalibrator, CoverStatus
from alpaca.device import Device
from alpaca.dome import Dome, ShutterState
from alpaca.exceptions import (
    InvalidOperationException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
    ParkedException,
    ValueNotSetException,
)
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.observingconditions import ObservingConditions
from alpaca.rotator import Rotator
from alpaca.safetymonitor import SafetyMonitor
from alpaca.switch import Switch
from alpaca.telescope import EquatorialCoordinateType, Telescope, TelescopeAxes
from numpy.typing import NDArray

from gateway.alpaca.kit import DEVICES, AlpacaSite, in_a_thread
from pytel.gateway.alpaca.server import KINDS
from pytel.interfaces.images import NewImage


def wait(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def connected(device: Device) -> Device:
    device.Connect()
    wait(lambda: not device.Connecting)
    assert device.Connected
    return device


@pytest.mark.slow
async def test_it_is_found_and_tells_its_devices(site: AlpacaSite) -> None:
    def look() -> None:
        assert site.address in discovery.search_ipv4(numquery=1, timeout=2)
        assert management.apiversions(site.address) == [1]
        assert "sutherland" in management.description(site.address)["ServerName"]
        found = management.configureddevices(site.address)
        assert {device["DeviceType"].lower() for device in found} == set(DEVICES)
        assert len({device["UniqueID"] for device in found}) == len(DEVICES)

    await in_a_thread(look)


@pytest.mark.slow
async def test_telescope(site: AlpacaSite) -> None:
    def drive() -> None:
        telescope = Telescope(site.address, 0)
        connected(telescope)
        assert telescope.InterfaceVersion == 4
        assert telescope.EquatorialSystem is EquatorialCoordinateType.equJ2000
        assert telescope.AtPark
        telescope.Unpark()
        wait(lambda: not telescope.AtPark)
        telescope.Tracking = True
        assert telescope.Tracking
        ra = (telescope.SiderealTime - 1.0) % 24.0
        telescope.SlewToCoordinatesAsync(ra, -40.0)
        wait(lambda: not telescope.Slewing)
        assert abs(telescope.RightAscension - ra) < 0.001
        assert abs(telescope.Declination + 40.0) < 0.01
        assert telescope.Altitude > 15.0
        names = {state["Name"] for state in telescope.DeviceState}
        assert {"RightAscension", "Declination", "Slewing", "Tracking", "AtPark"} <= names
        telescope.Park()
        wait(lambda: bool(telescope.AtPark))
        telescope.Disconnect()
        assert not telescope.Connected

    await in_a_thread(drive)


async def test_camera(site: AlpacaSite) -> None:
    taken: list[NDArray[np.int64]] = []

    def drive() -> None:
        camera = Camera(site.address, 0)
        connected(camera)
        assert camera.CameraState is CameraStates.cameraIdle
        assert not camera.ImageReady
        camera.BinX = 2
        camera.NumX, camera.NumY = 100, 60
        camera.StartX, camera.StartY = 10, 20
        camera.StartExposure(5.0, True)
        wait(lambda: bool(camera.ImageReady))
        image = camera.ImageArray
        assert (len(image), len(image[0])) == (100, 60)
        assert camera.ImageArrayInfo.TransmissionElementType == ImageArrayElementTypes.UInt16.value
        taken.append(np.array(image))
        assert camera.LastExposureDuration == 5.0
        assert camera.LastExposureStartTime.startswith("2026-06-17T20:")

    await in_a_thread(drive)
    stored = await site.gateway.images.get(site.observatory.heard(NewImage)[-1].image)
    assert np.array_equal(taken[0].T[::-1], stored.pixels)


@pytest.mark.slow
async def test_focuser_wheel_dome_weather_and_safety(site: AlpacaSite) -> None:
    await site.safe()

    def drive() -> None:
        focuser = Focuser(site.address, 0)
        connected(focuser)
        assert focuser.Absolute
        focuser.Move(20_000)
        wait(lambda: not focuser.IsMoving)
        assert abs(focuser.Position - 20_000) <= 2

        wheel = FilterWheel(site.address, 0)
        connected(wheel)
        wheel.Position = 2
        wait(lambda: bool(wheel.Position == 2))
        assert len(wheel.Names) == len(wheel.FocusOffsets) > 2

        safety = SafetyMonitor(site.address, 0)
        assert not safety.IsSafe
        connected(safety)
        assert safety.IsSafe

        dome = Dome(site.address, 0)
        connected(dome)
        assert dome.CanSetShutter
        dome.OpenShutter()
        wait(lambda: not dome.Slewing)
        assert dome.ShutterStatus is ShutterState.shutterOpen
        dome.CloseShutter()
        wait(lambda: not dome.Slewing)
        assert dome.ShutterStatus is ShutterState.shutterClosed

        weather = ObservingConditions(site.address, 0)
        connected(weather)
        weather.Refresh()
        assert -30.0 < weather.Temperature < 50.0
        assert 0.0 <= weather.Humidity <= 100.0
        assert weather.TimeSinceLastUpdate("Temperature") >= 0.0
        assert "Celsius" in weather.SensorDescription("temperature")

    await in_a_thread(drive)


async def test_cover_rotator_and_switch(site: AlpacaSite) -> None:
    def drive() -> None:
        cover = CoverCalibrator(site.address, 0)
        connected(cover)
        cover.OpenCover()
        wait(lambda: not cover.CoverMoving)
        assert cover.CoverState is CoverStatus.Open
        cover.CalibratorOn(cover.MaxBrightness)
        wait(lambda: not cover.CalibratorChanging)
        assert cover.CalibratorState is CalibratorStatus.Ready
        cover.CalibratorOff()

        rotator = Rotator(site.address, 0)
        connected(rotator)
        rotator.MoveAbsolute(123.5)
        wait(lambda: not rotator.IsMoving)
        assert rotator.Position == 123.5

        switch = Switch(site.address, 0)
        connected(switch)
        assert [switch.GetSwitchName(number) for number in range(switch.MaxSwitch)] == ["camera", "heater", "supply"]
        switch.SetSwitchValue(1, 40.0)
        assert switch.GetSwitchValue(1) == 40.0
        assert not switch.CanWrite(2)
        assert not switch.CanAsync(0)

    await in_a_thread(drive)


async def test_errors_are_those_that_the_client_knows(site: AlpacaSite) -> None:
    def drive() -> None:
        telescope, camera = Telescope(site.address, 0), Camera(site.address, 0)
        with pytest.raises(NotConnectedException):
            _ = telescope.RightAscension
        connected(telescope)
        connected(camera)
        with pytest.raises(ParkedException):
            telescope.SlewToCoordinatesAsync(1.0, -40.0)
        with pytest.raises(ValueNotSetException):
            _ = telescope.TargetDeclination
        with pytest.raises(InvalidValueException):
            telescope.TargetDeclination = 90.5
        with pytest.raises(NotImplementedException):
            telescope.MoveAxis(TelescopeAxes.axisPrimary, 1.0)
        with pytest.raises(InvalidOperationException):
            _ = camera.ImageArray
        with pytest.raises(InvalidValueException):
            camera.BinX = 9

    await in_a_thread(drive)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_has_all_that_the_client_asks_for(kind: str) -> None:
    """A second opinion on the names, from another source than the description."""
    module: ModuleType = inspect.getmodule(getattr(alpaca, kind)) or getattr(alpaca, kind)
    found = re.findall(r'self\._(get|put)\(\s*"([a-z]+)"', inspect.getsource(module) + inspect.getsource(Device))
    assert len(found) > 15
    synonyms = {("put", "findhome"), ("put", "synctotarget")}
    for verb, name in set(found) - synonyms:
        assert (verb.upper(), name) in KINDS[kind].members, (verb, name)
    assert "SubexposureDuration" in inspect.getsource(Camera)  # its own spelling; ASCOM writes SubExposureDuration
