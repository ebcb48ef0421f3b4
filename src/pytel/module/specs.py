"""One module of a site file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pytel.bus.address import Address
from pytel.module.config import ModuleConfig
from pytel.module.faults import KeyPath


class ModuleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A module as the site file wants it: `kind` is its class, `uses` maps interface names to module names."""

    name: str
    group: str | None = None
    type_name: str = ""
    kind: type
    config: ModuleConfig
    uses: Mapping[str, str] = {}
    primary: bool = False
    autostart: bool = True
    line: int = 1
    path: KeyPath = ()

    @property
    def address(self) -> Address:
        """Where it is called."""
        return Address(self.name, self.group)
