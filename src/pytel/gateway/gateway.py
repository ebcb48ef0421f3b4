"""The gateway as a module: one HTTP address for the whole observatory, whatever its bus is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytel.gateway.audit import AuditLog
from pytel.gateway.doorkeeper import Doorkeeper
from pytel.gateway.front import HttpFront
from pytel.gateway.news import News
from pytel.interfaces.gateway import Gateway, GatewayState
from pytel.module.handlers import every

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pytel.gateway.images import StoreImages
    from pytel.module.runtime import ModuleRuntime


class HttpGateway(HttpFront, Gateway):
    """Serves HTTP for the whole site: calls, states, events and images, for browsers, scripts and foreign systems."""

    _images: StoreImages | None = None

    def __init__(self, runtime: ModuleRuntime) -> None:
        super().__init__(runtime)
        self.news = News(runtime.bus, runtime.lifecycle.boot)
        self._told: GatewayState | None = None

    async def on_start(self) -> None:
        """Listen. Raises `ConfigError`, and `Conflict` while the port is taken."""
        await super().on_start()
        self._tell()

    def make_app(self, doorkeeper: Doorkeeper, audit: AuditLog, *, secure: bool) -> ASGIApp:
        """Make what answers."""
        from pytel.gateway.images import StoreImages
        from pytel.gateway.web import House, Web

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
        """Let go of the store."""
        if self._images is not None:
            await self._images.close()

    @every(60.0)
    async def report(self) -> None:
        """Tell how many read along."""
        self._tell()

    def _tell(self) -> None:
        state = GatewayState(url=self.url, clients=self.news.readers)
        if state != self._told:
            self._told = state
            self.publish(state)
