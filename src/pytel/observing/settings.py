"""What a site may set about its robot."""

from __future__ import annotations

from typing import Literal

from pytel.base.units import Altitude, Celsius, Duration, Seconds
from pytel.module.config import ModuleConfig
from pytel.observing.calibration import CalibrationPlan


class ObserverConfig(ModuleConfig, frozen=True, kw_only=True):
    """Options of the robot.

    `open_sun_altitude` is when the enclosure opens and closes; `dark_sun_altitude` what counts as dark time in the
    report; tasks have limits of their own.
    """

    open_sun_altitude: Altitude = -12.0
    dark_sun_altitude: Altitude = -18.0
    cooling: Celsius | None = -10.0
    """Setpoint of the camera in the night; null leaves the cooler alone."""
    cooling_lead: Duration = 900.0
    """How long before opening the cooling begins."""
    focus_interval: Duration = 7200.0
    focus_temperature_change: Celsius = 2.0
    focus_retry: Duration = 900.0
    acquire: Literal["auto", "never"] = "auto"
    """Bring each target to the middle of the detector by the stars, if a module for that is there."""
    postpone: Duration = 600.0
    """How long a task waits after a device failed on it, longer each time."""
    first_retry: Duration = 10.0
    longest_retry: Duration = 300.0
    archive_patience: Duration = 300.0
    """How long a frame may be on its way to the archive before somebody looks after it."""
    calibration: CalibrationPlan = CalibrationPlan()
    required: tuple[str, ...] = ("SafetyMonitor", "Enclosure", "Telescope", "Camera")
    """Modules, and interfaces that somebody must offer, without which it does not work; none: it never works."""


class Backoff:
    """Pauses that grow with each failure."""

    def __init__(self, first: Seconds, longest: Seconds) -> None:
        self._first, self._longest = first, longest
        self.failures = 0

    def next(self) -> Seconds:
        """The pause after one more failure."""
        self.failures += 1
        return min(self._longest, self._first * 2.0 ** min(20, self.failures - 1))

    def reset(self) -> None:
        """Something worked."""
        self.failures = 0
