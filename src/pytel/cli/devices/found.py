"""What a scan finds, and which module types drive it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import msgspec

from pytel.base.errors import ConfigError
from pytel.module.registry import load_type, registered_types

Setting = str | int | float


class FoundDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a server, as one kind of device: an INDI device of two kinds is found twice.

    `type` is the module type that drives it, None where there is no driver; `settings` are what its section in the
    site file says besides; `module` is the name that it gets there.
    """

    protocol: str
    server: str
    name: str
    kind: str
    type: str | None
    settings: dict[str, Setting] = {}
    module: str = ""
    missing: tuple[str, ...] = ()
    """Keys of its section that no scan can tell."""
    note: str = ""


class FoundServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answered."""

    protocol: str
    address: str
    name: str = ""
    notes: tuple[str, ...] = ()
    devices: tuple[FoundDevice, ...] = ()


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found; `troubles` are sentences about what did not answer."""

    servers: tuple[FoundServer, ...]
    troubles: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[FoundDevice, ...]:
        """Of all servers."""
        return tuple(device for server in self.servers for device in server.devices)


@cache
def alpaca_types() -> Mapping[str, str]:
    """The registered module types by the kind of Alpaca device that each drives. Blocking: classes are imported."""
    found: dict[str, str] = {}
    for name in registered_types():
        if name.startswith("alpaca-"):
            try:
                kind = getattr(load_type(name), "device_type", None)
            except ConfigError:  # it needs a library that is not installed
                continue
            if isinstance(kind, str):
                found.setdefault(kind, name)
    return found


def indi_type(kind: str) -> str | None:
    """The registered module type for a kind of INDI device, such as `filter wheel`. Blocking."""
    name = f"indi-{kind.replace(' ', '-')}"
    return name if name in registered_types() else None


def driven(device: FoundDevice) -> FoundDevice:
    """Tell what else its section in the site file must say; without a type if its driver cannot be used. Blocking."""
    if device.type is None:
        return device
    try:
        config = getattr(load_type(device.type), "Config", None)
    except ConfigError as error:
        return msgspec.structs.replace(device, type=None, note=error.message)
    fields = msgspec.structs.fields(config) if config is not None else ()
    missing = tuple(field.name for field in fields if field.required and field.name not in device.settings)
    return msgspec.structs.replace(device, missing=missing)


__all__ = ["Findings", "FoundDevice", "FoundServer", "Setting", "alpaca_types", "driven", "indi_type"]
