"""A simulated observatory whose gateway serves Alpaca, and clients of it that speak plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import requests

from gateway.kit import until
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.gateway.gateway import HttpGateway
from pytel.interfaces.enclosure import EnclosureState
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities, GuidePortState
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.rotator import Rotator, RotatorState
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.switch import Switch, SwitchCapabilities, SwitchPort, SwitchState
from pytel.interfaces.weather import WeatherState
from pytel.module import Capabilities, rpc
from pytel.services import Module
from pytel.testing import Observatory
from pytel.testing.observatory import default_site

R = TypeVar("R")
NIGHT = datetime(2026, 6, 17, 20, 0, tzinfo=UTC)
RATE = 10.0
DEVICES = {
    "telescope": ["telescope"],
    "camera": ["camera"],
    "focuser": ["focuser"],
    "filterwheel": ["filters"],
    "dome": ["roof"],
    "safetymonitor": ["safety"],
    "observingconditions": ["weather"],
    "covercalibrator": ["cover"],
    "rotator": ["rotator"],
    "switch": ["power"],
}


GUIDED = {"guide_ports": {"telescope": "guideport"}}


class StandInGuidePort(Module, GuidePort):
    """A guide port that remembers its pulses."""

    async def on_start(self) -> None:
        """At rest."""
        self.pulses: list[tuple[GuideDirection, float]] = []
        self.publish(GuidePortState())

    def capabilities(self) -> list[Capabilities]:
        """Half the sidereal rate."""
        return [GuidePortCapabilities(rate_ra=7.5, rate_dec=7.5, max_pulse=10.0)]

    @rpc(long=True)
    async def pulse_guide(self, direction: GuideDirection, duration: float) -> None:
        """Take the time of the pulse."""
        self.publish(GuidePortState(dec=direction))
        await clock.sleep(duration)
        self.pulses.append((direction, duration))
        self.publish(GuidePortState())

    async def stop_guide(self) -> None:
        """Nothing to stop."""


class StandInRotator(Module, Rotator):
    """A rotator that is where it is sent."""

    _angle = 10.0

    async def on_start(self) -> None:
        """Tell where it is."""
        self._tell(self._angle)

    def _tell(self, angle: float) -> None:
        self._angle = angle
        self.publish(RotatorState(status=MotionStatus.IDLE, position_angle=angle, mechanical=angle - 5.0))

    @rpc(long=True)
    async def set_position_angle(self, angle: float) -> None:
        """Turn at once."""
        self._tell(angle)

    @rpc(long=True)
    async def move_mechanical(self, angle: float) -> None:
        """Turn at once."""
        self._tell(angle + 5.0)

    async def sync_position_angle(self, angle: float) -> None:
        """Believe it."""
        self._tell(angle)

    async def stop(self) -> None:
        """Nothing moves."""


class StandInSwitch(Module, Switch):
    """An outlet, a dimmer and a sensor."""

    PORTS = (
        SwitchPort(name="camera", label="Camera"),
        SwitchPort(name="heater", label="Dew heater", maximum=100.0, unit="%"),
        SwitchPort(name="supply", label="Supply", can_write=False, maximum=15.0, step=0.1, unit="V"),
    )

    async def on_start(self) -> None:
        """All off."""
        self._values: dict[str, float | None] = {"camera": 0.0, "heater": 0.0, "supply": 12.1}
        self.publish(SwitchState(values=dict(self._values)))

    def capabilities(self) -> list[Capabilities]:
        """The ports."""
        return [SwitchCapabilities(ports=self.PORTS)]

    async def set_port(self, port: str, value: float) -> None:
        """Set one."""
        self._values[port] = value
        self.publish(SwitchState(values=dict(self._values)))

    async def turn_on(self, port: str) -> None:
        """To its maximum."""
        await self.set_port(port, next(one.maximum for one in self.PORTS if one.name == port))

    async def turn_off(self, port: str) -> None:
        """To its minimum."""
        await self.set_port(port, next(one.minimum for one in self.PORTS if one.name == port))

    @rpc(long=True)
    async def power_cycle(self, port: str) -> None:
        """Off and on."""
        await self.turn_on(port)


class Answer(NamedTuple):
    """What came back."""

    status: int
    kind: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The envelope."""
        assert self.status == 200, self.body
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def value(self) -> Any:
        """The value of an answer without an error."""
        assert self.json["ErrorNumber"] == 0, self.json
        return self.json.get("Value")

    @property
    def error(self) -> int:
        """The number of the error."""
        number: int = self.json["ErrorNumber"]
        return number


class AlpacaSite:
    """The observatory and its server."""

    def __init__(self, observatory: Observatory, directory: Path) -> None:
        self.observatory = observatory
        self.directory = directory

    @property
    def gateway(self) -> HttpGateway:
        """The module."""
        module = self.observatory.runtime("gateway").module
        assert isinstance(module, HttpGateway)
        return module

    @property
    def port(self) -> int:
        """Of the Alpaca server."""
        assert self.gateway.alpaca is not None
        return self.gateway.alpaca.port

    @property
    def address(self) -> str:
        """As ASCOM's client wants it."""
        return f"127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request in a thread."""

        def send() -> Answer:
            with requests.Session() as session:
                session.trust_env = False
                url = f"http://{self.address}{path}"
                with session.request(method, url, timeout=20.0, **options) as response:
                    return Answer(response.status_code, response.headers.get("content-type", ""), response.content)

        return await asyncio.to_thread(send)

    async def get(self, path: str, **query: Any) -> Answer:
        """Read a property."""
        return await self.ask("GET", f"/api/v1/{path}", params={"ClientID": 1, **query})

    async def put(self, path: str, **form: Any) -> Answer:
        """Write one, or call a method."""
        return await self.ask("PUT", f"/api/v1/{path}", data={"ClientID": 1, **form})

    async def safe(self) -> None:
        """Wait until the roof may open."""
        await self.observatory.until(lambda: self.observatory.state(EnclosureState).may_open)

    async def connect(self, *devices: str) -> None:
        """Connect to devices, all by default."""
        for device in devices or DEVICES:
            assert (await self.put(f"{device}/0/connected", Connected="True")).error == 0

    async def audit(self) -> list[dict[str, Any]]:
        """What is on record."""

        def read() -> list[dict[str, Any]]:
            path = self.directory / "state" / "gateway" / "audit.jsonl"
            return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

        return await in_thread(read)


@contextlib.asynccontextmanager
async def alpaca_site(directory: Path, **alpaca: Any) -> AsyncIterator[AlpacaSite]:
    """Open the observatory of the test kit in its night, with a gateway on free ports."""
    site = default_site()
    site["modules"]["gateway"] = {
        "type": "gateway",
        "listen": "127.0.0.1:0",
        "alpaca": {"listen": "127.0.0.1:0", "devices": DEVICES, "role": "operator", **GUIDED, **alpaca},
    }
    site["modules"]["safety"]["clear_after"] = "1 s"
    site["simulation"]["cover"] = {"present": True}
    site["modules"]["cover"] = {"type": "simulated-cover"}
    site["modules"]["guideport"] = {"type": f"{__name__}:StandInGuidePort"}
    site["modules"]["rotator"] = {"type": f"{__name__}:StandInRotator"}
    site["modules"]["power"] = {"type": f"{__name__}:StandInSwitch"}
    fast = clock.ScaledClock(NIGHT.timestamp(), clock.RealClock().real_time(), RATE)
    with clock.using(fast):
        async with Observatory(site, directory=directory, pixels="full") as observatory:
            await until(lambda: all(observatory.latest(kind) for kind in (WeatherState, SafetyMonitorState)))
            yield AlpacaSite(observatory, directory)


async def in_a_thread(work: Callable[[], R], seconds: float = 100.0) -> R:
    """Run a blocking client against the server that this loop serves."""
    async with asyncio.timeout(seconds):
        return await asyncio.to_thread(work)
