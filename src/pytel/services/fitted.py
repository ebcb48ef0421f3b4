"""A driver's configuration, completed by what its hardware says of itself."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pytel.module.config import ModuleConfig

C = TypeVar("C", bound=ModuleConfig)


def fitted(config: C, **facts: Any) -> C:
    """Fit a driver's configuration to the hardware: what the site file says of the driver stands, the rest is told
    by the hardware (or its simulation).

    """
    fields = {field.name: field for field in msgspec.structs.fields(config)}
    unsaid = {name: value for name, value in facts.items() if getattr(config, name) == fields[name].default}
    return msgspec.structs.replace(config, **unsaid)
