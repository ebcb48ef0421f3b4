"""A roof with its true hardware, a safety monitor and a telephone, for tests of the one bug that may never ship."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytel.base import clock, virtual
from pytel.base.errors import ConnectionLost
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Topic
from pytel.bus.local import LocalHub
from pytel.interfaces.enclosure import Enclosure, EnclosureState, EnclosureStatus
from pytel.interfaces.notifier import Notifier, Urgency
from pytel.interfaces.safety import SafetyMonitor, SafetyMonitorState
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module
from pytel.services.enclosure import BaseEnclosure
from pytel.services.enclosure_sensor import EnclosureReading

START = datetime(2026, 1, 10, 20, tzinfo=UTC)
TRAVEL = 30.0


class Hardware:
    """A roof as it really is, with faults: `stuck`, `deaf` (does not answer), `gone` (no connection), `lies`.

    With the fault `relay` it closes only when it was stopped first.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self.speed = 1.0 / TRAVEL
        self._opening, self._since, self._direction = 0.0, clock.time(), 0
        self.log: list[tuple[float, str]] = []

    def opening(self) -> float:
        moved = self._direction * self.speed * (clock.time() - self._since)
        return max(0.0, min(1.0, self._opening + moved))

    def direction(self) -> int:
        """What it really does now."""
        opening = self.opening()
        at_end = opening in (0.0, 1.0) and (opening == 1.0) == (self._direction > 0)
        return 0 if at_end else self._direction

    def drive(self, direction: int) -> None:
        self._opening, self._since, self._direction = self.opening(), clock.time(), direction

    def break_down(self, fault: str | None) -> None:
        self.fault = fault
        if fault == "stuck":
            self.drive(0)

    async def command(self, direction: int) -> None:
        await self.answer()
        self.log.append((clock.time(), {1: "open", -1: "close", 0: "stop"}[direction]))
        halted = len(self.log) > 1 and self.log[-2][1] == "stop"
        if self.fault != "stuck" and not (self.fault == "relay" and direction < 0 and not halted):
            self.drive(direction)

    async def answer(self) -> None:
        if self.fault == "deaf":
            await asyncio.Event().wait()
        if self.fault == "gone":
            raise ConnectionLost("the roof is not connected")

    async def read(self) -> EnclosureReading:
        await self.answer()
        if self.fault == "lies":
            return EnclosureReading(EnclosureStatus.CLOSED, 0.0)
        opening, direction = self.opening(), self.direction()
        if direction:
            return EnclosureReading(EnclosureStatus.OPENING if direction > 0 else EnclosureStatus.CLOSING, opening)
        ends = {0.0: EnclosureStatus.CLOSED, 1.0: EnclosureStatus.OPEN}
        return EnclosureReading(ends.get(opening, EnclosureStatus.STOPPED), opening)


class Roof(BaseEnclosure):
    """The driver under test: as short as drivers are."""

    hardware: Hardware

    async def begin_open(self) -> None:
        await self.hardware.command(1)

    async def begin_close(self) -> None:
        await self.hardware.command(-1)

    async def halt(self) -> None:
        await self.hardware.command(0)

    async def read_enclosure(self) -> EnclosureReading:
        return await self.hardware.read()


class Monitor(Module, SafetyMonitor):
    """Says what the test wants."""

    def say(self, safe: bool, lasting: float = 20.0) -> None:
        now = clock.now()
        reasons = () if safe else ("rain",)
        self.publish(
            SafetyMonitorState(safe=safe, reasons=reasons, since=now, expires=now + timedelta(seconds=lasting))
        )


class Phone(Module, Notifier):
    """Keeps what people are told."""

    calls: list[float]

    async def notify(self, urgency: Urgency, subject: str, message: str) -> None:
        assert urgency is Urgency.CALL
        self.calls.append(clock.time())


class Client(Module):
    """Whoever opens the roof."""


class Observatory:
    """A roof with its monitor, its client and a telephone on a local bus."""

    def __init__(self, path: Path) -> None:
        self.hub = LocalHub()
        self.path = path
        self.hardware = Hardware()
        self.calls: list[float] = []
        self.published: list[tuple[float, str, Any]] = []
        self._running: list[ModuleRuntime] = []

    async def start(self, kind: type[Module], name: str) -> ModuleRuntime:
        site = SiteInfo(name="test", location=Location(latitude=50, longitude=10), state_dir=self.path)
        runtime = ModuleRuntime(kind, config=kind.Config(), site=site, bus=self.hub.bus(Address(name)))
        if isinstance(runtime.module, Roof):
            runtime.module.hardware = self.hardware
        if isinstance(runtime.module, Phone):
            runtime.module.calls = self.calls
        self._running.append(runtime)
        await runtime.start()
        return runtime

    async def open_up(self) -> None:
        self.client = (await self.start(Client, "client")).module
        self.phone = await self.start(Phone, "phone")
        self.monitor_runtime = await self.start(Monitor, "monitor")
        self.monitor: Any = self.monitor_runtime.module
        self.roof_runtime = await self.start(Roof, "roof")
        self.roof: Any = self.roof_runtime.module
        for kind in ("state:Enclosure", "event:EnclosureClosing", "event:ErrorRaised"):
            topic = Topic.parse(f"urn:pytel:{kind}:1")
            self.client._runtime.bus.subscribe(topic, self.note)

    def note(self, publication: Any) -> None:
        if publication.publisher == Address("roof"):
            self.published.append((clock.time(), publication.topic.name, publication.data))

    def told_reasons(self) -> list[list[str]]:
        return [data["reasons"] for _, topic, data in self.published if topic == "EnclosureClosing"]

    def closed_because(self) -> tuple[str, ...]:
        state = self.client.latest(EnclosureState)
        assert state is not None
        return state.closed_because

    def times_of(self, name: str) -> list[float]:
        return [when for when, topic, _ in self.published if topic == name]

    async def close_down(self) -> None:
        for runtime in reversed(self._running):
            await runtime.stop()

    def status(self) -> str | None:
        state = self.client.latest(EnclosureState)
        return None if state is None else state.status.value

    def job(self) -> Enclosure:
        return self.client.find(Enclosure)

    async def stay_safe(self) -> None:
        while True:
            self.monitor.say(True)
            await clock.sleep(5)

    async def opened(self) -> None:
        self.monitor.say(True)
        keeper = asyncio.create_task(self.stay_safe())
        await self.job().open()
        keeper.cancel()
        self.monitor.say(True)


Scenario = Callable[[Observatory], Awaitable[None]]
Night = Callable[[Scenario], None]


async def staged(path: Path, scenario: Scenario) -> None:
    site = Observatory(path)
    await site.open_up()
    try:
        await scenario(site)
    finally:
        site.hardware.break_down(None)
        await site.close_down()


def play(path: Path, scenario: Scenario) -> None:
    """Play a scenario on the virtual clock."""
    virtual.run(staged(path, scenario), start=START, seed=1)


async def awaited(job: Awaitable[Any]) -> Any:
    return await job
