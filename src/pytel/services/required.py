"""What must be there before something may go on: modules by name, or interfaces that somebody must offer."""

from __future__ import annotations

import pytel.interfaces
from pytel.base.errors import ConfigError, PytelError
from pytel.bus.address import Address
from pytel.module import Interface, ModuleState
from pytel.services.module import Module

_SERVING = ("ready", "error")
"""A module with an alarm still serves; what the alarm means, its state tells."""


def interface_called(name: str) -> type[Interface] | None:
    """The interface of a name such as `WeatherStation`; None for a module's name. Raises `ConfigError`."""
    if not name[:1].isupper():
        try:
            Address.parse(name)
        except PytelError as error:
            raise ConfigError(f"`required`: {error.message}") from error
        return None
    kind = getattr(pytel.interfaces, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Interface)):
        raise ConfigError(f"`required`: {name!r} is no interface; write one such as WeatherStation, or a module's name")
    return kind


class Required:
    """Watches what a module requires. Raises `ConfigError` for a name that cannot be."""

    def __init__(self, module: Module, names: tuple[str, ...]) -> None:
        self._module = module
        self._kinds = {name: interface_called(name) for name in names}
        module.follow(ModuleState)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def missing(self) -> list[str]:
        """Those that are not there or do not serve, as they are written in the site file."""
        states = self._module.latest_all(ModuleState)
        serving = {str(address) for address, state in states.items() if state.status in _SERVING}
        return [
            name
            for name, kind in self._kinds.items()
            if not (name in serving if kind is None else self._module.has(kind))
        ]
