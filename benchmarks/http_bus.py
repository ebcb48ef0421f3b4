"""Calls and events between two processes over HTTP, against a bare aiohttp echo. `python -m benchmarks.http_bus`"""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web

from benchmarks.measure import interleaved, report
from pytel.base import clock
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, CallOptions, Card, Topic
from pytel.bus.http.accounts import Account, Accounts
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import Listen

CALLS = 2000
AT_ONCE = 16
PARAMS = {"ra": 83.6, "dec": -5.4, "filters": ["V", "R"]}
EVENT = Topic("event", "Heard")
ASKER, ANSWERER, ECHO = Address("asker"), Address("answerer"), Address("echo")


class Answerer:
    """Says what it was told, and publishes what it is asked to."""

    def __init__(self, bus: HttpBus) -> None:
        self._bus = bus

    async def handle_call(self, call: Call) -> Builtin:
        """Answer."""
        if call.method == "publish":
            self._bus.publish(EVENT, call.params, clock.time())
        return call.params


def member(address: Address, ports: Mapping[Address, int]) -> HttpBus:
    """One of both modules."""
    accounts = Accounts()
    for name in (ASKER, ANSWERER):
        accounts.add(str(name), Account(secret=str(name)))
    peers = {name: f"http://127.0.0.1:{ports[name]}" for name in (ASKER, ANSWERER)}
    return HttpBus(address, accounts=accounts, listen=Listen("127.0.0.1", ports[address]), peers=peers)


def answer(ports: Mapping[Address, int]) -> None:
    """What the other process does until it is ended."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    async def serve() -> None:
        server = web.Application()
        server.router.add_post("/rpc", echo)
        runner = web.AppRunner(server, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", ports[ECHO]).start()
        bus = member(ANSWERER, ports)
        await bus.open(Answerer(bus), Card(interfaces=(), boot="1"))
        await asyncio.Event().wait()

    asyncio.run(serve())


async def _each(ask: Callable[[], Awaitable[object]]) -> float:
    """The median of single calls, in milliseconds."""
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        await ask()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


async def _together(ask: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds a call when several are under way."""
    left = iter(range(CALLS))

    async def worker() -> None:
        for _ in left:
            await ask()

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.perf_counter() - begun) / CALLS * 1e3


async def measure(ports: Mapping[Address, int]) -> dict[str, float]:
    """One round of all cases, in milliseconds each."""
    bus = member(ASKER, ports)
    await bus.open(Answerer(bus), Card(interfaces=(), boot="1"))
    async with asyncio.timeout(60):
        while len(bus.peers()) < 2:  # noqa: ASYNC110 - the other process starts
            await asyncio.sleep(0.05)
    heard = asyncio.Event()
    bus.subscribe(EVENT, lambda publication: heard.set())

    async def call() -> None:
        await bus.call(ANSWERER, "echo", PARAMS, CallOptions())

    async def event() -> None:
        heard.clear()
        await bus.call(ANSWERER, "publish", PARAMS, CallOptions())
        await heard.wait()

    async with aiohttp.ClientSession() as session:
        request = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": PARAMS}

        async def bare() -> None:
            async with session.post(f"http://127.0.0.1:{ports[ECHO]}/rpc", json=request) as response:
                await response.json()

        try:
            return {
                "bare aiohttp echo": await _each(bare),
                "call": await _each(call),
                "call that publishes, and its event": await _each(event),
                f"bare aiohttp echo, {AT_ONCE} at once": await _together(bare),
                f"call, {AT_ONCE} at once": await _together(call),
            }
        finally:
            await bus.close()


def main() -> None:
    """Measure and print."""
    ports = {address: _free_port() for address in (ASKER, ANSWERER, ECHO)}
    other = multiprocessing.get_context("spawn").Process(target=answer, args=(ports,), daemon=True)
    other.start()
    rounds: list[dict[str, float]] = []
    names = list(asyncio.run(measure(ports)))

    def case(name: str) -> float:
        if name == names[0]:
            rounds.append(asyncio.run(measure(ports)))
        return rounds[-1][name]

    figures = interleaved({name: functools.partial(case, name) for name in names})
    other.kill()
    other.join()
    floor = figures[names[0]].median
    rows: list[tuple[str, ...]] = [("what", "ms each (low–high)", "times the floor")]
    rows += [(name, str(figure), f"{figure.median / floor:.2f}") for name, figure in figures.items()]
    report("HTTP bus", rows, "pytel-ocs", "aiohttp", "starlette", "uvicorn")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
