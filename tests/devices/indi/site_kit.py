"""A site on INDI simulators alone, in this process and in real time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from indi_kit import CAMERA, DOME, FOCUSER, GUIDER, MOUNT, ROTATOR, WEATHER, WHEEL, IndiServer, Starter
from pytel.testing import Observatory

SIMULATORS = {
    "telescope": "indi_simulator_telescope",
    "camera": "indi_simulator_ccd",
    "focuser": "indi_simulator_focus",
    "wheel": "indi_simulator_wheel",
    "dome": "indi_simulator_dome",
    "weather": "indi_simulator_weather",
    "rotator": "indi_simulator_rotator",
    "roof": "indi_rolloff_dome",
    "lamp": "indi_simulator_lightpanel",
    "guider": "indi_simulator_telescope",
    "gps": "indi_simulator_gps",
    "guide_camera": "indi_simulator_guide",
    "st4": "indi_simulator_guide",
}
PATIENCE = 60.0


def modules(server: str) -> dict[str, dict[str, Any]]:
    """The modules of a site file by name."""
    at = {"server": server}
    return {
        "store": {"type": "directory-store"},
        "telescope": {"type": "indi-telescope", "device": MOUNT, "sun_distance": "0 deg", **at},
        "camera": {"type": "indi-camera", "device": CAMERA, **at},
        "focuser": {"type": "indi-focuser", "device": FOCUSER, "step_size": "1 um", **at},
        "wheel": {"type": "indi-filter-wheel", "device": WHEEL, **at},
        "dome": {"type": "indi-dome", "device": DOME, "opening_time": "10 s", "closing_time": "10 s", **at},
        "weather": {"type": "indi-weather", "device": WEATHER, "period": "1 s", "update_period": "1 s", **at},
        "rotator": {"type": "indi-rotator", "device": ROTATOR, "rate": "1 deg/s", **at},
        "roof": {"type": "indi-roof", "device": "RollOff Simulator", **at},
        "lamp": {"type": "indi-cover", "device": "Light Panel Simulator", "poll_period": "1 s", **at},
        "guider": {"type": "indi-guide-port", "device": MOUNT, **at},
        "guide_camera": {"type": "indi-camera", "device": GUIDER, **at},
        "st4": {"type": "indi-guide-port", "device": GUIDER, **at},
        "gps": {"type": "indi-time", "device": "GPS Simulator", "period": "5 s", **at},
        "safety": {
            "type": "weather-safety",
            "clear_after": "1 s",
            "sun": None,
            "disk": None,
            # The simulated station measures none of these.
            "rules": dict.fromkeys(("humidity", "dew_point_spread", "cloud_cover")),
        },
    }


@contextlib.asynccontextmanager
async def site_of(
    indi_server: Starter, folder: Path, *names: str, unix: bool = False, **changes: Any
) -> AsyncIterator[tuple[Observatory, IndiServer]]:
    """Some modules, with the simulators that they drive; `changes` go into their configuration."""
    drivers = dict.fromkeys(SIMULATORS[name] for name in names if name in SIMULATORS)
    server = await indi_server(*drivers)
    known = modules(server.socket if unix else server.address)
    chosen = {name: known[name] | changes.get(name, {}) for name in names}
    site = {
        "site": {"name": "indi", "latitude": 50.0, "longitude": 10.0, "elevation": 300},
        "bus": "local",
        "modules": chosen,
    }
    async with Observatory(site, directory=folder / "site") as observatory:
        yield observatory, server


async def until(
    condition: Callable[[], Any], patience: float = PATIENCE, told: Callable[[], Any] = lambda: "nothing"
) -> Any:
    """Wait for what must come; `told` is what a failure shows."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, f"it did not come about: {told()}"
        await asyncio.sleep(0.05)
    return found
