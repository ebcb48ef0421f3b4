"""ASCOM's own client, unchanged, drives an observatory of pytel."""

from __future__ import annotations

import time
from collections.abc import Callable

from alpaca import discovery, management
from alpaca.camera import Camera, CameraStates
from alpaca.device import Device
from alpaca.dome import Dome, ShutterState
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor
from alpaca.telescope import EquatorialCoordinateType, Telescope

from gateway.alpaca.kit import DEVICES, AlpacaSite, in_a_thread


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


async def test_it_is_found_and_tells_its_devices(site: AlpacaSite) -> None:
    def look() -> None:
        assert site.address in discovery.search_ipv4(numquery=1, timeout=1)
        assert management.apiversions(site.address) == [1]
        assert "sutherland" in management.description(site.address)["ServerName"]
        found = management.configureddevices(site.address)
        assert {device["DeviceType"].lower() for device in found} == set(DEVICES)
        assert len({device["UniqueID"] for device in found}) == len(DEVICES)

    await in_a_thread(look)


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
        assert telescope.Slewing
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
        assert camera.LastExposureDuration == 5.0
        assert camera.LastExposureStartTime.startswith("2026-06-17T20:")

    await in_a_thread(drive)


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
