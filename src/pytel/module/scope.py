"""Who answers for an interface: group, `uses` and `primary` decide, never a module's name in code."""

from __future__ import annotations

from collections.abc import Mapping

from pytel.base.errors import AmbiguousModule, ModuleNotFound
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Peer
from pytel.module.interface import Interface


class Scope:
    """What one module sees: its own group and the site's shared modules."""

    def __init__(self, bus: Bus, uses: Mapping[str, str]) -> None:
        self._bus = bus
        self._own = bus.address
        self._uses = uses

    def sees(self, address: Address) -> bool:
        """Tell whether a module is of one's own group or shared."""
        return address.site == self._own.site and address.group in (None, self._own.group)

    def all(self, interface: type[Interface], group: str | None = None) -> list[Peer]:
        """All present modules but oneself that implement the interface, sorted by address."""
        return [
            peer
            for peer in self._bus.peers()
            if interface.urn() in peer.card.interfaces
            and peer.address != self._own
            and (peer.address.group == group if group else self.sees(peer.address))
        ]

    def one(self, interface: type[Interface], name: str | None = None, group: str | None = None) -> Peer:
        """The one module that answers. Raises `ModuleNotFound`, `AmbiguousModule`."""
        wanted = name or self._uses.get(interface.__name__)
        found = self.all(interface, group)
        if wanted is not None:
            found = [peer for peer in found if wanted in (peer.address.module, str(peer.address))]
        found = _nearest(found, group or self._own.group)
        if len(found) == 1:
            return found[0]
        if not found:
            raise ModuleNotFound(self._not_found(interface, wanted, group))
        names = " and ".join(str(peer.address) for peer in found)
        raise AmbiguousModule(
            f"{names} all offer {interface.__name__}: mark one as primary or write "
            f"'uses: {{{interface.__name__}: …}}' for {self._own} in the site file"
        )

    def _not_found(self, interface: type[Interface], wanted: str | None, group: str | None) -> str:
        where = f" in group {group or self._own.group}" if group or self._own.group else ""
        who = f"no module called {wanted} that offers" if wanted else "no module offers"
        told = f"{who} {interface.__name__} version {interface.version}{where}"
        others = self._of_other_versions(interface)
        return f"{told}, but {' and '.join(others)}: update the older one" if others else f"{told}; is it started?"

    def _of_other_versions(self, interface: type[Interface]) -> list[str]:
        start = interface.urn().removesuffix(str(interface.version))
        return [
            f"{peer.address} offers version {urn.removeprefix(start)}"
            for peer in self._bus.peers()
            if self.sees(peer.address)
            for urn in peer.card.interfaces
            if urn.startswith(start) and urn != interface.urn()
        ]


def _nearest(found: list[Peer], group: str | None) -> list[Peer]:
    own = [peer for peer in found if peer.address.group == group]
    candidates = own or found
    primary = [peer for peer in candidates if peer.card.primary]
    return primary if len(primary) == 1 else candidates
