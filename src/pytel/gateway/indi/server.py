"""The module that offers devices of the site to INDI clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pytel.base.errors import ConfigError, ConnectionLost
from pytel.interfaces.camera import CameraState
from pytel.interfaces.enclosure import EnclosureState
from pytel.interfaces.filterwheel import FilterWheelState
from pytel.interfaces.focuser import FocuserState
from pytel.interfaces.telescope import TelescopeState
from pytel.interfaces.weather import WeatherState
from pytel.module.config import ModuleConfig
from pytel.module.faults import Found
from pytel.module.handlers import background
from pytel.services import Module
from pytel.services.patience import patiently

if TYPE_CHECKING:
    from pytel.gateway.indi.offered import Offered

KINDS = ("telescope", "camera", "focuser", "filter_wheel", "enclosure", "weather")
_MOST_CLIENTS = 10
_LETTING_GO = 5.0


class IndiServer(Module):
    """Offers telescope, camera, focuser, filter wheel, enclosure and weather to INDI clients (KStars, PHD2, …).

    The library indipydriver does the protocol. INDI has no passwords: whoever reaches the port acts as this module. The
    devices are those that this module would find itself (`uses` in the site file where there are several).
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Where it listens, and what it offers."""

        listen: str = "127.0.0.1:7624"
        """Host and port; on another host than this one everybody in the network commands the devices."""
        devices: tuple[str, ...] = KINDS
        """Kinds of devices; each must be there."""
        update_period: float = 1.0
        """Seconds between two looks at what has changed."""

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong."""
            host, _, port = self.listen.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                yield ("listen",), f"{self.listen!r} is not HOST:PORT, such as 127.0.0.1:7624"
            for kind in self.devices:
                if kind not in KINDS:
                    yield ("devices",), f"{kind!r} cannot be offered; it can be {', '.join(KINDS)}"
            if not self.devices:
                yield ("devices",), "nothing is offered: name some kinds of devices"

    config: Config

    async def on_start(self) -> None:
        """Follow what is told of the devices."""
        try:
            import indipydriver  # noqa: F401
            import indipyserver  # noqa: F401
        except ImportError as error:
            raise ConfigError("to offer devices to INDI clients install pytel-ocs[indi]") from error
        self.follow(TelescopeState, CameraState, FocuserState, FilterWheelState, EnclosureState, WeatherState)

    @background
    async def serve(self) -> None:
        """Serve until the module stops; begun anew, with what the devices are then, after a failure."""
        from indipydriver import IPyDriver
        from indipyserver import IPyServer

        offered = self._offered()
        devices = [await patiently(one.device) for one in offered]
        by_name = {one.name: one for one in offered}
        period = self.config.update_period

        class Driver(IPyDriver):  # type: ignore[misc,unused-ignore]
            """Hands what clients ask for on."""

            async def rxevent(self, event: Any) -> None:
                if hasattr(event, "root") and event.root.tag.startswith("new"):
                    await by_name[event.devicename].take(event)

            async def hardware(self) -> None:
                while not self._stop:
                    for one in offered:
                        await one.update()
                    await asyncio.sleep(period)

        host, _, port = self.config.listen.rpartition(":")
        server = IPyServer(Driver(*devices), host=host.strip("[]"), port=int(port), maxconnections=_MOST_CLIENTS)
        serving = asyncio.create_task(server.asyncrun(), name="INDI server")
        try:
            await asyncio.wait([serving])
        finally:
            await _ended(server, serving)
        raise ConnectionLost(f"nobody can connect to {self.config.listen}: the port is taken, or the server has failed")

    def _offered(self) -> list[Offered]:
        from pytel.gateway.indi.camera import OfferedCamera
        from pytel.gateway.indi.devices import (
            OfferedEnclosure,
            OfferedFilterWheel,
            OfferedFocuser,
            OfferedTelescope,
            OfferedWeather,
        )

        kinds: dict[str, tuple[type[Offered], str]] = {
            "telescope": (OfferedTelescope, "pytel Telescope"),
            "camera": (OfferedCamera, "pytel Camera"),
            "focuser": (OfferedFocuser, "pytel Focuser"),
            "filter_wheel": (OfferedFilterWheel, "pytel Filter Wheel"),
            "enclosure": (OfferedEnclosure, "pytel Dome"),
            "weather": (OfferedWeather, "pytel Weather"),
        }
        return [kinds[kind][0](self, kinds[kind][1]) for kind in self.config.devices]


async def _ended(server: Any, serving: asyncio.Task[None]) -> None:
    """Have a server end by itself; one that is cancelled leaves coroutines behind that nobody awaits."""
    server.shutdown()
    await asyncio.wait([serving], timeout=_LETTING_GO)
    if not serving.done():
        serving.cancel()
        await asyncio.wait([serving], timeout=_LETTING_GO)
