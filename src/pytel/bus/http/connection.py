"""From the section of a site file to the connection of one module."""

from __future__ import annotations

from pytel.bus.address import Address
from pytel.bus.http.accounts import Accounts
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import HttpConfig
from pytel.bus.people import AccountsFile


def http_bus(config: HttpConfig, address: Address) -> HttpBus:
    """Make the connection of one member, not open yet; a guest where it is no module of the file."""
    name = str(address)
    return HttpBus(
        address,
        accounts=Accounts(config.accounts, {name: False, **config.members}),
        people=AccountsFile(config.people),
        listen=config.listen.get(name),
        peers={Address.parse(peer): url for peer, url in config.urls.items() if peer != name},
        tls=config.tls,
        insecure=config.insecure,
    )
