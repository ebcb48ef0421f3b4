"""What all INDI drivers share: the way to their device, kept up through restarts of server, driver and hardware."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from pytel.base.errors import ConfigError, ConnectionLost, NotFound, NotReady, PytelError
from pytel.devices.indi.handle import CONNECTION, IndiDevice
from pytel.devices.indi.properties import Kind, PropertyState, Vector
from pytel.devices.indi.shared import acquire_client, release_client
from pytel.interfaces.indi import IndiProperties, IndiProperty
from pytel.module.handlers import background
from pytel.services.module import Module

_ALARM = "indi"
_LOOK_AGAIN = 5.0
_SET_PATIENCE = 10.0


class IndiConfig(Protocol):
    """What the configuration of each driver has; write the three fields with these types and defaults:

        server: str = DEFAULT_SERVER
        device: str                       # as the server calls it, such as "Focuser Simulator"
        connect_time: Duration = 30.0

    (Structs of msgspec cannot be mixed in.)
    """

    @property
    def server(self) -> str:
        """`host:port`, or the path of indiserver's Unix socket."""

    @property
    def device(self) -> str:
        """The device's name on the server."""

    @property
    def connect_time(self) -> float:
        """Seconds for the device to appear, to connect and to tell its properties."""


class IndiDriver(Module, IndiProperties):
    """Mixed in before the base of the device: `class IndiFocuser(IndiDriver, BaseFocuser)`.

    A driver overrides `read_capabilities`, which runs at each connect, and begins its `on_start` with

        await self.connect_device("ABS_FOCUS_POSITION")
        await super().on_start()
    """

    _indi: IndiDevice | None = None
    _needed: tuple[str, ...] = ()
    _connected = False
    _told: str | None = None

    @property
    def indi(self) -> IndiDevice:
        """The device. Raises `NotReady` before `connect_device`."""
        if self._indi is None:
            raise NotReady(f"{self.address} has not connected to its device yet")
        return self._indi

    async def connect_device(self, *properties: str) -> None:
        """Reach the server, switch the device's CONNECTION on and wait for the properties it must have.

        From then on the device is connected again whenever server, driver or hardware come back, and
        `read_capabilities` and `on_connect` run each time. Raises `ConnectionLost`, `NotReady` (the device or a
        property does not come), `DeviceError` (it does not connect): the module is started again later.
        """
        config = cast("IndiConfig", self.config)
        if self._indi is None:
            client = await acquire_client(config.server)
            self.at_stop(lambda: release_client(client))
            self._indi = IndiDevice(client, config.device)
            self._changed = asyncio.Event()
            client.on_presence(config.device, lambda present: self._changed.set())
            self._indi.on_change(self._hear)
        self._needed = properties
        await self._connect()

    async def read_capabilities(self) -> None:
        """Read what the hardware is like (limits, sizes, positions) into the driver; at each connect."""

    async def on_connect(self) -> None:
        """Settings to make at each connect (units, upload to the client, polling), after `read_capabilities`."""

    async def on_disconnect(self) -> None:
        """The device is gone, or no longer connected to its hardware; `indi` raises until `on_connect`."""

    async def _connect(self) -> None:
        self._connected = False
        await self.indi.connect(*self._needed, patience=cast("IndiConfig", self.config).connect_time)
        await self.read_capabilities()
        await self.on_connect()
        self._connected = True

    def _hear(self, vector: Vector) -> None:
        if vector.name == CONNECTION and not self.indi.connected:
            self._changed.set()

    @background
    async def keep_connected(self) -> None:
        """Connect anew whenever the device comes back; told and logged once when it is lost, and once when back."""
        if self._indi is None:
            return
        while True:
            self._changed.clear()
            if not (self._connected and self.indi.connected):
                await self._again()
            timeout = None if self._connected else _LOOK_AGAIN
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _again(self) -> None:
        if self._connected:
            self._connected = False
            self._tell(ConnectionLost(f"{self.indi.name} of {self.indi.client.address} is gone"))
            await self.on_disconnect()
        try:
            await self._connect()
        except ConfigError:
            raise
        except PytelError as error:
            self._tell(error)
        else:
            self._told = None
            self.clear_alarm(_ALARM)
            self.log.info("%s is back", self.indi.name)

    def _tell(self, error: PytelError) -> None:
        """Raise the alarm once for each kind of trouble."""
        if self._told != error.name:
            self._told = error.name
            self.raise_alarm(_ALARM, error)

    # properties that no interface knows

    async def indi_names(self) -> list[str]:
        """The names of the device's properties, sorted."""
        self._property(CONNECTION)
        return sorted(self.indi.client.vectors(self.indi.name))

    async def indi_get(self, property: str) -> IndiProperty:  # noqa: A002 - the word of the protocol
        """A property as the device last told it."""
        return as_property(self._property(property))

    async def indi_set(self, property: str, values: dict[str, bool | float | str]) -> IndiProperty:  # noqa: A002
        """Ask for other values, and wait until the device answers that it has them or works on it."""
        self._property(property)
        return as_property(await self.indi.set(property, values, _SET_PATIENCE, done=_is_answer))

    def _property(self, name: str) -> Vector:
        try:
            return self.indi.vector(name)
        except NotReady as error:
            names = ", ".join(sorted(self.indi.client.vectors(self.indi.name))) or "none"
            raise NotFound(f"{self.indi.name} has no property {name!r}; it has {names}") from error


def _is_answer(vector: Vector) -> bool:
    return vector.state is not PropertyState.ALERT


def as_property(vector: Vector) -> IndiProperty:
    """A vector as it goes over the bus."""
    values = {} if vector.kind is Kind.BLOB else {name: member.value for name, member in vector.members.items()}
    return IndiProperty(
        name=vector.name,
        label=vector.label,
        group=vector.group,
        kind=vector.kind.value,
        state=vector.state.value,
        permission=vector.permission.value,
        values=values,
    )


__all__ = ["IndiConfig", "IndiDevice", "IndiDriver", "as_property"]
