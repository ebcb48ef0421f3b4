"""What all devices of Alpaca have in common (ASCOM Platform 7)."""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.gateway.alpaca.errors import ACTION_NOT_IMPLEMENTED, NOT_CONNECTED, AlpacaError, not_implemented
from pytel.gateway.alpaca.members import Kind, Member, Value, get, put
from pytel.gateway.alpaca.operation import Operation
from pytel.gateway.alpaca.site import AlpacaSite, Client, ClientKey
from pytel.module import Interface

I = TypeVar("I", bound=Interface)  # noqa: E741 - the interface
MOST_CLIENTS = 100
"""Clients that one device remembers as connected; a further one ends the connection of the one unheard for longest."""
VERSION = "0.1"
TOLD_WITHIN: Seconds = 0.5
"""Real seconds."""
_ALWAYS = frozenset(
    {
        "connect",
        "connected",
        "connecting",
        "description",
        "disconnect",
        "driverinfo",
        "driverversion",
        "interfaceversion",
        "name",
        "supportedactions",
    }
)
"""Members that need no connection."""


class Device:
    """A module as a device of Alpaca. A subclass declares the members of its kind by `get` and `put`.

    `constants` answer always the same; `missing` are members that the standard knows and pytel has not, with their
    parameters, or None for a property that can only be read. `operational` is what `DeviceState` tells, `actions` what
    `Action` can do.
    """

    kind: ClassVar[str]
    type_name: ClassVar[str]
    interface: ClassVar[type[Interface]]
    interface_version: ClassVar[int]
    constants: ClassVar[Mapping[str, Any]] = {}
    missing: ClassVar[Mapping[str, Mapping[str, Kind] | None]] = {}
    operational: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[tuple[str, ...]] = ()
    members: ClassVar[Mapping[tuple[str, str], Member]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found = dict(cls.members)
        for function in vars(cls).values():
            member = getattr(function, "__dict__", {}).get("alpaca")
            if isinstance(member, Member):
                found[member.verb, member.name.lower()] = member
        for name in cls.constants:
            found["GET", name.lower()] = Member(name, "GET", {}, "")
        for name, parameters in cls.missing.items():
            if parameters is None or list(parameters) == [name]:  # a property; methods have no GET
                found.setdefault(("GET", name.lower()), Member(name, "GET", {}, ""))
            if parameters is not None:
                found["PUT", name.lower()] = Member(name, "PUT", parameters, "")
        cls.members = found

    def __init__(self, site: AlpacaSite, address: Address, number: int) -> None:
        self.site = site
        self.address = address
        self.number = number
        self.operation: Operation[Any] = Operation()
        self._clients: OrderedDict[ClientKey, None] = OrderedDict()

    # requests

    def is_open_to(self, client: Client, member: str) -> bool:
        """Whether a client may ask for this now; one that is connected counts as heard."""
        if client.key in self._clients:
            self._clients.move_to_end(client.key)
            self.site.control.note_request()
            return True
        return member in _ALWAYS

    async def answer(self, member: Member, values: list[Value], client: Client) -> Any:
        """Answer a request. Raises `AlpacaError`, `PytelError`."""
        if not self.is_open_to(client, member.name.lower()):
            raise AlpacaError(NOT_CONNECTED, f"connect to {self.type_name} {self.number} first")
        if not member.function:
            if member.verb == "GET" and member.name in self.constants:
                return self.constants[member.name]
            raise not_implemented(member.name)
        function = getattr(self, member.function)
        needs_client = member.verb == "PUT" or member.name == "Connected"
        result = function(client, *values) if needs_client else function(*values)
        return await result if inspect.isawaitable(result) else result

    # for subclasses

    def of(self, client: Client, interface: type[I]) -> I:
        """The module, called in a client's name."""
        return client.find(interface, self.address)

    async def controlled(self, client: Client, interface: type[I]) -> I:
        """The same for what needs the control of the group. Raises `ControlHeld`."""
        await self.site.control.take(client, self.address)
        return self.of(client, interface)

    async def close(self) -> None:
        """Let go of what is under way."""
        await self.operation.close()

    # members that all have

    @get("Connected")
    def connected(self, client: Client) -> bool:
        """Whether the client has connected, and the module is there."""
        return client.key in self._clients and self._is_present()

    def _is_present(self) -> bool:
        try:
            return self.interface.urn() in self.site.peer(self.address).card.interfaces
        except PytelError:
            return False

    @put("Connected", Connected=bool)
    async def set_connected(self, client: Client, connected: bool) -> None:
        """Connect or disconnect."""
        await (self.connect(client) if connected else self.disconnect(client))

    @put("Connect")
    async def connect(self, client: Client) -> None:
        """Connect at once."""
        peer = self.site.peer(self.address)
        if self.interface.urn() not in peer.card.interfaces:
            raise AlpacaError(NOT_CONNECTED, f"{self.address} is no {self.interface.__name__}; mend the site file")
        self.site.forget_capabilities(self.address)
        self._clients[client.key] = None
        self.site.connections.add((self.address, client.key))
        while len(self._clients) > MOST_CLIENTS:
            unheard, _ = self._clients.popitem(last=False)
            self.site.connections.discard((self.address, unheard))

    @put("Disconnect")
    async def disconnect(self, client: Client) -> None:
        """Disconnect at once; the last client of all devices gives the control back."""
        self._clients.pop(client.key, None)
        self.site.connections.discard((self.address, client.key))
        if not self.site.connections:
            await self.site.control.release()

    @get("Connecting")
    def connecting(self) -> bool:
        """Never: it is done at once."""
        return False

    @get("Description")
    def description(self) -> str:
        """What it is."""
        return f"{self.address} of {self.site.info.name}, a module of pytel"

    @get("DriverInfo")
    def driver_info(self) -> str:
        """Whose it is."""
        return "pytel observatory control system"

    @get("DriverVersion")
    def driver_version(self) -> str:
        """Major and minor version only."""
        return VERSION

    @get("InterfaceVersion")
    def version_of_interface(self) -> int:
        """The version of the interface."""
        return self.interface_version

    @get("Name")
    def name(self) -> str:
        """The module."""
        return str(self.address)

    @get("SupportedActions")
    def supported_actions(self) -> list[str]:
        """What `Action` can do."""
        return list(self.actions)

    @get("DeviceState")
    async def device_state(self) -> list[dict[str, Any]]:
        """All operational values that are known, and when."""
        known = await self.operational_values()
        known["TimeStamp"] = iso_utc(clock.time())
        return [{"Name": name, "Value": value} for name, value in known.items()]

    async def operational_values(self) -> dict[str, Any]:
        """What is known of `operational`."""
        found: dict[str, Any] = {}
        for name in self.operational:
            member = self.members["GET", name.lower()]
            if not member.function:
                if name in self.constants:
                    found[name] = self.constants[name]
                continue
            try:
                result = getattr(self, member.function)()
                found[name] = await result if inspect.isawaitable(result) else result
            except (AlpacaError, PytelError):
                continue
        return found

    @put("Action", Action=str, Parameters=str)
    async def action(self, client: Client, name: str, parameters: str) -> str:
        """Do what is special to a device."""
        if not self.actions:
            raise not_implemented("Action")
        if name.lower() not in [known.lower() for known in self.actions]:
            raise AlpacaError(ACTION_NOT_IMPLEMENTED, f"there is no action {name[:50]!r}; see SupportedActions")
        return await self.do(client, name.lower(), parameters)

    async def do(self, client: Client, name: str, parameters: str) -> str:
        """Do one of `actions`."""
        raise not_implemented("Action")

    @put("CommandBlind", Command=str, Raw=str)
    def command_blind(self, client: Client, command: str, raw: str) -> None:
        """There are no commands behind the interface."""
        raise not_implemented("CommandBlind")

    @put("CommandBool", Command=str, Raw=str)
    def command_bool(self, client: Client, command: str, raw: str) -> bool:
        """There are no commands behind the interface."""
        raise not_implemented("CommandBool")

    @put("CommandString", Command=str, Raw=str)
    def command_string(self, client: Client, command: str, raw: str) -> str:
        """There are no commands behind the interface."""
        raise not_implemented("CommandString")


Device.members = {
    (member.verb, member.name.lower()): member
    for function in vars(Device).values()
    if isinstance(member := getattr(function, "__dict__", {}).get("alpaca"), Member)
}


async def told_soon(condition: Callable[[], bool]) -> None:
    """Wait a moment for a state to tell what has just been done; it may come after the end of the job."""
    for _ in range(round(TOLD_WITHIN / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)


def iso_utc(when: float) -> str:
    """An instant (Unix seconds) in ISO 8601, with the Z that the standard asks for."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
