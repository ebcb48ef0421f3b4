"""Faults on order: a device hangs, sticks, slows down, loses its link, falls silent or lies; the weather turns bad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from pytel.base.errors import ConnectionLost, DeviceTimeout, InvalidParams, NotFound
from pytel.base.units import Duration
from pytel.devices.simulated.world.climate import FORCED
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.state import Fault, WorldState

Kind = Literal["hang", "stuck", "slow", "disconnect", "silent", "lie", "weather"]
_WEATHER = frozenset(
    {"temperature", "humidity", "wind_speed", "wind_gust", "rain_rate", "cloud_cover", "cloud_extinction"}
)


class Faults(Device):
    """Injects, clears and lists faults."""

    name = "faults"

    def __init__(self, site: Site, devices: Iterable[str]) -> None:
        super().__init__(site)
        self.devices = tuple(devices)

    @command
    def inject(
        self,
        now: float,
        device: str,
        kind: str,
        start: float | None = None,
        duration: Duration | None = None,
        value: Any = None,
    ) -> dict[str, Any]:
        """Let a device fail from `start` (site time, default now) for `duration` seconds (default: until cleared).

        `value`: for `stuck` the fraction at which the roof sticks, for `slow` the factor, for `lie` a mapping of what
        is reported wrongly, for `weather` one of rain, wind, clouds, humidity or a mapping of quantities.
        """
        self._check(device, kind, value)
        begin = now if start is None else max(start, now)
        self.site.state.fault_count += 1
        end = None if duration is None else begin + duration
        fault = Fault(id=self.site.state.fault_count, device=device, kind=kind, start=begin, end=end, value=value)
        self.site.state.faults.append(fault)
        return _shown(fault)

    @command
    def clear(self, now: float, id: int | None = None, device: str | None = None) -> None:  # noqa: A002
        """End one fault, those of a device, or all. Raises `NotFound` for an unknown id."""
        chosen = [
            f for f in self.site.state.faults if (id is None or f.id == id) and (device is None or f.device == device)
        ]
        if id is not None and not chosen:
            raise NotFound(f"there is no fault {id}; it may be over", id=id)
        for fault in chosen:
            if fault.active:
                fault.end = now
            else:
                self.site.state.faults.remove(fault)

    @command
    def list(self, now: float) -> list[dict[str, Any]]:
        """All faults that are active or still to come."""
        return [_shown(fault) for fault in self.site.state.faults]

    def _check(self, device: str, kind: str, value: Any) -> None:
        if device not in self.devices:
            raise InvalidParams(f"there is no simulated device {device!r}, only {', '.join(self.devices)}")
        if kind not in get_args(Kind):
            raise InvalidParams(f"there is no fault {kind!r}, only {', '.join(get_args(Kind))}")
        if kind == "weather":
            if device != "weather":
                raise InvalidParams("the fault 'weather' is one of the device 'weather'")
            forced_by(value)
        elif kind == "slow" and not (_is_number(value) and value >= 1):
            raise InvalidParams("the fault 'slow' needs a factor of 1 or more as its value")
        elif kind == "stuck" and value is not None and not (_is_number(value) and 0 <= value <= 1):
            raise InvalidParams("the fault 'stuck' takes a fraction from 0 to 1 as its value")
        elif kind == "lie" and value is not None and not isinstance(value, dict):
            raise InvalidParams("the fault 'lie' takes a mapping of what is reported wrongly as its value")


def transitions(state: WorldState, now: float) -> list[tuple[float, bool, Fault]]:
    """The beginnings (True) and ends of faults that have passed and are not yet carried out, in order of time."""
    passed = [(fault.start, True, fault) for fault in state.faults if not fault.active and fault.start <= now]
    passed += [(fault.end, False, fault) for fault in state.faults if fault.end is not None and fault.end <= now]
    return sorted(passed, key=lambda item: (item[0], item[2].id, not item[1]))


def active(state: WorldState, device: str, kind: str) -> Fault | None:
    """The fault of a kind that a device has now."""
    for fault in state.faults:
        if fault.active and fault.device == device and fault.kind == kind:
            return fault
    return None


def rate(state: WorldState, device: str) -> float:
    """How fast a device's own time runs: 0 while it hangs."""
    speed = 1.0
    for fault in state.faults:
        if fault.active and fault.device == device:
            if fault.kind == "hang":
                return 0.0
            if fault.kind == "slow":
                speed /= float(fault.value or 1)
    return speed


def forced_weather(state: WorldState, when: float) -> Mapping[str, float]:
    """The quantities of the weather that are forced at a time."""
    forced: dict[str, float] = {}
    for fault in state.faults:
        if fault.kind == "weather" and fault.start <= when and (fault.end is None or when < fault.end):
            forced |= forced_by(fault.value)
    return forced


def forced_by(value: Any) -> dict[str, float]:
    """The quantities that a value of the fault `weather` stands for. Raises `InvalidParams`."""
    if value is None:
        return FORCED["rain"]
    if isinstance(value, str) and value in FORCED:
        return FORCED[value]
    try:
        forced = msgspec.convert(value, dict[str, float])
    except msgspec.ValidationError as error:
        raise InvalidParams(
            f"the fault 'weather' takes {', '.join(FORCED)} or a mapping of numbers: {error}"
        ) from error
    if unknown := sorted(set(forced) - _WEATHER):
        raise InvalidParams(f"the weather has no {unknown[0]!r}, only {', '.join(sorted(_WEATHER))}")
    return forced


def check_link(state: WorldState, device: str) -> None:
    """Raise what a caller meets at a device without a link or an answer."""
    if active(state, device, "disconnect"):
        raise ConnectionLost(f"the link to the simulated {device} is down", device=device)
    if active(state, device, "silent"):
        raise DeviceTimeout(f"the simulated {device} does not answer", device=device)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(fault: Fault) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(fault)
    return shown
