"""A simulated world on a hand-driven clock, for the tests of its devices."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytel.base.location import Location
from pytel.devices.simulated.world.config import (
    CameraConfig,
    FocuserConfig,
    TelescopeConfig,
    WeatherConfig,
    WorldConfig,
)
from pytel.devices.simulated.world.world import World
from pytel.sky.coordinates import altaz_to_radec

SITE = Location(latitude=51.5, longitude=9.9, elevation=200.0)
MIDNIGHT = datetime(2026, 1, 18, 0, tzinfo=UTC).timestamp()
"""New Moon."""
MILKY_WAY = (95.0, 25.0)
"""ICRS; high in the south at midnight."""
SMALL = CameraConfig(width=320, height=256, hot_pixels=0, bad_columns=0, cosmic_rays=0.0)


def small_world(**parts: Any) -> WorldConfig:
    """A world in good weather with a small camera."""
    usual: dict[str, Any] = {"camera": SMALL, "weather": WeatherConfig(mode="clear"), "star_limit": 15.0}
    return WorldConfig(**usual | parts)


def exact_telescope(**parts: Any) -> TelescopeConfig:
    """A mount that points where it believes."""
    return TelescopeConfig(
        **({"pointing_error": 0.0, "pointing_scatter": 0.0, "periodic_error": 0.0, "drift": 0.0} | parts)
    )


def sharp_focuser() -> FocuserConfig:
    """A focuser that starts at the best focus and keeps it."""
    return FocuserConfig(initial=25.0, temperature_coefficient=0.0)


class Lab:
    """A world, and the time that it believes in."""

    def __init__(
        self, config: WorldConfig, directory: Path | None = None, seed: int = 1, start: float = MIDNIGHT
    ) -> None:
        self.config, self.directory, self.seed = config, directory, seed
        self.now = start
        self.world = self._made()

    def __call__(self, device: str, command: str, /, **params: Any) -> Any:
        return self.world.execute(device, command, params)

    def status(self, device: str) -> dict[str, Any]:
        """The status of a device."""
        status: dict[str, Any] = self(device, "status")
        return status

    def wait(self, seconds: float) -> None:
        """Let site time pass."""
        self.now += seconds

    def restart(self) -> None:
        """A new world on the state that a killed one has left."""
        self.world = self._made()

    def overhead(self, alt: float = 70.0, az: float = 180.0) -> tuple[float, float]:
        """An ICRS place that stands high now."""
        return altaz_to_radec(alt, az, self.now, SITE)

    def open(self) -> None:
        """Open the roof, point the mount to the Milky Way, cool, and wait for all of it."""
        self("roof", "open")
        self("mount", "unpark")
        self("mount", "slew", ra=MILKY_WAY[0], dec=MILKY_WAY[1])
        self("camera", "cool", setpoint=-10.0)
        self.wait(900.0)

    def expose(self, exposure_time: float, **params: Any) -> NDArray[np.uint16]:
        """Take a frame."""
        self("camera", "start", exposure_time=exposure_time, **params)
        self.wait(exposure_time + self.config.camera.readout_time)
        frame: NDArray[np.uint16] = self("camera", "read")
        return frame

    def truth(self) -> list[dict[str, Any]]:
        """The record of where the telescope pointed."""
        assert self.directory is not None
        return [json.loads(line) for line in (self.directory / "truth.jsonl").read_text().splitlines()]

    def _made(self) -> World:
        return World(self.config, SITE, self.seed, self.directory, lambda: self.now)
