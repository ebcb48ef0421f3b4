# mypy: ignore-errors
# ruff: noqa: D102
"""The peer of the messaging benchmark: modules of pyobs-core on its XmppComm, in its own python.

`python messaging_pyobs.py PLAN`, with the repository on the path for `benchmarks.messaging.actor`.
"""

import asyncio
import json
import logging
import os
import sys

os.environ.setdefault("PYOBS_IERS_OFFLINE", "1")

from benchmarks.messaging.actor import Heard, serve
from pyobs.events import Event
from pyobs.interfaces import ExposureTimeState, IExposureTime, Interface
from pyobs.modules import Module

logging.basicConfig(level=logging.ERROR)


class IEcho(Interface):
    """Gives back what it gets."""

    async def echo(self, value: float, **kwargs) -> float: ...


class NumberEvent(Event):
    """Carries a number."""

    def __init__(self, number: int = 0, **kwargs):
        Event.__init__(self)
        self.data = {"number": number}


class Echo(Module, IEcho):
    """Serves calls."""

    async def echo(self, value: float, **kwargs) -> float:
        return value


class Publisher(Module, IExposureTime):
    """Publishes events and its state."""

    async def open(self):
        await Module.open(self)
        await self.comm.register_event(NumberEvent)
        await self.comm.set_state(IExposureTime, ExposureTimeState(exposure_time=-1.0))

    async def set_exposure_time(self, exposure_time: float, **kwargs):
        pass


class Pyobs:
    """One process of the peer."""

    def __init__(self, plan):
        self.plan = plan
        self.heard = Heard()
        self.modules = []

    def comm(self, name):
        plan = self.plan
        return {
            "class": "pyobs.comm.xmpp.XmppComm",
            "jid": f"{name}@{plan['domain']}/pyobs",
            "password": plan["passwords"][name],
            "server": f"127.0.0.1:{plan['port']}",
            "use_tls": plan["tls"],
            "ignore_cert_errors": plan["tls"],
        }

    async def start(self):
        kind = {"callee": Echo, "publisher": Publisher}.get(self.plan["role"], Module)
        for name in self.plan["names"]:
            module = kind(comm=self.comm(name))
            await module.startup()
            self.modules.append(module)
        await getattr(self, self.plan["role"], self.nothing)()

    async def nothing(self):
        pass

    async def caller(self):
        comm = self.modules[0].comm
        while not await comm.has_proxy(self.plan["callee"], IEcho):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        self.echo = await comm.proxy(self.plan["callee"], IEcho).__aenter__()  # held until the process ends

    async def listeners(self):
        for number, module in zip(self.plan["numbers"], self.modules, strict=True):
            await module.comm.register_event(NumberEvent, self.event_handler(number))
        for number, module in zip(self.plan["numbers"], self.modules, strict=True):
            await module.comm.subscribe_state(self.plan["publisher"], IExposureTime, self.state_callback(number))

    def event_handler(self, module):
        async def handle(event, sender):
            self.heard.note(module, "event", event.data["number"])
            return True

        return handle

    def state_callback(self, module):
        def changed(state):
            self.heard.note(module, "state", int(state.exposure_time))

        return changed

    async def call(self, value):
        return await self.echo.echo(value)

    async def publish(self, kind, number):
        module = self.modules[0]
        if kind == "event":
            await module.comm.send_event(NumberEvent(number))
        else:
            await module.comm.set_state(IExposureTime, ExposureTimeState(exposure_time=float(number)))


async def main(plan):
    """Run one process until stdin ends."""
    actor = Pyobs(plan)
    await serve(actor, actor.heard)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
