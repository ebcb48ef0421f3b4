"""What requests do to the modules of the site, and what errors of theirs look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.alpaca.kit import AlpacaSite, StandInGuidePort, alpaca_site
from gateway.kit import until_so
from pytel.interfaces import Camera, Enclosure, Focuser, Telescope
from pytel.interfaces.cover import CoverCalibratorState, CoverStatus
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.interfaces.focuser import FocuserState
from pytel.interfaces.guideport import GuideDirection
from pytel.interfaces.safety import SafetyMonitor
from pytel.interfaces.telescope import TelescopeState, TelescopeStatus

pytestmark = pytest.mark.slow


async def over(site: AlpacaSite, path: str) -> None:
    """Wait until something that moves stands still."""

    async def is_over() -> bool:
        return (await site.get(path)).value is False

    await until_so(is_over, 30.0)


async def track(site: AlpacaSite) -> float:
    """Have the telescope track; gives the sidereal time."""
    await site.connect("telescope")
    assert (await site.put("telescope/0/unpark")).error == 0
    assert (await site.put("telescope/0/tracking", Tracking="true")).error == 0
    sidereal: float = (await site.get("telescope/0/siderealtime")).value
    return sidereal


async def test_values_out_of_range(site: AlpacaSite) -> None:
    await site.connect()
    for path, form in (
        ("telescope/0/slewtocoordinatesasync", {"RightAscension": "24.0", "Declination": "0"}),
        ("telescope/0/slewtocoordinatesasync", {"RightAscension": "1.0", "Declination": "-90.1"}),
        ("telescope/0/slewtoaltazasync", {"Azimuth": "361", "Altitude": "50"}),
        ("telescope/0/targetrightascension", {"TargetRightAscension": "-1"}),
        ("telescope/0/targetdeclination", {"TargetDeclination": "91"}),
        ("telescope/0/trackingrate", {"TrackingRate": "1"}),
        ("camera/0/binx", {"BinX": "7"}),
        ("camera/0/biny", {"BinY": "0"}),
        ("camera/0/numx", {"NumX": "-1"}),
        ("camera/0/startexposure", {"Duration": "-1", "Light": "true"}),
        ("camera/0/startexposure", {"Duration": "1e9", "Light": "true"}),
        ("camera/0/setccdtemperature", {"SetCCDTemperature": "-280"}),
        ("camera/0/readoutmode", {"ReadoutMode": "1"}),
        ("filterwheel/0/position", {"Position": "99"}),
        ("filterwheel/0/position", {"Position": "-1"}),
        ("focuser/0/move", {"Position": "-1"}),
        ("focuser/0/move", {"Position": "2147483647"}),
        ("observingconditions/0/averageperiod", {"AveragePeriod": "1"}),
        ("rotator/0/moveabsolute", {"Position": "360"}),
        ("covercalibrator/0/calibratoron", {"Brightness": "101"}),
        ("switch/0/setswitch", {"Id": "3", "State": "true"}),
        ("switch/0/setswitchvalue", {"Id": "1", "Value": "100.5"}),
    ):
        assert (await site.put(path, **form)).error == 0x401, (path, form)
    for path, query in (
        ("telescope/0/axisrates", {"Axis": "3"}),
        ("observingconditions/0/sensordescription", {"SensorName": "Hype"}),
        ("switch/0/getswitch", {"Id": "-1"}),
    ):
        assert (await site.get(path, **query)).error == 0x401, path


async def test_a_slew_goes_where_it_should(site: AlpacaSite) -> None:
    hours = (await track(site) - 1.5) % 24.0
    assert (await site.put("telescope/0/targetrightascension", TargetRightAscension=hours)).error == 0
    assert (await site.put("telescope/0/targetdeclination", TargetDeclination=-45.5)).error == 0
    assert (await site.put("telescope/0/slewtotargetasync")).error == 0
    await over(site, "telescope/0/slewing")
    state = site.observatory.state(TelescopeState)
    assert state.ra is not None
    assert abs(state.ra - hours * 15.0) < 0.01
    assert TelescopeStatus.SLEWING in {told.status for told in site.observatory.heard(TelescopeState)}
    assert (await site.get("telescope/0/rightascension")).value * 15.0 == state.ra
    assert (await site.get("telescope/0/declination")).value == state.dec
    # The one that answers when it has arrived.
    answer = await site.put("telescope/0/slewtocoordinates", RightAscension=hours, Declination=-44.0)
    assert answer.error == 0
    assert abs((await site.get("telescope/0/declination")).value + 44.0) < 0.01
    assert (await site.put("telescope/0/synctocoordinates", RightAscension=hours, Declination=-44.01)).error == 0


async def test_horizontal_coordinates_need_a_mount_that_stands_still(site: AlpacaSite) -> None:
    await track(site)
    assert (await site.put("telescope/0/slewtoaltazasync", Azimuth="90", Altitude="60")).error == 0x40B
    assert (await site.put("telescope/0/tracking", Tracking="false")).error == 0
    assert (await site.get("telescope/0/tracking")).value is False
    assert (await site.put("telescope/0/slewtocoordinatesasync", RightAscension="1", Declination="0")).error == 0x40B
    assert (await site.put("telescope/0/slewtoaltaz", Azimuth="90", Altitude="60")).error == 0
    assert abs((await site.get("telescope/0/altitude")).value - 60.0) < 0.1


async def test_below_the_horizon_is_told_at_once(site: AlpacaSite) -> None:
    sidereal = await track(site)
    below = await site.put("telescope/0/slewtocoordinatesasync", RightAscension=(sidereal + 12) % 24, Declination="20")
    assert below.error == 0x401
    assert "LimitExceeded" in below.json["ErrorMessage"]
    assert (await site.get("telescope/0/slewing")).value is False


async def test_parked(site: AlpacaSite) -> None:
    await site.connect("telescope")
    assert (await site.get("telescope/0/atpark")).value is True
    for path, form in (
        ("slewtocoordinatesasync", {"RightAscension": "1", "Declination": "0"}),
        ("slewtoaltazasync", {"Azimuth": "1", "Altitude": "50"}),
        ("synctocoordinates", {"RightAscension": "1", "Declination": "0"}),
        ("tracking", {"Tracking": "true"}),
        ("abortslew", {}),
    ):
        assert (await site.put(f"telescope/0/{path}", **form)).error == 0x408, path
    assert (await site.put("telescope/0/park")).error == 0


async def test_a_slew_that_is_aborted_is_no_error_and_one_that_others_stop_is(site: AlpacaSite) -> None:
    hours = (await track(site) - 5.0) % 24.0
    slew = {"RightAscension": str(hours), "Declination": "-60"}
    assert (await site.put("telescope/0/slewtocoordinatesasync", **slew)).error == 0
    assert (await site.put("telescope/0/abortslew")).error == 0
    await over(site, "telescope/0/slewing")
    assert (await site.put("telescope/0/tracking", Tracking="true")).error == 0
    back = {"RightAscension": str((hours + 6.0) % 24.0), "Declination": "-20"}
    assert (await site.put("telescope/0/slewtocoordinatesasync", **back)).error == 0
    await site.observatory.find(Telescope).stop()

    async def is_told() -> bool:
        return (await site.get("telescope/0/slewing")).error == 0x40E

    await until_so(is_told, 20.0)
    assert (await site.get("telescope/0/devicestate")).error == 0


async def test_faults_of_devices(site: AlpacaSite) -> None:
    await site.connect("focuser")
    await site.observatory.inject("focuser", "stuck")
    here = (await site.get("focuser/0/position")).value
    begun = await site.put("focuser/0/move", Position=here - 20_000)

    async def is_told() -> bool:
        return 0x500 <= ((await site.get("focuser/0/ismoving")).error or begun.error) <= 0xFFF

    await until_so(is_told, 30.0)
    await site.observatory.clear()
    assert (await site.put("focuser/0/move", Position=here - 10_000)).error == 0
    await over(site, "focuser/0/ismoving")


async def test_a_module_that_is_gone(site: AlpacaSite) -> None:
    await site.connect("focuser", "safetymonitor")
    await site.observatory.crash("focuser")
    await site.observatory.crash("safety")
    assert (await site.get("focuser/0/position")).error == 0x407
    assert (await site.get("focuser/0/connected")).value is False
    assert (await site.put("focuser/0/connected", Connected="true")).error == 0x407
    assert (await site.get("safetymonitor/0/issafe")).value is False
    assert (await site.get("focuser/0/devicestate")).error == 0
    await site.observatory.restart("focuser")

    async def is_back() -> bool:
        return (await site.get("focuser/0/position")).error == 0

    await until_so(is_back)


async def test_steps_are_those_of_the_focuser(site: AlpacaSite) -> None:
    await site.connect("focuser")
    assert (await site.put("focuser/0/move", Position="12345")).error == 0
    await over(site, "focuser/0/ismoving")
    step = (await site.get("focuser/0/stepsize")).value
    base = site.observatory.state(FocuserState).base
    assert base is not None
    assert abs(base - 12345 * step / 1000.0) < 0.002
    assert (await site.put("focuser/0/disconnect")).error == 0  # gives the control back
    await site.observatory.find(Focuser).set_focus_offset(0.5)
    await site.connect("focuser")
    assert abs((await site.get("focuser/0/position")).value - 12345) <= 2
    assert (await site.put("focuser/0/halt")).error == 0


async def test_the_roof_judges_safety_itself(site: AlpacaSite) -> None:
    await site.connect("dome", "safetymonitor")
    await site.observatory.find(SafetyMonitor).declare_unsafe("people on the roof")

    async def is_unsafe() -> bool:
        return (await site.get("safetymonitor/0/issafe")).value is False

    await until_so(is_unsafe)
    await site.observatory.until(lambda: not site.observatory.state(EnclosureState).may_open)
    opened = await site.put("dome/0/openshutter")
    assert opened.error == 0x40B
    assert "people on the roof" in opened.json["ErrorMessage"]
    assert site.observatory.state(EnclosureState).status is EnclosureStatus.CLOSED
    why = await site.put("safetymonitor/0/action", Action="reasons", Parameters="")
    assert "people on the roof" in why.value
    assert "people on the roof" in (await site.put("dome/0/action", Action="WhyClosed", Parameters="")).value
    assert (await site.put("dome/0/action", Action="Sing", Parameters="")).error == 0x40C
    assert (await site.put("camera/0/connected", Connected="true")).error == 0
    assert (await site.put("camera/0/action", Action="Sing", Parameters="")).error == 0x400
    await site.observatory.find(Enclosure).close()


async def test_cover_rotator_and_switch(site: AlpacaSite) -> None:
    await site.connect("covercalibrator", "rotator", "switch")
    assert (await site.put("covercalibrator/0/opencover")).error == 0
    await over(site, "covercalibrator/0/covermoving")
    assert (await site.get("covercalibrator/0/coverstate")).value == 3
    assert site.observatory.state(CoverCalibratorState).cover is CoverStatus.OPEN
    assert (await site.put("covercalibrator/0/closecover")).error == 0
    await over(site, "covercalibrator/0/covermoving")
    assert (await site.put("covercalibrator/0/calibratoron", Brightness="50")).error == 0
    await over(site, "covercalibrator/0/calibratorchanging")
    assert (await site.get("covercalibrator/0/brightness")).value == 50
    assert (await site.put("covercalibrator/0/calibratoroff")).error == 0

    assert (await site.put("rotator/0/move", Position="-20")).error == 0
    assert (await site.get("rotator/0/position")).value == 350.0
    assert (await site.put("rotator/0/movemechanical", Position="20")).error == 0
    assert (await site.get("rotator/0/mechanicalposition")).value == 20.0
    assert (await site.put("rotator/0/sync", Position="1.5")).error == 0
    assert (await site.get("rotator/0/targetposition")).value == 1.5

    assert (await site.get("switch/0/maxswitch")).value == 3
    assert (await site.put("switch/0/setswitch", Id="0", State="True")).error == 0
    assert (await site.get("switch/0/getswitch", Id="0")).value is True
    assert (await site.put("switch/0/setswitchvalue", Id="1", Value="37.5")).error == 0
    state = {one["Name"]: one["Value"] for one in (await site.get("switch/0/devicestate")).value}
    assert (state["GetSwitchValue1"], state["GetSwitch0"]) == (37.5, True)
    assert (await site.put("switch/0/setswitchvalue", Id="2", Value="1")).error == 0x400


async def test_cooling(site: AlpacaSite) -> None:
    await site.connect("camera")
    assert (await site.put("camera/0/cooleron", CoolerOn="true")).error == 0x402
    assert (await site.put("camera/0/setccdtemperature", SetCCDTemperature="-15")).error == 0
    assert (await site.get("camera/0/cooleron")).value is False
    assert (await site.put("camera/0/cooleron", CoolerOn="true")).error == 0
    assert (await site.get("camera/0/cooleron")).value is True
    assert (await site.put("camera/0/setccdtemperature", SetCCDTemperature="-20")).error == 0
    assert (await site.get("camera/0/setccdtemperature")).value == -20.0
    assert (await site.put("camera/0/cooleron", CoolerOn="false")).error == 0
    assert (await site.get("camera/0/setccdtemperature")).value == -20.0


async def test_each_client_connects_for_itself(site: AlpacaSite) -> None:
    await site.connect("camera")
    other: dict[str, Any] = {"ClientID": 2}
    assert (await site.get("camera/0/connected", **other)).value is False
    assert (await site.get("camera/0/binx", **other)).error == 0x407
    assert (await site.put("camera/0/connect", **other)).error == 0
    assert (await site.get("camera/0/connecting", **other)).value is False
    assert (await site.get("camera/0/binx", **other)).value == 1
    assert (await site.put("camera/0/disconnect")).error == 0
    assert (await site.get("camera/0/binx")).error == 0x407
    assert (await site.get("camera/0/binx", **other)).value == 1


async def test_an_exposure_that_is_aborted_or_refused(site: AlpacaSite) -> None:
    await site.connect("camera")
    assert (await site.put("camera/0/startexposure", Duration="600", Light="true")).error == 0
    assert (await site.put("camera/0/startexposure", Duration="1", Light="true")).error == 0x40B

    async def exposes() -> bool:
        return bool((await site.get("camera/0/camerastate")).value == 2)

    await until_so(exposes)
    assert (await site.get("camera/0/imageready")).value is False
    assert (await site.put("camera/0/abortexposure")).error == 0

    async def is_idle() -> bool:
        return bool((await site.get("camera/0/camerastate")).value == 0)

    await until_so(is_idle)
    assert (await site.get("camera/0/imageready")).value is False
    assert (await site.put("camera/0/abortexposure")).error == 0
    assert (await site.put("camera/0/startx", StartX="2000")).error == 0
    assert (await site.put("camera/0/startexposure", Duration="1", Light="true")).error == 0x401
    assert (await site.put("camera/0/startx", StartX="0")).error == 0
    assert (await site.put("camera/0/disconnect")).error == 0  # gives the control back
    await site.connect("camera")
    busy = site.observatory.find(Camera).expose(600.0)
    await busy.eta()
    assert (await site.put("camera/0/startexposure", Duration="1", Light="true")).error == 0x40B
    await site.observatory.find(Camera).abort_exposure()


async def test_it_slews_as_long_as_the_job_runs(site: AlpacaSite) -> None:
    """With a mount that hangs, which therefore is on its way for as long as the test likes."""
    hours = (await track(site) - 2.0) % 24.0
    await site.observatory.inject("mount", "slow", value=20.0)
    assert (await site.put("telescope/0/slewtocoordinatesasync", RightAscension=hours, Declination=-10)).error == 0
    for _ in range(3):
        assert (await site.get("telescope/0/slewing")).value is True
    again = await site.put("telescope/0/slewtocoordinatesasync", RightAscension=hours, Declination=-10)
    assert again.error == 0x40B
    await site.observatory.clear()
    assert (await site.put("telescope/0/abortslew")).error == 0
    await over(site, "telescope/0/slewing")


async def test_pulses_go_to_the_guide_port(site: AlpacaSite) -> None:
    await track(site)
    assert (await site.get("telescope/0/canpulseguide")).value is True
    assert (await site.get("telescope/0/guideratedeclination")).value == 7.5 / 3600.0
    assert (await site.put("telescope/0/pulseguide", Direction="4", Duration="100")).error == 0x401
    assert (await site.put("telescope/0/pulseguide", Direction="0", Duration="10001")).error == 0x401
    assert (await site.put("telescope/0/pulseguide", Direction="1", Duration="0")).error == 0
    assert (await site.put("telescope/0/pulseguide", Direction="0", Duration="9000")).error == 0
    assert (await site.put("telescope/0/pulseguide", Direction="3", Duration="500")).error == 0
    await over(site, "telescope/0/ispulseguiding")
    port = site.observatory.runtime("guideport").module
    assert isinstance(port, StandInGuidePort)
    assert sorted(port.pulses) == [(GuideDirection.NORTH, 9.0), (GuideDirection.WEST, 0.5)]
    assert (await site.put("telescope/0/park")).error == 0
    assert (await site.put("telescope/0/pulseguide", Direction="0", Duration="100")).error in (0x408, 0x40B)


async def test_without_a_guide_port_there_are_no_pulses(tmp_path: Path) -> None:
    async with alpaca_site(tmp_path, guide_ports={}) as site:
        await track(site)
        assert (await site.get("telescope/0/canpulseguide")).value is False
        for name in ("ispulseguiding", "guideratedeclination", "guideraterightascension"):
            assert (await site.get(f"telescope/0/{name}")).error == 0x400
        assert (await site.put("telescope/0/pulseguide", Direction="0", Duration="1")).error == 0x400
