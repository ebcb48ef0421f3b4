"""POST /rpc through the gateway, idle and while 200 clients read along, against a bare Starlette echo.

`python -m benchmarks.gateway`
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.measure import Figure, report
from benchmarks.messaging.processes import Neighbourhood
from pytel.bus.contract import Role
from pytel.bus.people import FILE, add_account
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import rpc
from pytel.module.handlers import background
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.module import Module
from pytel.module.sitefile import parse_site

CALLS = 3000
ROUNDS = 3
READERS = 200
RATE = 10.0
PASSWORD = "battery staple"
AUTHORIZATION = "Basic " + base64.b64encode(f"bench:{PASSWORD}".encode()).decode()


class Station(Module, Focuser):
    """Publishes a state ten times a second."""

    @background
    async def move(self) -> None:
        """Publish."""
        position = 0.0
        while True:
            position += 1.0
            self.publish(FocuserState(status=MotionStatus.IDLE, position=position))
            await asyncio.sleep(1 / RATE)

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        """Do nothing."""


class Latency(NamedTuple):
    """Of many calls, one after the other, in milliseconds."""

    median: float
    p99: float


def _keep_apart(*, serves: bool) -> None:
    """Servers have a core of their own: who calls and reads stands for other computers, which take none of it."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:1] if serves else cores[1:])


async def _serve_gateway(directory: Path) -> None:
    add_account(directory / "state" / "gateway" / FILE, "bench", Role.VIEWER, PASSWORD)
    modules = {
        "station": {"type": "benchmarks.gateway:Station"},
        "gateway": {"type": "gateway", "listen": "127.0.0.1:0"},
    }
    source = {"site": {"name": "bench", "latitude": 1, "longitude": 2}, "modules": modules}
    site, faults = parse_site(source, directory=directory)
    if site is None:
        raise RuntimeError(faults)
    supervisor = LocalSupervisor(site)
    await supervisor.start()
    gateway = next(run.module for address, run in supervisor.running.items() if str(address) == "gateway")
    print(getattr(gateway, "url", None), flush=True)
    await asyncio.Event().wait()


async def _serve_echo() -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def echo(request: Request) -> Response:
        return JSONResponse(await request.json())

    app = Starlette(routes=[Route("/rpc", echo, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    for _ in range(500):
        if server.started:
            break
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await serving


async def _read_along(url: str) -> None:
    # So many do not keep the one who calls from its core.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    opened = [await _subscribed(url) for _ in range(READERS)]
    print("reading", flush=True)
    await asyncio.gather(*(_discard(reader) for reader, _ in opened))


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass
    raise ConnectionError("the gateway has sent a reader away")


async def _subscribed(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: {AUTHORIZATION}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"topics": ["Focuser"]}})
    writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode())
    return reader, writer


@contextlib.contextmanager
def _running(*arguments: str) -> Iterator[str]:
    """A part of this benchmark as a process of its own; gives the first line it prints."""
    command = [sys.executable, "-m", "benchmarks.gateway", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline().strip() if process.stdout else ""
            if not line:
                raise RuntimeError(f"{arguments[0]} did not start")
            yield line
        finally:
            process.kill()


def _measure(url: str) -> Latency:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    request = {"jsonrpc": "2.0", "id": 1, "method": "station.job.list", "params": {}}
    body, headers = json.dumps(request), {"Content-Type": "application/json", "Authorization": AUTHORIZATION}
    taken: list[float] = []
    for number in range(CALLS + 200):
        begun = time.perf_counter()
        connection.request("POST", "/rpc", body, headers)
        connection.getresponse().read()
        if number >= 200:
            taken.append((time.perf_counter() - begun) * 1e3)
        time.sleep(0.001)  # calls that come now and then, at any moment of the updates
    connection.close()
    return Latency(statistics.median(taken), statistics.quantiles(taken, n=100)[98])


def main() -> None:
    """Measure and print; ratios are taken round by round."""
    neighbours = Neighbourhood()
    cores = os.sched_getaffinity(0)
    rounds: dict[str, list[Latency]] = {"bare Starlette echo": [], "gateway, idle": [], "gateway, read along": []}
    with tempfile.TemporaryDirectory() as directory, _running("gateway", directory) as url, _running("echo") as echo:
        _keep_apart(serves=False)
        for _ in range(ROUNDS):
            rounds["bare Starlette echo"].append(_measure(echo))
            rounds["gateway, idle"].append(_measure(url))
            with _running("readers", url):
                rounds["gateway, read along"].append(_measure(url))
    os.sched_setaffinity(0, cores)
    idle = [latency.median for latency in rounds["gateway, idle"]]
    rows: list[tuple[str, ...]] = [("POST /rpc", "p50 ms", "p99 ms", "p99 / p50 of the idle gateway")]
    for name, latencies in rounds.items():
        ratio = figure([latency.p99 / base for latency, base in zip(latencies, idle, strict=True)])
        rows.append((name, *(str(figure(values)) for values in zip(*latencies, strict=True)), str(ratio)))
    notes = [
        f"read along: {READERS} clients on /ws, each gets {RATE:g} states a second; servers have a core of their own",
        f"{CALLS} calls a round, one after the other; rounds: {ROUNDS}; "
        f"other programs used {neighbours.share_of_others():.0%} of the processors",
    ]
    report("Gateway", rows, "pytel-ocs", "starlette", "uvicorn", "websockets", notes=notes)


def figure(values: Sequence[float]) -> Figure:
    """The median with the lowest and the highest."""
    return Figure(statistics.median(values), min(values), max(values))


async def _part(arguments: list[str]) -> None:
    _keep_apart(serves=arguments[0] != "readers")
    if arguments[0] == "gateway":
        await _serve_gateway(Path(arguments[1]))
    elif arguments[0] == "echo":
        await _serve_echo()
    else:
        await _read_along(arguments[1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_part(sys.argv[1:]))
    else:
        main()
