"""Devices that do what they say pass; those that lie are found, and everything is put back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conformance.kit import EagerRoof, VisitorLink, deviations, linked, observatory_with, verdicts
from pytel.base import clock
from pytel.base.errors import ControlHeld, ModuleNotFound, NotFound
from pytel.conformance.check import CHECKS, check_module
from pytel.conformance.report import Finding, Options, Verdict
from pytel.interfaces.control import Control, ControlState
from pytel.interfaces.cover import CoverCalibratorState
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import FilterWheelState
from pytel.interfaces.focuser import FocuserState
from pytel.interfaces.telescope import Telescope, TelescopeState, TelescopeStatus
from pytel.testing import Observatory
from pytel.testing.observatory import default_site

from .kit import NIGHT, RATE

SIMULATED = ("camera", "cover", "filters", "focuser", "roof", "safety", "telescope", "weather")


@pytest.fixture
async def simulated(tmp_path: Path) -> AsyncIterator[tuple[Observatory, VisitorLink]]:
    site = default_site()
    site["modules"]["safety"]["clear_after"] = "1 s"
    site["simulation"]["cover"] = {"present": True}
    site["modules"]["cover"] = {"type": "simulated-cover"}
    fast = clock.ScaledClock(NIGHT.timestamp(), clock.RealClock().real_time(), RATE)
    with clock.using(fast):
        async with Observatory(site, directory=tmp_path) as observatory, linked(observatory) as link:
            await observatory.until(lambda: observatory.state(EnclosureState).may_open)
            yield observatory, link


@pytest.mark.slow
async def test_simulated_devices_do_what_they_say(simulated: tuple[Observatory, VisitorLink]) -> None:
    observatory, link = simulated
    before = observatory.state(FocuserState), observatory.state(FilterWheelState)
    for module in SIMULATED:
        report = await check_module(link, module, Options())
        assert not deviations(report), module
        assert report.findings
        assert any(finding.verdict is Verdict.OK for finding in report.findings)
    after = observatory.state(FocuserState), observatory.state(FilterWheelState)
    assert after[0].position == pytest.approx(before[0].position, abs=0.003)
    assert after[1].filter == before[1].filter
    assert observatory.state(EnclosureState).status is EnclosureStatus.CLOSED
    assert observatory.state(TelescopeState).status is TelescopeStatus.PARKED
    assert observatory.state(ControlState).holder is None


@pytest.mark.slow
async def test_with_leave_more_is_moved_and_put_back(simulated: tuple[Observatory, VisitorLink]) -> None:
    observatory, link = simulated
    cover = observatory.state(CoverCalibratorState)
    for module, what in (("cover", "goes from"), ("telescope", "moves by 60 arcsec"), ("roof", "opens")):
        report = await check_module(link, module, Options(move=True, open_roof=True))
        assert not deviations(report), module
        tried = [key for key, verdict in verdicts(report).items() if verdict is Verdict.OK]
        assert any(key.startswith(what) for key in tried), module
    assert observatory.state(CoverCalibratorState).cover is cover.cover
    assert observatory.state(CoverCalibratorState).calibrator is cover.calibrator
    assert observatory.state(TelescopeState).status is TelescopeStatus.PARKED
    assert observatory.state(EnclosureState).status is EnclosureStatus.CLOSED


@pytest.mark.slow
async def test_a_telescope_that_tracks_goes_on_where_it_was(simulated: tuple[Observatory, VisitorLink]) -> None:
    observatory, link = simulated
    telescope = observatory.find(Telescope)
    await telescope.unpark()
    await telescope.move_radec(250.0, -40.0)
    report = await check_module(link, "telescope", Options())
    assert not deviations(report)
    assert verdicts(report)["moves by 60 arcsec"] is Verdict.OK
    state = observatory.state(TelescopeState)
    assert state.status is TelescopeStatus.TRACKING
    assert state.dec == pytest.approx(-40.0, abs=0.005)
    assert (state.offset_ra, state.offset_dec) == (0.0, 0.0)


# what lies is found


async def _checked(name: str, kind: str, directory: Path, options: Options | None = None, **more: Any) -> Any:
    modules = {name: {"type": f"conformance.kit:{kind}"}, **more}
    async with observatory_with(modules, directory) as (_, link):
        return await check_module(link, name, options or Options())


@pytest.mark.slow
async def test_a_focuser_that_does_not_move_is_found(tmp_path: Path) -> None:
    report = await _checked("focuser", "LazyFocuser", tmp_path)
    told = deviations(report)
    assert any("moves by 10 steps" in each and "reported that it had arrived" in each for each in told)
    assert any("beyond its travel: it was accepted" in each for each in told)


@pytest.mark.slow
async def test_a_wheel_that_stays_and_errors_without_a_kind_are_found(tmp_path: Path) -> None:
    report = await _checked("wheel", "StuckWheel", tmp_path)
    told = deviations(report)
    assert any("moves from R to V" in each for each in told)
    assert any("it ends with InternalError" in each for each in told)
    assert verdicts(report)["back at R"] is Verdict.OK


@pytest.mark.slow
async def test_a_camera_without_images_is_found(tmp_path: Path) -> None:
    told = deviations(await _checked("camera", "BlindCamera", tmp_path))
    assert any(each.startswith("exposes for") for each in told)
    assert any(each.startswith("aborts an exposure") for each in told)
    assert any(each.startswith("refuses binning") and "accepted" in each for each in told)


async def test_a_station_with_wrong_units_is_found(tmp_path: Path) -> None:
    told = deviations(await _checked("weather", "OddStation", tmp_path))
    assert any("temperature is 288" in each for each in told)


@pytest.mark.slow
async def test_a_telescope_that_only_says_so_is_found(tmp_path: Path) -> None:
    told = deviations(await _checked("telescope", "DreamingTelescope", tmp_path))
    assert any(each.startswith("moves by 60 arcsec: it was to be") for each in told)


async def test_errors_that_say_nothing_are_found(tmp_path: Path) -> None:
    report = await _checked("rotator", "MuteRotator", tmp_path)
    told = deviations(report)
    assert any("LimitExceeded does not say what is wrong: 'no'" in each for each in told)
    assert any(each.startswith("stops when asked") and "controller board" in each for each in told)
    assert verdicts(report)["turns by 2 deg to 12.00 deg"] is Verdict.OK
    assert verdicts(report)["back at 10.00 deg"] is Verdict.OK


# roofs


@pytest.mark.parametrize("kind", ["EagerRoof", "WillingRoof"])
@pytest.mark.parametrize("open_roof", [False, True])
async def test_no_roof_is_opened_unless_it_is_safe(tmp_path: Path, kind: str, open_roof: bool) -> None:
    report = await _checked("roof", kind, tmp_path, Options(open_roof=open_roof))
    assert verdicts(report)["opens and closes"] is Verdict.NOT_TRIED
    assert EagerRoof.opened == 0


# control, and what cannot be checked


async def test_whoever_has_control_keeps_it(tmp_path: Path) -> None:
    modules = {"focuser": {"type": "conformance.kit:SlowFocuser"}}
    async with observatory_with(modules, tmp_path) as (observatory, link):
        await observatory.find(Control).take()
        with pytest.raises(ControlHeld):
            await check_module(link, "focuser", Options())
        assert not [call for call in link.calls if call[0] == "focuser.set_focus"]


async def test_what_is_no_device_is_told(tmp_path: Path) -> None:
    async with observatory_with({}, tmp_path) as (_, link):
        with pytest.raises(NotFound, match="no interface of a device"):
            await check_module(link, "control", Options())
        with pytest.raises(ModuleNotFound, match="there is no module 'focus'"):
            await check_module(link, "focus", Options())


@pytest.mark.slow
async def test_an_interruption_puts_everything_back(tmp_path: Path) -> None:
    modules = {"focuser": {"type": "conformance.kit:SlowFocuser"}}
    async with observatory_with(modules, tmp_path) as (observatory, link):
        told: list[Finding] = []
        checking = asyncio.create_task(check_module(link, "focuser", Options(), told.append))
        await observatory.until(lambda: observatory.state(FocuserState).status == "moving")
        checking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
        assert told[-1].what == "back at 5.0000 mm"
        assert told[-1].verdict is Verdict.OK
        assert observatory.state(FocuserState).position == 5.0
        assert observatory.state(ControlState).holder is None


def test_every_interface_of_a_device_has_a_check() -> None:
    assert {"Camera", "Telescope", "Focuser", "FilterWheel", "Rotator", "Enclosure"} <= set(CHECKS)
