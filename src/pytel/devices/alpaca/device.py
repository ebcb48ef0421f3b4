"""What all Alpaca drivers share: the way to their device, kept up through restarts of server and hardware."""

from __future__ import annotations

from typing import Any, Protocol, cast

from pytel.base import clock
from pytel.base.errors import (
    ConfigError,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    MethodNotFound,
    NotReady,
    PytelError,
)
from pytel.base.units import Seconds
from pytel.module.handlers import background
from pytel.services.alpaca_client import AlpacaClient
from pytel.services.fitted import fitted
from pytel.services.module import Module

ANSWER: Seconds = 1.2
"""Real seconds for an answer. Less than an enclosure waits for its hardware: what went wrong is told in words."""
_ALARM = "alpaca"
_LOOK_AGAIN: Seconds = 5.0
_LOST: Seconds = 0.5


class AlpacaConfig(Protocol):
    """What the configuration of each driver has; write the fields with these types and defaults:

    server: str = DEFAULT_SERVER
    number: int = 0
    connect_time: Duration = 30.0
    """

    @property
    def server(self) -> str:
        """`host:port`."""

    @property
    def number(self) -> int:
        """Of the device, among those of its type on that server."""

    @property
    def connect_time(self) -> float:
        """Seconds for the device to connect."""


class AlpacaDriver(Module):
    """Mixed in before the base of the device: `class AlpacaFocuser(AlpacaDriver, BaseFocuser)`.

    A driver names its `device_type`, overrides `read_capabilities`, which runs at each connect, and begins its
    `on_start` with `await self.connect_device()`.
    """

    device_type: str
    _alpaca: AlpacaClient | None = None
    _alpaca_linked = False
    _alpaca_trouble: str | None = None

    @property
    def alpaca(self) -> AlpacaClient:
        """The device. Raises `NotReady` before `connect_device`."""
        if self._alpaca is None:
            raise NotReady(f"{self.address} has not connected to its device yet")
        return self._alpaca

    @property
    def linked(self) -> bool:
        """Whether the device was connected when it was asked last."""
        return self._alpaca_linked

    async def connect_device(self) -> None:
        """Have the device connect to its hardware, and read what it is like.

        It is connected again whenever server or hardware come back. Raises `ConnectionLost`, `DeviceError`,
        `ConfigError`: the module is started again later.
        """
        if self._alpaca is None:
            config = cast("AlpacaConfig", self.config)
            self._alpaca_written, self._alpaca_patience = self.config, config.connect_time
            client = AlpacaClient(config.server, self.device_type, config.number, str(self.address))
            await client.open()
            self.at_stop(client.close)
            self._alpaca = client
        self._alpaca_linked = False
        await connect(self._alpaca, self._alpaca_patience)
        await self.read_capabilities()
        self._alpaca_linked = True

    def fit(self, **facts: Any) -> None:
        """Complete the configuration of the site file by what the hardware tells at this connect."""
        self.config = fitted(self._alpaca_written, **facts)

    async def read_capabilities(self) -> None:
        """Read what the hardware is like (limits, sizes, positions) into the driver; at each connect."""

    async def optional(self, member: str) -> float | None:
        """A number that not all devices have."""
        try:
            return await self.alpaca.number_of(member, ANSWER)
        except (MethodNotFound, InvalidParams, NotReady):
            return None

    @background
    async def keep_device_connected(self) -> None:
        """Connect anew when the device is back; told and logged once when it is lost, and once when it is back."""
        while True:
            await clock.sleep(_LOOK_AGAIN if self._alpaca_linked else _LOST)
            if self._alpaca is not None:
                await self._look_at_link(self._alpaca)

    async def _look_at_link(self, client: AlpacaClient) -> None:
        try:
            if not (self._alpaca_linked and await client.flag("connected", ANSWER)):
                await self.connect_device()
        except ConfigError:
            raise
        except PytelError as error:
            self._alpaca_linked = False
            if self._alpaca_trouble is None:
                self._alpaca_trouble = error.name
                self.raise_alarm(_ALARM, error)
        else:
            if self._alpaca_trouble is not None:
                self._alpaca_trouble = None
                self.clear_alarm(_ALARM)
                self.log.info("%s %d of %s is back", client.kind, client.number, client.server)


async def connect(client: AlpacaClient, within: Seconds) -> None:
    """Connect a device to its hardware: by Connect of Platform 7, else by Connected.

    Raises `DeviceTimeout` after `within` seconds of site time, and what `AlpacaClient` raises.
    """
    if await client.flag("connected", ANSWER):
        return
    try:
        await client.put("connect", ANSWER)
    except (MethodNotFound, InvalidParams):
        # Before Platform 7 setting it lasts as long as the hardware takes.
        await client.put("connected", max(within, ANSWER), Connected=True)
    else:
        await _until_connected(client, within)
    if not await client.flag("connected", ANSWER):
        raise DeviceError(
            f"{client.kind} {client.number} of {client.server} does not connect to its hardware; look at that server"
        )


async def _until_connected(client: AlpacaClient, within: Seconds) -> None:
    try:
        async with clock.deadline(within):
            while await client.flag("connecting", ANSWER):
                await clock.sleep(0.1)
    except TimeoutError:
        raise DeviceTimeout(
            f"{client.kind} {client.number} of {client.server} did not connect within {within:g} s"
        ) from None


__all__ = ["ANSWER", "AlpacaDriver", "connect"]
