"""What all INDI drivers share: the way to their device, kept up through restarts of server, driver and hardware."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from pytel.base import clock
from pytel.base.errors import ConfigError, ConnectionLost, NotFound, NotReady, PytelError
from pytel.base.units import Seconds
from pytel.devices.indi.handle import CONNECTION, IndiDevice
from pytel.devices.indi.properties import Kind, PropertyState, Vector
from pytel.devices.indi.shared import acquire_client, release_client
from pytel.interfaces.indi import IndiProperties, IndiProperty
from pytel.module.handlers import background
from pytel.services.fitted import fitted
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
    _indi_link: _LinkToDevice | None = None

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
        if self._indi is None or self._indi_link is None:
            config = cast("IndiConfig", self.config)
            client = await acquire_client(config.server)
            self.at_stop(lambda: release_client(client))
            self._indi = IndiDevice(client, config.device)
            self._indi_link = link = _LinkToDevice(self, self._indi, config.connect_time)
            self.at_stop(link.let_go)
        self._indi_link.needed = properties
        await self._indi_link.connect()

    def fit(self, **facts: Any) -> None:
        """Complete the configuration of the site file by what the hardware tells at this connect."""
        if self._indi_link is not None:
            self.config = fitted(self._indi_link.written, **facts)

    async def read_capabilities(self) -> None:
        """Read what the hardware is like (limits, sizes, positions) into the driver; at each connect."""

    async def on_connect(self) -> None:
        """Settings to make at each connect (units, upload to the client, polling), after `read_capabilities`."""

    async def on_disconnect(self) -> None:
        """The device is gone, or no longer connected to its hardware; `indi` raises until `on_connect`."""

    @background
    async def keep_device_connected(self) -> None:
        """Connect anew whenever the device comes back; told and logged once when it is lost, and once when back."""
        if self._indi_link is not None:
            await self._indi_link.keep()

    # properties that no interface knows

    async def indi_names(self) -> list[str]:
        """The names of the device's properties, sorted."""
        _known(self.indi, CONNECTION)
        return sorted(self.indi.client.vectors(self.indi.name))

    async def indi_get(self, property: str) -> IndiProperty:  # noqa: A002 - the word of the protocol
        """A property as the device last told it."""
        return as_property(_known(self.indi, property))

    async def indi_set(self, property: str, values: dict[str, bool | float | str]) -> IndiProperty:  # noqa: A002
        """Ask for other values, and wait until the device answers that it has them or works on it."""
        _known(self.indi, property)
        return as_property(await self.indi.set(property, values, _SET_PATIENCE, done=_is_answer))


class _LinkToDevice:
    """Keeps the device of a driver connected."""

    def __init__(self, driver: IndiDriver, device: IndiDevice, connect_time: Seconds) -> None:
        self._driver, self._device, self._connect_time = driver, device, connect_time
        self.needed: tuple[str, ...] = ()
        self.written = driver.config
        """As the site file has it: what was told at an earlier connect may no longer be so."""
        self._connected = False
        self._told: str | None = None
        self._changed = asyncio.Event()
        self._ends = (
            device.client.on_presence(device.name, lambda present: self._changed.set()),
            device.on_change(self._hear),
        )

    async def let_go(self) -> None:
        """Hear no more of the device."""
        for end in self._ends:
            end()

    def _hear(self, vector: Vector) -> None:
        if vector.name == CONNECTION and not self._device.connected:
            self._changed.set()

    async def connect(self) -> None:
        """Connect, and have the driver learn what the device is like."""
        self._connected = False
        await self._device.connect(*self.needed, patience=self._connect_time)
        await self._driver.read_capabilities()
        await self._driver.on_connect()
        self._connected = True

    async def keep(self) -> None:
        """Connect anew when the device comes back, for ever."""
        while True:
            self._changed.clear()
            if not (self._connected and self._device.connected):
                await self._again()
            if self._connected:
                await self._changed.wait()
            else:
                await clock.wait_for_event(self._changed, _LOOK_AGAIN)

    async def _again(self) -> None:
        if self._connected:
            self._connected = False
            self._tell(ConnectionLost(f"{self._device.name} of {self._device.client.address} is gone"))
            await self._driver.on_disconnect()
        try:
            await self.connect()
        except ConfigError:
            raise
        except PytelError as error:
            self._tell(error)
        else:
            self._told = None
            self._driver.clear_alarm(_ALARM)
            self._driver.log.info("%s is back", self._device.name)

    def _tell(self, error: PytelError) -> None:
        """Raise the alarm once for each kind of trouble."""
        if self._told != error.name:
            self._told = error.name
            self._driver.raise_alarm(_ALARM, error)


def _known(device: IndiDevice, name: str) -> Vector:
    try:
        return device.vector(name)
    except NotReady as error:
        names = ", ".join(sorted(device.client.vectors(device.name))) or "none"
        raise NotFound(f"{device.name} has no property {name!r}; it has {names}") from error


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
