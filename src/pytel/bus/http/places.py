"""Places for connections: so many in all, and so many for one address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple


class Full(NamedTuple):
    """Why there is no place: a status of HTTP, and a sentence."""

    status: int
    message: str


class Places(NamedTuple):
    """`most` connections in all, `of_one_address` for each client (None: as many as there are)."""

    most: int
    of_one_address: int | None = None

    def full(self, address: str, others: Iterable[str]) -> Full | None:
        """Whether there is no place for one more, beside the addresses of the `others`."""
        taken = [network(other) for other in others]
        if self.of_one_address is not None and taken.count(network(address)) >= self.of_one_address:
            return Full(429, f"{self.of_one_address} connections of this address are open; close some of them")
        if len(taken) >= self.most:
            return Full(503, f"{self.most} connections are open; try again in a moment")
        return None


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What counts as one address: IPv6 hosts have a whole /64 to themselves."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
