"""Connections as the site file describes them."""

from __future__ import annotations

import logging

from pytel.base.errors import ConfigError
from pytel.bus.address import Address
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.accounts import password_in
from pytel.bus.xmpp.config import XmppConfig

try:
    from pytel.bus.xmpp.bus import PATIENCE, XmppBus
    from pytel.bus.xmpp.link import Server
except ModuleNotFoundError as error:
    raise ConfigError(f"the bus over XMPP needs {error.name}: pip install 'pytel-ocs[xmpp]'") from error


def server_of(config: XmppConfig) -> Server:
    """Where the server is."""
    return Server(domain=config.domain, host=config.host, port=config.port, ca=config.ca)


def xmpp_bus(config: XmppConfig, address: Address, *, patience: float | None = None) -> XmppBus:
    """The connection of one module or service account."""
    from pytel.bus.xmpp.people import XmppPasswords

    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # what it has to tell, our errors tell
    bus = XmppBus(
        address,
        server_of(config),
        password_in(config.accounts, str(address)),
        Access.of(config),
        wire=config.wire,
        patience=PATIENCE if patience is None else patience,
    )
    bus.passwords = XmppPasswords(config)
    return bus
