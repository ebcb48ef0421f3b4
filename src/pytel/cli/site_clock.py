"""The clock of a running site. A scaled one keeps its epoch on disk, so that it goes on after a restart."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from pytel.base.clock import Clock, RealClock, ScaledClock
from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.module.specs import SiteFile

CLOCK = "clock.json"


class Epoch(msgspec.Struct, frozen=True):
    """Site time and real time at one instant (Unix seconds), and how many times faster site time runs."""

    site_epoch: float
    real_epoch: float
    rate: float


def site_clock(site: SiteFile) -> Clock:
    """The clock that the site file asks for. Raises `ConfigError` when what was kept of it is damaged."""
    if site.time.mode == "real":
        return RealClock()
    path = site.info.state_dir / CLOCK
    epoch = _kept(path)
    if epoch is None or epoch.rate != site.time.rate:
        now = time.time()  # the operating system's time, which site time is tied to here
        if epoch is not None:  # another rate: go on from where site time is now
            begin = epoch.site_epoch + (now - epoch.real_epoch) * epoch.rate
        else:
            begin = site.time.start.timestamp() if site.time.start else now
        epoch = Epoch(begin, now, site.time.rate)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [msgspec.json.encode(epoch)])
    return ScaledClock(epoch.site_epoch, epoch.real_epoch, epoch.rate)


def _kept(path: Path) -> Epoch | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Epoch)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); remove it to let site time begin anew") from error
