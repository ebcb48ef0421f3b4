"""What the world remembers: one small struct per device, written to disk at every change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from pytel.base.errors import ConfigError

Frame = Literal["radec", "altaz"]


class Timebase(Struct):
    """How a device's own time follows site time: a hung device's stands still, a slow one's lags."""

    site: float = 0.0
    local: float = 0.0
    rate: float = 1.0

    def at(self, when: float) -> float:
        """The device's time at a site time."""
        return self.local + (when - self.site) * self.rate

    def site_time(self, local: float) -> float:
        """The site time at which the device's time will be `local`; infinite while it hangs."""
        return self.site + (local - self.local) / self.rate if self.rate else float("inf")

    def change(self, when: float, rate: float) -> None:
        """Run at another rate from a site time on."""
        self.site, self.local, self.rate = when, self.at(when), rate


class MountState(Struct):
    """The last movement of the mount, from one place to another in one frame (degrees)."""

    frame: Frame = "altaz"
    origin: tuple[float, float] = (0.0, 0.0)
    target: tuple[float, float] = (0.0, 0.0)
    start: float = 0.0
    """In the mount's time."""
    tracking: bool = False
    tracking_since: float = 0.0
    tracking_until: float = 0.0
    """Site time at which a tracked place sets below the limit."""
    parked: bool = True
    slews: int = 0
    """Counted; seeds the scatter of the pointing."""
    sync_east: float = 0.0
    sync_north: float = 0.0
    """Arcseconds that the mount was told to be off."""


class Travel(Struct):
    """A movement at constant speed along one axis, in the device's time."""

    origin: float = 0.0
    target: float = 0.0
    start: float = 0.0
    speed: float = 1.0

    @property
    def end(self) -> float:
        """When it arrives."""
        return self.start + abs(self.target - self.origin) / self.speed

    def at(self, when: float) -> float:
        """The position at a time."""
        if when >= self.end:
            return self.target
        done = max(0.0, when - self.start) * self.speed
        return self.origin + (done if self.target > self.origin else -done)

    def go(self, target: float, when: float) -> None:
        """Turn to another target."""
        self.origin, self.target, self.start = self.at(when), target, when


class FocuserState(Struct):
    """Position and the direction it last came from."""

    travel: Travel = field(default_factory=Travel)
    slack: float = 0.0
    """How far the optics stay behind the reported position, mm."""


class FilterWheelState(Struct):
    """The slots between which the wheel turns."""

    origin: int = 0
    target: int = 0
    start: float = 0.0


class RoofState(Struct):
    """How far it is open, from 0 to 1, and whether it was stopped under way."""

    travel: Travel = field(default_factory=Travel)


class CoverState(Struct):
    """How far it is open, from 0 to 1, and the level of the light."""

    travel: Travel = field(default_factory=Travel)
    light: float = 0.0


class Sample(Struct):
    """Light that fell on the detector from one pointing, during one part of an exposure."""

    start: float
    end: float
    ra: float
    dec: float
    stars: float
    """Seconds of starlight above the atmosphere that it is worth."""
    sky: float
    """Electrons per pixel."""
    fwhm: float
    """Arcseconds."""


class Exposure(Struct):
    """One frame, from its start on."""

    number: int
    exposure_time: float
    shutter: bool
    binning: int
    x: int
    y: int
    width: int
    height: int
    site_start: float
    local_start: float
    temperature: float
    samples: list[Sample] = field(default_factory=list)
    sampled_until: float = 0.0
    """Site time up to which the light is collected."""
    local_end: float = 0.0
    site_end: float | None = None
    """Set when the shutter is closed again."""
    ready: float = 0.0
    """In the camera's time."""


class CameraState(Struct):
    """The frame in hand and the cooler."""

    exposures: int = 0
    current: Exposure | None = None
    setpoint: float | None = None
    cooled_since: float = 0.0
    cooled_from: float = 15.0


class Fault(Struct):
    """A fault that was injected: what, where, from when to when (site time)."""

    id: int
    device: str
    kind: str
    start: float
    end: float | None = None
    value: Any = None
    active: bool = False


class WorldState(Struct):
    """All that outlives the death of the world's process."""

    mount: MountState = field(default_factory=MountState)
    camera: CameraState = field(default_factory=CameraState)
    focuser: FocuserState = field(default_factory=FocuserState)
    filters: FilterWheelState = field(default_factory=FilterWheelState)
    roof: RoofState = field(default_factory=RoofState)
    cover: CoverState = field(default_factory=CoverState)
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    timebases: dict[str, Timebase] = field(default_factory=dict)


def load(path: Path) -> WorldState | None:
    """Read the state of an earlier run, if there was one. Raises `ConfigError` when the file is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorldState)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is no state of a simulated world ({error}); remove it to begin anew") from error


def save(state: WorldState, path: Path) -> None:
    """Write the state so that a kill at any instant leaves the old or the new one, whole."""
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(state))
    os.replace(draft, path)
