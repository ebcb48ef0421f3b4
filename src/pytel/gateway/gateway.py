"""The gateway as a module: one HTTP address for the whole observatory, whatever its bus is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytel.base.errors import ConfigError, PytelError
from pytel.gateway.alpaca.config import AlpacaConfig
from pytel.gateway.audit import AuditLog
from pytel.gateway.doorkeeper import Doorkeeper
from pytel.gateway.front import HttpFront
from pytel.gateway.news import News
from pytel.interfaces.gateway import Gateway, GatewayState
from pytel.module.faults import Found
from pytel.module.handlers import every

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pytel.gateway.alpaca.server import AlpacaServer
    from pytel.gateway.images import StoreImages
    from pytel.module.runtime import ModuleRuntime


class HttpGateway(HttpFront, Gateway):
    """Serves HTTP for the whole site: calls, states, events and images, for browsers, scripts and foreign systems."""

    class Config(HttpFront.Config, frozen=True, kw_only=True):
        """Beside people it may let clients of ASCOM Alpaca in, who have no passwords (docs/alpaca-server.md)."""

        alpaca: AlpacaConfig | None = None

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with what is offered to clients of Alpaca."""
            for where, message in self.alpaca.faults() if self.alpaca is not None else ():
                yield ("alpaca", *where), message

    config: Config
    alpaca: AlpacaServer | None = None
    """The server for clients of Alpaca, while there is one."""
    _images: StoreImages | None = None
    _audit: AuditLog | None = None

    def __init__(self, runtime: ModuleRuntime) -> None:
        super().__init__(runtime)
        self.news = News(runtime.bus, runtime.lifecycle.boot)
        self._told: GatewayState | None = None

    async def on_start(self) -> None:
        """Listen. Raises `ConfigError`, and `Conflict` while the port is taken."""
        await super().on_start()
        await self._serve_alpaca()
        self._tell()

    async def _serve_alpaca(self) -> None:
        """Let clients of Alpaca in, if they are to be; that they cannot be keeps nobody else out."""
        if self.config.alpaca is None or self._audit is None or self.alpaca is not None:
            return
        from pytel.gateway.alpaca.server import AlpacaServer

        config = self.config.alpaca
        server = AlpacaServer(config, self.door, self.site, self._audit, self.images.get)
        try:
            await server.start(str(self.address))
        except PytelError as error:
            self.raise_alarm("alpaca", error)
            return
        self.clear_alarm("alpaca")
        self.alpaca = server
        self.log.info("serving Alpaca on %s: whoever reaches it is %s", server.place, config.role)
        if config.discovery:
            try:
                await server.open_discovery()
            except ConfigError as error:
                self.raise_alarm("discovery", error)

    def make_app(self, doorkeeper: Doorkeeper, audit: AuditLog, *, secure: bool) -> ASGIApp:
        """Make what answers."""
        from pytel.gateway.images import StoreImages
        from pytel.gateway.web import House, Web

        self._audit = audit
        self._images = StoreImages(self.door)
        return Web(House(self.door, self.news, doorkeeper, audit, secure), self._images).app

    def begin(self) -> None:
        """Begin to hear the news."""
        self.news.open()
        self.spawn(self.news.run(), "news")

    def close_streams(self) -> None:
        """Nobody reads on."""
        self.news.close()

    async def end(self) -> None:
        """Let go of the store and of Alpaca's clients."""
        if self.alpaca is not None:
            await self.alpaca.stop()
        if self._images is not None:
            await self._images.close()

    @every(60.0)
    async def report(self) -> None:
        """Tell how many read along; what could not be served before is tried again."""
        await self._serve_alpaca()
        self._tell()

    def _tell(self) -> None:
        state = GatewayState(url=self.url, clients=self.news.readers)
        if state != self._told:
            self._told = state
            self.publish(state)
