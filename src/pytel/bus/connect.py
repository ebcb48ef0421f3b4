"""Which bus a site file asks for: each process makes its own connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytel.base.errors import ConfigError
from pytel.bus.address import Address
from pytel.bus.contract import Bus

if TYPE_CHECKING:
    from pytel.bus.http.config import HttpConfig
    from pytel.bus.xmpp.config import XmppConfig


class BusOptions(Protocol):
    """What a site file says of its bus."""

    @property
    def bus(self) -> str:
        """The kind of bus."""

    @property
    def http(self) -> HttpConfig | None:
        """The section of HTTP, with its defaults filled in."""

    @property
    def xmpp(self) -> XmppConfig | None:
        """The section of XMPP, with its defaults filled in."""


def make_bus(site: BusOptions, address: Address, *, patience: float | None = None) -> Bus:
    """Make the connection of one module, not open yet; who may speak for others follows from the account.

    `patience` is how many real seconds the server may take to come up. Raises `ConfigError` for a bus that needs none
    (`local`: its modules share one process).
    """
    if site.bus == "xmpp" and site.xmpp is not None:
        from pytel.bus.xmpp.connection import xmpp_bus

        return xmpp_bus(site.xmpp, address, patience=patience)
    if site.bus == "http" and site.http is not None:
        from pytel.bus.http.connection import http_bus

        return http_bus(site.http, address)
    raise ConfigError(f"modules on the bus {site.bus!r} share one process and need no connection of their own")
