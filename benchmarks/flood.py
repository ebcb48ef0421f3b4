"""Calls between two modules while a person floods one of them, against the same calls in peace.

`python -m benchmarks.flood [prosody] [ejabberd]`; on a quiet machine the ratio must stay below two.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context
from typing import Literal

from benchmarks.measure import Figure, interleaved, report
from benchmarks.messaging.servers import free_port
from pytel.base.errors import PytelError
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, CallOptions, Card, Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.link import Server
from pytel.bus.xmpp.stream import Login, Stream
from pytel.servers import ServerSetup, XmppServer, server_for

CALLS = 500
ROUNDS = 5
DOMAIN = "bench.localhost"
PERSON = "alice"
KINDS: tuple[Literal["prosody", "ejabberd"], ...] = ("prosody", "ejabberd")
_OPTIONS = CallOptions(timeout=30.0)


class Echo:
    """Answers with the parameters."""

    async def handle_call(self, call: Call) -> Builtin:
        """Answer."""
        return call.params


class Pair:
    """Two modules, and the loop they live in."""

    def __init__(self, server: XmppServer) -> None:
        self._runner = asyncio.Runner()
        self._caller, self._callee = (self._bus(server, name) for name in ("robot", "camera"))
        self._runner.run(self._open())

    def _bus(self, server: XmppServer, name: str) -> XmppBus:
        password = secrets.token_urlsafe(16)
        server.set_password(name, password)

        async def ask() -> str:
            return password

        where = Server(domain=DOMAIN, host=server.host, port=server.port, ca=server.ca_file)
        roles = {f"{member}@{DOMAIN}": Role.MODULE for member in ("robot", "camera")}
        access = Access({**roles, f"{PERSON}@{DOMAIN}": Role.OPERATOR})

        async def made() -> XmppBus:
            return XmppBus(Address.parse(name), where, ask, access)

        return self._runner.run(made())

    async def _open(self) -> None:
        for bus in (self._caller, self._callee):
            await bus.open(Echo(), Card(interfaces=(), boot="bench"))

    def measure(self) -> float:
        """Median milliseconds of a call, one after the other."""
        return self._runner.run(self._measure())

    async def _measure(self) -> float:
        taken = []
        for number in range(CALLS):
            begun = time.perf_counter()
            await self._caller.call(Address("camera"), "say", [number], _OPTIONS)
            taken.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(taken)

    def close(self) -> None:
        """Leave."""
        for bus in (self._caller, self._callee):
            self._runner.run(bus.close())
        self._runner.close()


@contextmanager
def flood(server: XmppServer, password: str) -> Iterator[None]:
    """A process that floods for the length of a block."""
    told = [server.host, str(server.port), str(server.ca_file), password]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.flood", "--flood", *told], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


async def flood_for_ever(host: str, port: str, ca: str, password: str) -> None:
    """Call the camera as fast as the server lets us, and come back when it throws us out."""
    login = Login(
        account=PERSON,
        domain=DOMAIN,
        resource="flood",
        password=password,
        host=host,
        port=int(port),
        tls=create_default_context(cafile=ca),
    )
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "say", "params": []})
    json_call = f"<json xmlns='urn:xmpp:json:0'>{request}</json>"
    stanza = f"<iq type='set' id='f' to='camera@{DOMAIN}/pytel'>{json_call}</iq>"
    is_told = False
    while True:
        lost = asyncio.Event()
        stream = Stream(login, lambda _: None, lambda _, lost=lost: lost.set())  # type: ignore[misc]
        try:
            await stream.log_in(30.0)
            while not lost.is_set():
                if stream.transport is not None and stream.transport.get_write_buffer_size() < 100_000:
                    stream.write(stanza * 100)
                if not is_told:
                    print("flooding", flush=True)
                    is_told = True
                await asyncio.sleep(0.005)
        except PytelError:
            await asyncio.sleep(0.1)
        finally:
            stream.end_at_once()


def measured(kind: Literal["prosody", "ejabberd"], directory: Path) -> dict[str, Figure]:
    """Medians of interleaved rounds on one server."""
    setup = ServerSetup(kind=kind, domain=DOMAIN, directory=directory, port=free_port(), people=(PERSON,))
    server = server_for(setup)
    server.write()
    server.start()
    try:
        password = secrets.token_urlsafe(16)
        server.set_password(PERSON, password)
        pair = Pair(server)

        def flooded() -> float:
            with flood(server, password):
                return pair.measure()

        try:
            pair.measure()
            return interleaved({"in peace": pair.measure, "flooded": flooded}, ROUNDS)
        finally:
            pair.close()
    finally:
        server.stop()


def main() -> None:
    """Measure and print."""
    rows: list[tuple[str, ...]] = [("server", "in peace, ms", "flooded, ms", "ratio")]
    for kind in KINDS:
        if sys.argv[1:] and kind not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as directory:
            figures = measured(kind, Path(directory))
        ratio = figures["flooded"].median / figures["in peace"].median
        rows.append((kind, str(figures["in peace"]), str(figures["flooded"]), f"{ratio:.2f}"))
    report("Calls between modules while a person floods", rows, "slixmpp")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        asyncio.run(flood_for_ever(*sys.argv[2:]))
    else:
        main()
