"""Every INDI driver outlives its server; each source of trouble is logged once when it is lost, and once when back."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from indi_kit import Starter
from pytel.module import ModuleState

from .site_kit import modules, site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
DRIVERS = {
    "telescope": "indi-telescope",
    "camera": "indi-camera",
    "focuser": "indi-focuser",
    "wheel": "indi-filter-wheel",
    "dome": "indi-dome",
    "roof": "indi-roof",
    "weather": "indi-weather",
    "rotator": "indi-rotator",
    "lamp": "indi-cover",
    "guider": "indi-guide-port",
    "gps": "indi-time",
}


def test_every_driver_is_among_them() -> None:
    known = {
        point.name for point in entry_points(group="pytel.modules") if point.value.startswith("pytel.devices.indi.")
    }
    assert set(DRIVERS.values()) == known
    there = modules("nowhere")
    assert {name: there[name]["type"] for name in DRIVERS} == DRIVERS


async def test_every_driver_comes_back_and_says_so_once(
    indi_server: Starter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site_of(indi_server, tmp_path, *DRIVERS, "store", dome={"primary": True}) as (
        observatory,
        server,
    ):

        def standing() -> dict[str, str]:
            told = [(str(heard.publisher), heard.message) for heard in observatory.events]
            return {sender: said.status for sender, said in told if isinstance(said, ModuleState)}

        def all_are(status: str) -> bool:
            return all(standing()[name] == status for name in DRIVERS)

        await until(lambda: all_are("ready"), told=standing)
        for _ in range(2):
            caplog.clear()
            caplog.set_level(logging.INFO)
            await server.kill()
            await until(lambda: all_are("error"), told=standing)
            await server.restart()
            await until(lambda: all_are("ready"), told=standing)
            for name in DRIVERS:
                said = [record.getMessage() for record in caplog.records if record.name == f"pytel.{name}"]
                lost = [line.partition(":")[0] for line in said if ": ConnectionLost: " in line]
                fine = [line.partition(":")[0] for line in said if line.endswith(": fine again")]
                assert lost, name
                assert len(set(lost)) == len(lost), (name, "what is lost is said once, not at each attempt", said)
                assert all(fine.count(source) == 1 for source in lost), (name, said)
