"""The wire between modules and their server is cut for a minute, and nobody is told: packets vanish, both ways.

Both servers go through the same minute side by side. Needs root, for network namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bus.cast import WorkerModule
from bus.harness import Ear, event, publish, state, until
from bus.xmpp.cast import CounterModule, Told
from bus.xmpp.far_side import Record, Task
from bus.xmpp.sites import OwnSite
from bus.xmpp.wire import Wire, wire
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.bus.contract import Bus
from xmpp_kit import KINDS, Kind, server_account, started_server

CUT = 60.0
SHORT_CUT = 4.0
"""Nobody gives up: what was sent arrives when TCP sends it again."""
FAR = ("far", "far-counter", "far-waiter")
NEAR = ("counter", "worker", "near")


class Ends:
    """Both ends of one server's wire; this process is the near one, where the server is."""

    def __init__(self, site: OwnSite) -> None:
        self.site = site
        self.told = Told()
        self.published = {"Quiet": 0, "Chatter": 0}
        self.cut = self.healed = 0.0
        self.far: asyncio.subprocess.Process
        self.near: Bus
        self.heard: Ear
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, wire: Wire, directory: Path, job: float) -> None:
        """Bring all up."""
        site = self.site
        counter, worker = await site.start(CounterModule, "counter"), await site.start(WorkerModule, "worker")
        assert isinstance(counter.module, CounterModule)
        assert isinstance(worker.module, WorkerModule)
        self.counter, self.worker = counter.module, worker.module
        self.near = await site.member("near")
        self.heard = Ear(self.near, event("Far"))
        passwords = {name: await in_thread(server_account, site.host, name) for name in FAR}
        for name in FAR:
            site.allow(name)
        host = site.host
        task = Task(host.domain, host.host, host.port, str(host.ca_file), str(directory), passwords, job)
        everybody = {name: passwords.get(name, "") for name in (*FAR, *NEAR)}
        self.far = await wire.start("bus/xmpp/far_side.py")
        await self.tell(msgspec.json.encode(msgspec.structs.replace(task, passwords=everybody)))
        async with asyncio.timeout(30):
            assert await self._line() == b"ready\n"
        works = (self.told.keep_calling(self.near, "far-counter", 0.05), self._publish())
        self._tasks = [asyncio.create_task(work) for work in works]

    async def tell(self, line: bytes) -> None:
        """Send the far end a line."""
        assert self.far.stdin is not None
        self.far.stdin.write(line + b"\n")
        await self.far.stdin.drain()

    async def _line(self) -> bytes:
        assert self.far.stdout is not None
        return await self.far.stdout.readline()

    async def _publish(self) -> None:
        for turn in range(100_000):
            await asyncio.sleep(0.2)
            self._send("Chatter")
            if turn % 3 == 0:
                self._send("Quiet")
                publish(self.near, state(), self.published["Quiet"])

    def _send(self, name: str) -> None:
        publish(self.near, event(name), self.published[name])
        self.published[name] += 1

    async def is_back(self) -> None:
        """Wait until the far end answers and is heard."""
        await self.told.more_results(50)
        heard = len(self.heard.data)
        await until(lambda: len(self.heard.data) > heard + 2, within=30)

    async def finish(self) -> Record:
        """End all that goes on, and ask the far end what it met."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(1.0)  # what was published last is under way
        await self.tell(b"stop")
        async with asyncio.timeout(30):
            record = msgspec.json.decode(await self._line(), type=Record)
            await self.far.wait()
        return record

    async def end(self) -> None:
        """Leave nothing running."""
        for task in self._tasks:
            task.cancel()
        if hasattr(self, "far") and self.far.returncode is None:
            self.far.kill()
            await self.far.wait()
        await self.site.close()


@contextlib.asynccontextmanager
async def ends(kind: Kind, wire: Wire, directory: Path, job: float) -> AsyncIterator[Ends]:
    """A server with both its ends."""
    server = await in_thread(lambda: started_server(kind, directory / kind, host=wire.near))
    try:
        one = Ends(OwnSite(directory, server))
        try:
            await one.start(wire, directory / kind, job)
            yield one
        finally:
            await one.end()
    finally:
        await in_thread(server.stop)


@contextlib.asynccontextmanager
async def cut(directory: Path, seconds: float) -> AsyncIterator[list[Ends]]:
    """Both servers after a cut of so many seconds, when all is back."""
    async with contextlib.AsyncExitStack() as stack:
        cable = await stack.enter_async_context(wire())
        both = [await stack.enter_async_context(ends(kind, cable, directory, seconds + 4.0)) for kind in KINDS]
        await asyncio.sleep(1.0)
        await in_thread(cable.cut)
        for one in both:
            one.cut = clock.real_time()
        await asyncio.sleep(seconds)
        await in_thread(cable.heal)
        for one in both:
            one.healed = clock.real_time()
        await asyncio.gather(*(one.is_back() for one in both))
        yield both


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_wire_that_is_cut_for_a_minute_loses_nothing_and_makes_nothing_late(tmp_path: Path) -> None:
    async with cut(tmp_path, CUT) as both:
        for one in both:
            far = await one.finish()
            check_calls(one, far)
            check_link(one, far)
            check_what_was_heard(one, far)
            check_what_was_lost(one, far)
            assert far.job == "worked for far-waiter"


@pytest.mark.slow
async def test_what_arrives_late_after_a_short_cut_is_not_executed(tmp_path: Path) -> None:
    async with cut(tmp_path, SHORT_CUT) as both:
        for one in both:
            far = await one.finish()
            assert [is_up for _, is_up in far.links] == [True]
            check_calls(one, far)
            check_what_was_heard(one, far)
            assert [number for number, _ in far.heard["Chatter"]] == list(range(one.published["Chatter"]))
            assert far.job == "worked for far-waiter"
            assert far.log == []
            assert far.late > 20


def check_calls(one: Ends, far: Record) -> None:
    told = Told()
    told.outcome, told.expiry = far.outcome, far.expiry
    for side, executed in ((told, one.counter.executed), (one.told, far.executed)):
        print(one.site.kind, side.tally())
        side.check(executed)
        assert side.failed >= 500 or not far.log
    assert one.worker.ended == "done"


def check_link(one: Ends, far: Record) -> None:
    """The loss was noticed in about ten seconds, and all are back."""
    (_, _), (noticed, is_down), (back, is_up) = far.links
    assert (is_down, is_up) == (False, True)
    assert one.cut < noticed < one.cut + 20
    assert back > one.healed
    assert set(far.present) == {*FAR, *NEAR}


def check_what_was_heard(one: Ends, far: Record) -> None:
    """Every event, once, in order, and the last state."""
    assert far.states[-1] == one.published["Quiet"]
    assert [number for number, _ in far.heard["Quiet"]] == list(range(one.published["Quiet"]))
    assert one.heard.data == list(range(len(one.heard.data)))


def check_what_was_lost(one: Ends, far: Record) -> None:
    """Of more than nodes keep, the last; and the log tells how many are lost."""
    chatter = [number for number, _ in far.heard["Chatter"]]
    assert chatter == sorted(set(chatter))
    assert chatter[-1] == one.published["Chatter"] - 1
    lost = one.published["Chatter"] - len(chatter)
    assert lost > 20
    told = [line for line in far.log if "are lost" in line]
    assert told == [f"pytel.xmpp.far: {lost} events Chatter of near are lost"]
