"""The far end of a wire that is cut: callers, a callee, a publisher and a hearer. What they met is printed as JSON.

Reads a line of JSON (a `Task`), says "ready", goes on until a line "stop" comes, and prints a `Record`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import msgspec

from bus.cast import Caller, Worker
from bus.harness import Ear, Endpoint, event, publish, state, until
from bus.xmpp.cast import CounterModule, Told
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Card, Peer, Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.link import Server
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo

FIRST = 1_000_000
"""The number of our first call: the near end counts from one."""


class Task(msgspec.Struct):
    """Where the server is, who we are there, and how long the job lasts that we ask for (seconds)."""

    domain: str
    host: str
    port: int
    ca: str
    directory: str
    passwords: dict[str, str]
    job: float


class Record(msgspec.Struct):
    """What the far end met; times are real, in Unix seconds."""

    outcome: dict[int, str]
    expiry: dict[int, float]
    executed: list[tuple[int, float]]
    heard: dict[str, list[tuple[int, bool]]]
    states: list[int]
    peers: list[tuple[str, bool]]
    links: list[tuple[float, bool]]
    present: list[str]
    late: int
    """Calls that arrived after their expiry."""
    job: str = ""
    log: list[str] = []


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(f"{record.name}: {record.getMessage()}")
        print(f"{record.created:.3f}", self.lines[-1], file=sys.stderr, flush=True)


class Witness(ModuleRuntime):
    """Counts the calls that arrive late."""

    late = 0

    async def handle_call(self, call: Call) -> Builtin:
        """Execute a call, or refuse it."""
        self.late += call.expires is not None and clock.real_time() > call.expires
        return await super().handle_call(call)


class FarSide:
    """All that lives at the far end."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._server = Server(domain=task.domain, host=task.host, port=task.port, ca=Path(task.ca))
        self._access = Access({f"{name}@{task.domain}": Role.MODULE for name in task.passwords})
        self._buses: list[XmppBus] = []
        self._caller = self._bus("far")
        self._log = Lines()
        self._job_outcome = ""
        self._links: list[tuple[float, bool]] = []
        self._peers: list[tuple[str, bool]] = []

    def _bus(self, name: str) -> XmppBus:
        async def password() -> str:
            return self._task.passwords[name]

        bus = XmppBus(Address.parse(name), self._server, password, self._access)
        self._buses.append(bus)
        return bus

    def _runtime(self, kind: type[Module], name: str) -> Witness:
        site = SiteInfo(
            name="test", location=Location(latitude=49, longitude=8), state_dir=Path(self._task.directory) / name
        )
        return Witness(kind, site=site, bus=self._bus(name))

    async def live(self) -> Record:
        """Go on until we are told to stop."""
        logging.getLogger("pytel").addHandler(self._log)
        logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
        counter, waiter = self._runtime(CounterModule, "far-counter"), self._runtime(Caller, "far-waiter")
        await self._caller.open(Endpoint(), Card(interfaces=(), boot="far"))
        ears = {name: Ear(self._caller, event(name)) for name in ("Quiet", "Chatter")}
        states = Ear(self._caller, state())
        self._caller.watch_peers(self._watch)
        for runtime in (counter, waiter):
            await runtime.start()
        told = Told(range(FIRST, 2 * FIRST))
        await until(lambda: all(len(bus.peers()) == len(self._task.passwords) for bus in self._buses), within=20)
        works = (told.keep_calling(self._caller, "counter", 0.05), self._publish(), self._watch_link())
        tasks = [asyncio.create_task(work) for work in works]
        job = asyncio.create_task(self._work(waiter.module))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.wait({job}, timeout=30)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(counter.module, CounterModule)
        record = Record(
            outcome=told.outcome,
            expiry=told.expiry,
            executed=counter.module.executed,
            heard={name: [(one.data, one.replayed) for one in ear.heard] for name, ear in ears.items()},
            states=states.data,
            peers=self._peers,
            links=self._links,
            present=[str(peer.address) for peer in self._caller.peers()],
            late=counter.late,
            job=self._job_outcome,
            log=self._log.lines,
        )
        for runtime in (counter, waiter):
            await runtime.stop()
        await self._caller.close()
        return record

    def _watch(self, peer: Peer, present: bool) -> None:
        self._peers.append((str(peer.address), present))

    async def _watch_link(self) -> None:
        while True:
            is_up = self._caller.is_up
            if not self._links or self._links[-1][1] != is_up:
                self._links.append((clock.real_time(), is_up))
            await asyncio.sleep(0.05)

    async def _publish(self) -> None:
        number = 0
        while True:
            publish(self._caller, event("Far"), number)
            number += 1
            await asyncio.sleep(0.5)

    async def _work(self, module: Module) -> None:
        assert isinstance(module, Caller)
        try:
            self._job_outcome = await module.find(Worker).work(self._task.job)
        except PytelError as error:
            self._job_outcome = f"{error.name}: {error.message}"


def main() -> None:
    """Do what the line on the standard input says."""
    task = msgspec.json.decode(sys.stdin.readline(), type=Task)
    record = asyncio.run(FarSide(task).live())
    print(msgspec.json.encode(record).decode(), flush=True)


if __name__ == "__main__":
    main()
