"""A module process whose modules meet on a bus of their own: what supervision is tested with."""

import sys

from pytel.base.errors import Conflict
from pytel.bus.address import Address
from pytel.bus.contract import Bus
from pytel.bus.local import LocalHub
from pytel.cli.child import main
from pytel.module.specs import SiteFile

hub = LocalHub()


def bus(site: SiteFile, address: Address) -> Bus:
    order = site.info.state_dir / f"{address}.start"
    if order.exists() and order.read_text() == "conflict":
        raise Conflict(f"{address}: another copy runs")
    return hub.bus(address)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], bus))
