"""What all INDI drivers share: the way to their device, kept up through restarts of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from pytel.base.units import Seconds
from pytel.devices.indi.blobs import BlobStream
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.properties import Vector
from pytel.interfaces.indi import IndiProperties, IndiProperty
from pytel.module.config import ModuleConfig
from pytel.services.module import Module


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


class IndiDevice:
    """One device of a server, with its name said once: `self.indi` of a driver.

    Methods are those of `IndiClient` without the device, and raise the same.
    """

    client: IndiClient
    name: str

    @property
    def ready(self) -> bool:
        """Whether the link stands and the device is connected to its hardware."""
        raise NotImplementedError

    def vector(self, name: str) -> Vector:
        """A vector as last told. Raises `ConnectionLost` without a link, `NotReady` when it is not there."""
        raise NotImplementedError

    def has(self, name: str, member: str | None = None) -> bool:
        """Whether there is such a property (and such a member)."""
        raise NotImplementedError

    def number(self, name: str, member: str) -> float:
        """A number. Raises as `vector` and `Vector.number` do."""
        raise NotImplementedError

    def on(self, name: str, member: str) -> bool:
        """A switch. Raises as `vector` and `Vector.on` do."""
        raise NotImplementedError

    def text(self, name: str, member: str) -> str:
        """A text or light. Raises as `vector` and `Vector.text` do."""
        raise NotImplementedError

    async def require(self, name: str, patience: Seconds) -> Vector:
        """A vector, waited for."""
        raise NotImplementedError

    async def send(self, name: str, values: Mapping[str, float | bool | str]) -> Vector:
        """Ask for other values; returns at once."""
        raise NotImplementedError

    async def set(
        self,
        name: str,
        values: Mapping[str, float | bool | str],
        patience: Seconds,
        done: Callable[[Vector], bool] | None = None,
    ) -> Vector:
        """Ask for other values, and wait until they are taken."""
        raise NotImplementedError

    async def wait(
        self, name: str, condition: Callable[[Vector], bool], patience: Seconds, *, alert: bool = True
    ) -> Vector:
        """Wait until a condition holds."""
        raise NotImplementedError

    def on_change(self, callback: Callable[[Vector], None]) -> Callable[[], None]:
        """Hear of each change."""
        raise NotImplementedError

    def blobs(self, name: str) -> BlobStream:
        """The BLOBs of a property."""
        raise NotImplementedError

    def last_words(self) -> str:
        """What the device said last, for an error."""
        raise NotImplementedError


class IndiDriver(Module, IndiProperties):
    """Mixed in before the base of the device: `class IndiFocuser(IndiDriver, BaseFocuser)`.

    A driver overrides `read_capabilities`, which runs at each connect, and begins its `on_start` with

        await self.connect_device("ABS_FOCUS_POSITION")
        await super().on_start()
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Replaced by the driver's own, which has the fields of `IndiConfig`."""

    indi: IndiDevice

    async def connect_device(self, *properties: str) -> None:
        """Reach the server, switch the device's CONNECTION on and wait for the properties it must have.

        From then on the device is connected again whenever server, driver or hardware come back, and
        `read_capabilities` and `on_connect` run each time. Raises `ConnectionLost`, `NotReady` (the device or a
        property does not come), `DeviceError` (it does not connect): the module is started again later.
        """
        raise NotImplementedError

    async def read_capabilities(self) -> None:
        """Read what the hardware is like (limits, sizes, positions) into the driver; at each connect."""

    async def on_connect(self) -> None:
        """Settings to make at each connect (units, upload to the client, polling), after `read_capabilities`."""

    async def indi_get(self, property: str) -> IndiProperty:  # noqa: A002 - the word of the protocol
        """A property as the device last told it."""
        raise NotImplementedError

    async def indi_set(self, property: str, values: dict[str, bool | float | str]) -> IndiProperty:  # noqa: A002
        """Ask for other values."""
        raise NotImplementedError


__all__ = ["IndiConfig", "IndiDevice", "IndiDriver"]
