"""Every Alpaca driver outlives its server; what is lost is logged once, and once when it is back."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import Cable, until
from pytel.interfaces.safety import SafetyMonitorState

from .site_kit import KNOWN, all_are, site_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
POLLED: dict[str, Any] = {
    name: {"poll_period": "1 s"} for name in ("camera", "cover", "focuser", "wheel", "rotator", "power")
}
LOST = (": ConnectionLost: ", ": DeviceTimeout: ")


def test_every_driver_is_among_them() -> None:
    known = {point.name for point in entry_points(group="pytel.modules") if point.name.startswith("alpaca-")}
    assert {module["type"] for module in KNOWN.values()} == known


async def test_every_driver_comes_back_and_says_so_once(
    alpaca_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cable = Cable(alpaca_server)
    server = await cable.start()
    drivers = [name for name in KNOWN if name != "safety"]
    try:
        async with site_of(server, tmp_path, *KNOWN, **POLLED) as observatory:
            await all_are(observatory, "ready", *KNOWN)
            for _ in range(2):
                caplog.clear()
                caplog.set_level(logging.INFO)
                await cable.sever()
                await all_are(observatory, "error", *drivers)
                await until(lambda: not observatory.state(SafetyMonitorState).safe)
                await cable.splice()
                await all_are(observatory, "ready", *drivers)
                await until(lambda: observatory.state(SafetyMonitorState).safe)
                for name in drivers:
                    said = [record.getMessage() for record in caplog.records if record.name == f"pytel.{name}"]
                    lost = [line.partition(":")[0] for line in said if any(what in line for what in LOST)]
                    fine = [line.partition(":")[0] for line in said if line.endswith(": fine again")]
                    assert lost, name
                    assert len(set(lost)) == len(lost), (name, "what is lost is said once", said)
                    assert all(fine.count(source) == 1 for source in lost), (name, said)
    finally:
        await cable.stop()
