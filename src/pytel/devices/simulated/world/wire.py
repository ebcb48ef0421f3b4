"""What goes over the socket of the simulated hardware: a line of JSON each way, and the bytes of a frame after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pytel.base.clock import Clock, RealClock, ScaledClock
from pytel.base.location import Location
from pytel.devices.simulated.world.config import WorldConfig

LONGEST_LINE = 65_536
SOCKET = "world.sock"
SETUP = "setup.json"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command for a device."""

    device: str
    command: str
    params: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the device says; `size` bytes of pixels in `shape` (rows, columns; little-endian uint16) follow a frame."""

    result: Any = None
    error: dict[str, Any] | None = None
    size: int | None = None
    shape: tuple[int, int] | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """All that a world needs to know before it exists. A `rate` of None is real time."""

    config: WorldConfig
    location: Location
    seed: int
    site_epoch: float = 0.0
    real_epoch: float = 0.0
    rate: float | None = None

    def clock(self) -> Clock:
        """The clock of the site."""
        return RealClock() if self.rate is None else ScaledClock(self.site_epoch, self.real_epoch, self.rate)


def setup_for(config: WorldConfig, location: Location, seed: int, clock: Clock) -> Setup:
    """Describe a world on this process's clock."""
    if isinstance(clock, ScaledClock):
        return Setup(
            config=config,
            location=location,
            seed=seed,
            site_epoch=clock.site_epoch,
            real_epoch=clock.real_epoch,
            rate=clock.rate,
        )
    return Setup(config=config, location=location, seed=seed)


def read_setup(directory: Path) -> Setup | None:
    """Read the setup of a directory; None when there is none that can be read."""
    try:
        return msgspec.json.decode((directory / SETUP).read_bytes(), type=Setup)
    except (OSError, msgspec.MsgspecError):
        return None
