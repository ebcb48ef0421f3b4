"""What a site file says, checked: the site, how its time runs, its modules and which of them share a process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pytel.bus.address import Address
from pytel.bus.http.config import HttpConfig
from pytel.bus.xmpp.config import XmppConfig
from pytel.module.config import ModuleConfig
from pytel.module.faults import KeyPath
from pytel.module.site import SiteInfo


class TimeSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How site time runs: `real`, or `scaled` by `rate` from `start` on (default: now)."""

    mode: Literal["real", "scaled"] = "real"
    rate: Annotated[float, Meta(gt=0, le=10000)] = 60.0
    start: datetime | None = None


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


class SiteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A site; `processes` names the modules that share one, by their addresses."""

    info: SiteInfo
    bus: str = "local"
    http: HttpConfig | None = None
    xmpp: XmppConfig | None = None
    time: TimeSection = TimeSection()
    modules: tuple[ModuleSpec, ...] = ()
    processes: Mapping[str, tuple[str, ...]] = {}

    def module(self, address: Address) -> ModuleSpec | None:
        """The module at an address, None when there is none."""
        return next((spec for spec in self.modules if (spec.name, spec.group) == address[:2]), None)

    def process_of(self, address: Address) -> str:
        """The name of the process that a module runs in: that of its group of processes, else its own address."""
        own = str(address)
        return next((name for name, members in self.processes.items() if own in members), own)
