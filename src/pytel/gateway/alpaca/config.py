"""What a site file says about the Alpaca server of its gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Literal

import msgspec

from pytel.base.errors import InvalidParams
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.module.faults import Found, KeyPath
from pytel.services.alpaca_management import DeviceKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
THIS_HOST = ("127.0.0.0/8", "::1/128")


class AlpacaConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which modules are offered, where, to whom. Alpaca knows neither passwords nor encryption.

    `devices` has the addresses of modules by the kind of device: the first of a kind is its device number 0. `allow`
    are the networks whose hosts are answered at all, `role` is what their programs may do, `hosts` are names by which
    the server may be called besides IP addresses and `localhost`. With `discovery` it answers to clients that look for
    servers (UDP port 32227). `guide_ports` has the guide port of each telescope that has one, by addresses.
    """

    devices: dict[DeviceKind, list[str]]
    guide_ports: dict[str, str] = {}
    listen: str = "127.0.0.1:11111"
    allow: tuple[str, ...] = THIS_HOST
    hosts: tuple[str, ...] = ()
    role: Literal["viewer", "observer", "operator"] = "observer"
    discovery: bool = True

    @property
    def clients_role(self) -> Role:
        """The role of all clients."""
        return Role(self.role)

    def networks(self) -> tuple[Network, ...]:
        """The networks whose hosts are answered. Raises `ValueError`."""
        return tuple(ipaddress.ip_network(text) for text in self.allow)

    def faults(self) -> Iterator[Found]:
        """Tell what is wrong."""
        for position, text in enumerate(self.allow):
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                yield ("allow", position), f"{text!r} is no network: {error}; write '192.168.1.0/24'"
        for telescope, port in self.guide_ports.items():
            if telescope not in self.devices.get("telescope", []):
                yield ("guide_ports", telescope), f"no telescope {telescope} is offered under 'devices'"
            yield from _fault_of_address(port, ("guide_ports", telescope))
        for kind, modules in self.devices.items():
            yield from _faults_of_modules(kind, modules)


def _faults_of_modules(kind: str, modules: list[str]) -> Iterator[Found]:
    for position, text in enumerate(modules):
        yield from _fault_of_address(text, ("devices", kind, position))
        if text in modules[:position]:
            yield ("devices", kind, position), f"{text} is offered already"


def _fault_of_address(text: str, where: KeyPath) -> Iterator[Found]:
    try:
        Address.parse(text)
    except InvalidParams as error:
        yield where, error.message
