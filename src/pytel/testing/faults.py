"""What goes wrong in a random night, and when."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pytel.base import clock
from pytel.base.units import Seconds
from pytel.interfaces import CameraState, CameraStatus
from pytel.testing.observatory import Observatory

CRASHING = (
    *("archive", "autofocus", "camera", "control", "filters", "focuser", "notifier", "observer"),
    *("roof", "safety", "tasks", "telescope", "weather"),
)
"""The modules whose crash is a fault of its own; that of the store has its name."""


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault to come: at `start` (Unix seconds, site time) for `duration` seconds."""

    kind: str
    start: float
    duration: Seconds
    target: str
    value: Any = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value}"
        return f"{self.kind}: {self.target}{value} for {self.duration:.0f} s"


async def carry_out(fault: PlannedFault, observatory: Observatory) -> None:
    """Wait for the fault's time, let it happen, and mend it."""
    await clock.sleep_until(fault.start)
    await _ACTIONS[fault.kind](fault, observatory)


async def _hardware(fault: PlannedFault, observatory: Observatory) -> None:
    device, kind = fault.target.split()
    await observatory.inject(device, kind, value=fault.value, duration=fault.duration)
    await clock.sleep(fault.duration)


async def _bad_weather(fault: PlannedFault, observatory: Observatory) -> None:
    """Begin in the midst of an exposure, if there is one soon."""
    waiting = clock.time() + 900.0
    await observatory.until(lambda: _exposes(observatory) or clock.time() >= waiting, 1000.0)
    await _hardware(fault, observatory)


def _exposes(observatory: Observatory) -> bool:
    state = observatory.latest(CameraState)
    return state is not None and state.status is CameraStatus.EXPOSING and (state.progress or 0.0) > 0.1


async def _roof_stuck(fault: PlannedFault, observatory: Observatory) -> None:
    """The roof sticks half-way, and has to close."""
    await observatory.inject("roof", "stuck", value=fault.value, duration=fault.duration)
    await observatory.inject("weather", "weather", value="rain", after=30.0, duration=fault.duration)
    await clock.sleep(fault.duration)


async def _disk_full(fault: PlannedFault, observatory: Observatory) -> None:
    state = observatory.site.info.state_dir
    folders = [state / str(spec.address) for spec in observatory.site.modules]
    for folder in folders:
        observatory.fill_disk(folder)
    await clock.sleep(fault.duration)
    for folder in folders:
        observatory.free_disk(folder)


async def _crash(fault: PlannedFault, observatory: Observatory) -> None:
    """End a module as `kill -9` does, and start it again, as the service of the operating system does."""
    await observatory.crash(fault.target)
    await clock.sleep(fault.duration)
    await observatory.restart(fault.target)


_Action = Callable[[PlannedFault, Observatory], Awaitable[None]]
_ACTIONS: dict[str, _Action] = {
    "camera hangs": _hardware,
    "telescope stuck": _hardware,
    "roof stuck half-way": _roof_stuck,
    "roof fails": _hardware,
    "weather turns bad": _bad_weather,
    "weather station silent": _hardware,
    "disk full": _disk_full,
    "store crashes": _crash,
    "module crashes": _crash,
}


def plan_faults(rng: random.Random, begin: float, end: float, count: int) -> list[PlannedFault]:
    """Draw faults for a night whose dark time is from `begin` to `end`; all are over before its end."""
    kinds = rng.sample(sorted(_ACTIONS), k=min(count, len(_ACTIONS)))
    faults = [_draw(rng, kind, begin, end - 3600.0) for kind in kinds]
    return sorted(faults, key=lambda fault: fault.start)


def _draw(rng: random.Random, kind: str, begin: float, end: float) -> PlannedFault:
    start = rng.uniform(begin, end - 1800.0)
    longest = min(2400.0, end - start)
    duration = rng.uniform(5.0, 90.0) if kind.endswith("crashes") else rng.uniform(60.0, longest)
    target, value = _target(rng, kind)
    return PlannedFault(kind=kind, start=start, duration=duration, target=target, value=value)


def _target(rng: random.Random, kind: str) -> tuple[str, Any]:
    match kind:
        case "camera hangs":
            return f"camera {rng.choice(['hang', 'silent', 'disconnect'])}", None
        case "telescope stuck":
            return f"mount {rng.choice(['stuck', 'silent', 'disconnect'])}", None
        case "roof stuck half-way":
            return "roof", round(rng.uniform(0.1, 0.9), 3)
        case "roof fails":
            return f"roof {rng.choice(['hang', 'stuck', 'silent', 'disconnect'])}", None
        case "weather turns bad":
            return "weather weather", rng.choice(["rain", "wind", "clouds", "humidity"])
        case "weather station silent":
            return f"weather {rng.choice(['silent', 'disconnect', 'hang'])}", None
        case "disk full":
            return "all modules", None
        case "store crashes":
            return "store", None
        case _:
            return rng.choice(CRASHING), None
