"""The Alpaca server of a gateway: what it offers, and its life."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from pytel.base.errors import ConfigError
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.door import Door
from pytel.bus.http.places import Places
from pytel.gateway.alpaca.camera import AlpacaCamera
from pytel.gateway.alpaca.config import AlpacaConfig
from pytel.gateway.alpaca.covercalibrator import AlpacaCoverCalibrator
from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.discovery import Discovery
from pytel.gateway.alpaca.dome import AlpacaDome
from pytel.gateway.alpaca.filterwheel import AlpacaFilterWheel
from pytel.gateway.alpaca.focuser import AlpacaFocuser
from pytel.gateway.alpaca.observingconditions import AlpacaObservingConditions
from pytel.gateway.alpaca.rotator import AlpacaRotator
from pytel.gateway.alpaca.safetymonitor import AlpacaSafetyMonitor
from pytel.gateway.alpaca.site import AlpacaSite
from pytel.gateway.alpaca.switch import AlpacaSwitch
from pytel.gateway.alpaca.telescope import AlpacaTelescope
from pytel.gateway.audit import AuditLog
from pytel.gateway.front import place_of
from pytel.interfaces.images import ImageRef
from pytel.module.site import SiteInfo

if TYPE_CHECKING:
    from pytel.bus.http.listener import Listener
    from pytel.services.images import Image

KINDS: dict[str, type[Device]] = {
    kind.kind: kind
    for kind in (
        AlpacaCamera,
        AlpacaCoverCalibrator,
        AlpacaDome,
        AlpacaFilterWheel,
        AlpacaFocuser,
        AlpacaObservingConditions,
        AlpacaRotator,
        AlpacaSafetyMonitor,
        AlpacaSwitch,
        AlpacaTelescope,
    )
}
_CONNECTIONS = Places(100, 50)
_LARGEST_MESSAGE = 1 << 16
_NAMESPACE = uuid.UUID("5e3b6c1e-4f0e-5d53-9a86-0d1a1a2c7e44")


class AlpacaServer:
    """Serves the devices that the site file names."""

    def __init__(
        self,
        config: AlpacaConfig,
        door: Door,
        info: SiteInfo,
        audit: AuditLog,
        read_image: Callable[[ImageRef], Awaitable[Image]],
    ) -> None:
        self._config = config
        ports = {Address.parse(telescope): Address.parse(port) for telescope, port in config.guide_ports.items()}
        self._site = AlpacaSite(door, info, config.clients_role, audit, read_image, ports)
        self._unique_id = str(uuid.uuid5(_NAMESPACE, info.name))
        self.devices: dict[tuple[str, int], Device] = {
            (kind, number): KINDS[kind](self._site, Address.parse(address), number)
            for kind, addresses in config.devices.items()
            for number, address in enumerate(addresses)
        }
        self._listener: Listener | None = None
        self._discovery: Discovery | None = None
        self._control: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on, 0 while it does not."""
        return self._listener.port if self._listener is not None else 0

    @property
    def place(self) -> str:
        """Where it listens, as `HOST:PORT`."""
        return f"{self._config.listen.rpartition(':')[0]}:{self.port}"

    async def start(self, who: str) -> None:
        """Listen. Raises `ConfigError`, and `Conflict` while the port is taken."""
        listen = place_of(self._config.listen)
        app = await in_thread(self._make_app)
        from pytel.bus.http.listener import Listener

        listener = Listener(app, listen, None, places=_CONNECTIONS, largest_message=_LARGEST_MESSAGE)
        await listener.start(f"the Alpaca server of {who}")
        self._listener = listener
        self._control = asyncio.create_task(self._site.control.run(), name=f"{who}.alpaca control")

    async def open_discovery(self) -> None:
        """Answer to clients that look for servers. Raises `ConfigError` when the port of discovery is not to be had."""
        discovery = Discovery(place_of(self._config.listen).host, self.port, self._config.networks())
        try:
            await discovery.start()
        except OSError as error:
            discovery.stop()
            raise ConfigError(
                f"clients will not find the Alpaca server by themselves, UDP port 32227 is not to be had ({error}): "
                f"give them its address, port {self.port}, or write 'discovery: false'"
            ) from error
        self._discovery = discovery

    def _make_app(self) -> Any:
        """Blocking: the libraries are large."""
        import pytel.bus.http.listener  # noqa: F401
        from pytel.gateway.alpaca.guard import AlpacaGuard
        from pytel.gateway.alpaca.web import AlpacaWeb

        web = AlpacaWeb(self._site, self.devices, self._unique_id)
        return AlpacaGuard(web, self._config.networks(), self._config.hosts)

    async def stop(self) -> None:
        """Listen no more, and give back the control; what is under way goes on."""
        if self._discovery is not None:
            self._discovery.stop()
        if self._listener is not None:
            await self._listener.stop()
        if self._control is not None:
            self._control.cancel()
            await asyncio.wait([self._control])
        await _all(device.close() for device in self.devices.values())
        await self._site.control.release()


async def _all(work: Iterable[Awaitable[None]]) -> None:
    for one in work:
        await one
