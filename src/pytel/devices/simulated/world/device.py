"""What all simulated devices share: their commands, their own time, and standing still when they are stuck."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec

from pytel.base.errors import DeviceError, InvalidParams, MethodNotFound
from pytel.base.location import Location
from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.state import Timebase, WorldState

Method = TypeVar("Method", bound=Callable[..., Any])
_MARK = "_is_command"


class Site:
    """What every device of a world knows: configuration, place, seed and the state that is kept."""

    def __init__(self, config: WorldConfig, location: Location, seed: int, state: WorldState) -> None:
        self.config = config
        self.location = location
        self.seed = seed
        self.state = state


def command(method: Method) -> Method:
    """Mark a method as a command of its device; it gets the site time first, then the caller's parameters."""
    setattr(method, _MARK, True)
    return method


class Device:
    """A simulated device: a view of its state at a time, and the commands that change it."""

    name: ClassVar[str] = ""
    stopping: ClassVar[frozenset[str]] = frozenset({"stop", "abort"})
    """Commands that a hung device does not hear."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def timebase(self) -> Timebase:
        """How this device's time runs."""
        return self.site.state.timebases.setdefault(self.name, Timebase())

    def local(self, now: float) -> float:
        """This device's own time."""
        return self.timebase.at(now)

    def execute(self, name: str, params: dict[str, Any], now: float) -> Any:
        """Carry out a command. Raises `MethodNotFound`, `InvalidParams` and what the device says."""
        method = getattr(self, name, None) if name.isidentifier() else None
        if method is None or not getattr(method, _MARK, False):
            raise MethodNotFound(f"the simulated {self.name} has no command {name!r}", device=self.name)
        return method(now, **_converted(self.name, method.__func__, params))

    def settle(self, now: float) -> bool:
        """Note what has ended by now; tells whether anything changed."""
        return False

    def halt(self, now: float, value: Any) -> None:
        """Get stuck: stand still, here or (where the device allows it) at `value`."""

    def fault(self, message: str) -> DeviceError:
        """Make an error that names this device."""
        return DeviceError(message, device=self.name)

    def is_stuck(self) -> bool:
        """Tell whether it accepts commands without moving."""
        return any(fault.active and fault.kind == "stuck" for fault in self.faults())

    def faults(self) -> list[Any]:
        """The faults of this device."""
        return [fault for fault in self.site.state.faults if fault.device == self.name]

    def lie(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """What a lying device reports in place of its status."""
        return status


@functools.cache
def _signature(method: Callable[..., Any]) -> dict[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(method, include_extras=True)
    parameters = list(inspect.signature(method).parameters.values())[2:]
    return {p.name: (hints[p.name], p.default is inspect.Parameter.empty) for p in parameters}


def _converted(device: str, method: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    wanted = _signature(method)
    for name in params:
        if name not in wanted:
            raise InvalidParams(f"{device}.{method.__name__} takes no parameter {name!r}", device=device)
    for name, (_, required) in wanted.items():
        if required and name not in params:
            raise InvalidParams(f"{device}.{method.__name__} needs the parameter {name!r}", device=device)
    try:
        return {name: msgspec.convert(value, wanted[name][0]) for name, value in params.items()}
    except msgspec.ValidationError as error:
        raise InvalidParams(f"{device}.{method.__name__}: {error}", device=device) from error
