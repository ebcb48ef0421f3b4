"""The check on devices that we did not write: Debian's INDI simulators and alpaca-simulators."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import put_stars
from conformance.kit import deviations, linked, verdicts
from indi_kit import IndiServer
from pytel.conformance.check import check_module
from pytel.conformance.report import Options, Verdict
from pytel.interfaces.telescope import Telescope
from pytel.module.messages import ModuleState
from pytel.testing import Observatory

PLACE = {"name": "here", "latitude": 40.0, "longitude": -90.0}


async def _check_all(modules: dict[str, Any], directory: Path, options: dict[str, Options]) -> dict[str, Any]:
    company = {"control": {"type": "lease-control"}, "store": {"type": "directory-store"}}
    site = {"site": PLACE, "modules": {**company, **modules}}
    reports = {}
    async with Observatory(site, directory=directory) as observatory, linked(observatory) as link:
        for name in modules:
            await observatory.until(partial(_is_ready, observatory, name), 90.0)
            if name == "telescope":  # its simulator begins at the pole
                await observatory.find(Telescope).move_altaz(50.0, 180.0)
            reports[name] = await check_module(link, name, options.get(name, Options()))
    return reports


def _is_ready(observatory: Observatory, name: str) -> bool:
    told = [heard for heard in observatory.events if str(heard.publisher) == name]
    states = [heard.message for heard in told if isinstance(heard.message, ModuleState)]
    return bool(states) and states[-1].status == "ready"


@pytest.mark.slow
async def test_indi_simulators(indi_server: IndiServer, tmp_path: Path) -> None:
    def section(kind: str, device: str, **more: Any) -> dict[str, Any]:
        return {"type": f"indi-{kind}", "server": indi_server.address, "device": f"{device} Simulator", **more}

    modules = {
        "focuser": section("focuser", "Focuser", step_size="1 um"),
        "filters": section("filter-wheel", "Filter"),
        "rotator": section("rotator", "Rotator"),
        "camera": section("camera", "CCD"),
        "telescope": section("telescope", "Telescope", sun_distance="0 deg"),
        "dome": section("dome", "Dome", opening_time="15 s", closing_time="15 s"),
        "weather": section("weather", "Weather", update_period="2 s"),
    }
    reports = await _check_all(modules, tmp_path, {})
    found = {name: deviations(report) for name, report in reports.items()}
    assert found == {name: [] for name in modules}
    for name, what in (
        ("focuser", "moves by"),
        ("filters", "moves from"),
        ("rotator", "turns by"),
        ("camera", "aborts an exposure"),
        ("telescope", "moves by 60 arcsec"),
    ):
        tried = [key for key, verdict in verdicts(reports[name]).items() if verdict is Verdict.OK]
        assert any(key.startswith(what) for key in tried), name


@pytest.mark.slow
async def test_alpaca_simulators(alpaca_server: str, tmp_path: Path) -> None:
    modules = {
        name: {"type": f"alpaca-{kind}", "server": alpaca_server}
        for name, kind in (
            ("focuser", "focuser"),
            ("filters", "filter-wheel"),
            ("rotator", "rotator"),
            ("safety", "safety"),
            ("dome", "dome"),
            ("camera", "camera"),
            ("telescope", "telescope"),
            ("weather", "weather"),
            ("cover", "cover"),
            ("switch", "switch"),
        )
    }
    modules["telescope"] |= {"sun_distance": "0 deg", "coordinates": "J2000"}
    await asyncio.to_thread(put_stars, tmp_path, (10.0, 40.0, 10.0))  # else it asks for them at ESA's server
    reports = await _check_all(modules, tmp_path, {})
    found = {name: deviations(report) for name, report in reports.items()}
    assert found == {name: [] for name in modules}
