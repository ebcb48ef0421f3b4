"""pytel's side: modules on the bus that a site file with `bus: xmpp` gives them.

`python -m benchmarks.messaging.ours PLAN`
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.messaging.actor import Heard, serve
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import Event, Interface, rpc
from pytel.module.handlers import on
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.sitefile import parse_site
from pytel.module.specs import SiteFile


class Echo(Interface):
    """Gives back what it gets."""

    @rpc()
    async def echo(self, value: float) -> float:
        """Give a value back."""
        raise NotImplementedError


class Number(Event, frozen=True, kw_only=True):
    """Carries a number."""

    number: int


class Callee(Module, Echo):
    """Serves calls."""

    async def echo(self, value: float) -> float:
        """Give a value back."""
        return value


class Publisher(Module, Focuser):
    """Publishes what it is told to."""

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        """Do nothing."""

    @rpc(long=True)
    async def set_focus_offset(self, offset: float) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""


class Listener(Module):
    """Notes what it hears."""

    number = 0
    heard: Heard

    @on(Number)
    async def event(self, event: Number) -> None:
        """Note an event."""
        self.heard.note(self.number, "event", event.number)

    @on(FocuserState, policy="all")
    async def state(self, state: FocuserState) -> None:
        """Note a state."""
        self.heard.note(self.number, "state", round(state.position or 0.0))


class Ours:
    """One process of pytel."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.heard = Heard()
        self._plan = plan
        self._site = _site(plan)
        self._runtimes: list[ModuleRuntime] = []

    async def start(self) -> None:
        """Connect; returns when it serves."""
        role = self._plan["role"]
        kinds: dict[str, type[Module]] = {"callee": Callee, "publisher": Publisher, "listeners": Listener}
        for position, name in enumerate(self._plan["names"]):
            bus = make_bus(self._site, Address(name))
            runtime = ModuleRuntime(kinds.get(role, Module), site=self._site.info, bus=bus)
            if isinstance(runtime.module, Listener):
                runtime.module.heard, runtime.module.number = self.heard, self._plan["numbers"][position]
            self._runtimes.append(runtime)
            await runtime.start()
        if role == "caller":
            module = self._runtimes[0].module
            while not module.has(Echo):  # noqa: ASYNC110 - the benchmark's own deadline ends this
                await asyncio.sleep(0.05)
            self._echo = module.find(Echo)

    async def call(self, value: float) -> float:
        """Have the callee give the value back."""
        return await self._echo.echo(value)

    async def publish(self, kind: str, number: int) -> None:
        """Publish an event or a state that carries a number."""
        message = Number(number=number) if kind == "event" else FocuserState(status=MotionStatus.IDLE, position=number)
        self._runtimes[0].publish(message)


def _site(plan: dict[str, Any]) -> SiteFile:
    section = {
        "domain": plan["domain"],
        "port": plan["port"],
        "server": "external",
        "ca": plan["ca"],
        "accounts": plan["accounts"],
        "wire": plan["wire"],
        "modules": plan["members"],
    }
    place = {"name": "bench", "latitude": 1, "longitude": 2}
    site, faults = parse_site(
        {"site": place, "bus": "xmpp", "xmpp": section, "modules": {}}, directory=Path(plan["accounts"]).parent
    )
    if site is None:
        raise RuntimeError(faults)
    return site


async def main(plan: dict[str, Any]) -> None:
    """Run one process until stdin ends."""
    actor = Ours(plan)
    await serve(actor, actor.heard)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
