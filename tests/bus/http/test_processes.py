"""Modules as real processes that find each other by the site file alone, and die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.harness import Ear, Endpoint, call, until
from bus.http_harness import Port
from pytel.base.errors import ConnectionLost, ModuleNotFound
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.bus.contract import Bus, Card, Topic
from pytel.module.sitefile import load_site

MEMBER = Path(__file__).parent / "member.py"
START = 20.0
"""Real seconds that a process may take to start on a busy machine."""


class Site:
    """A site file, and the processes of its modules."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "site.yaml"
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.ports = {name: Port() for name in ("site", "roof", "camera")}
        listen = ", ".join(f'{name}: "127.0.0.1:{port.number}"' for name, port in self.ports.items())
        self.path.write_text(
            "site: {name: here, latitude: 49, longitude: 8}\n"
            "bus: http\n"
            f"http: {{listen: {{{listen}}}}}\n"
            "simulation: {}\n"
            "modules: {roof: {type: simulated-roof}, camera: {type: simulated-camera}}\n"
        )
        self.file = load_site(self.path)

    async def start(self, name: str) -> None:
        command = (sys.executable, str(MEMBER), str(self.path), name)
        self.processes[name] = await asyncio.create_subprocess_exec(*command)

    async def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def stop(self) -> None:
        for name in list(self.processes):
            await self.kill(name)
        for port in self.ports.values():
            port.release()


@pytest.fixture
async def http_processes(tmp_path: Path) -> AsyncIterator[tuple[Site, Bus]]:
    site = await in_thread(Site, tmp_path)
    bus = make_bus(site.file, Address("site"))
    await bus.open(Endpoint(), Card(interfaces=(), boot="desk"))
    yield site, bus
    await bus.close()
    await site.stop()


def names(bus: Bus) -> list[str]:
    return [str(peer.address) for peer in bus.peers()]


@pytest.mark.slow
async def test_processes_come_die_and_come_back(http_processes: tuple[Site, Bus]) -> None:
    site, bus = http_processes
    events, states = Ear(bus, Topic("event", "Counted")), Ear(bus, Topic("state", "Process"))
    with pytest.raises(ModuleNotFound):
        await call(bus, "camera", "expose")
    await asyncio.gather(site.start("roof"), site.start("camera"))
    await until(lambda: names(bus) == ["camera", "roof", "site"], START)
    pid = await call(bus, "camera", "who")
    assert pid == site.processes["camera"].pid != os.getpid()
    hanging = asyncio.create_task(call(bus, "camera", "hang", timeout=60))
    await asyncio.sleep(0.1)
    await site.kill("camera")
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(20):
            await hanging
    await until(lambda: names(bus) == ["roof", "site"])
    with pytest.raises(ModuleNotFound):
        await call(bus, "camera", "who")
    await site.start("camera")
    await until(lambda: names(bus) == ["camera", "roof", "site"], START)
    assert await call(bus, "camera", "who") == site.processes["camera"].pid
    await until(lambda: states.data[-1] == site.processes["camera"].pid)
    for name in ("camera", "roof"):
        for boot in dict.fromkeys(heard.boot for heard in events.heard):
            heard = [one.data for one in events.heard if str(one.publisher) == name and one.boot == boot]
            assert heard == list(range(1, len(heard) + 1))


@pytest.mark.slow
async def test_accounts_are_made_by_whoever_starts_first_and_are_private(http_processes: tuple[Site, Bus]) -> None:
    site, bus = http_processes
    accounts = site.path.parent / "state" / "http" / "accounts.json"
    status = await in_thread(accounts.stat)
    assert status.st_mode & 0o777 == 0o600
    before = await in_thread(accounts.read_bytes)
    await asyncio.gather(site.start("roof"), site.start("camera"))
    await until(lambda: len(names(bus)) == 3, START)
    assert await in_thread(accounts.read_bytes) == before
    guest = make_bus(site.file, Address("cli"))
    await guest.open(Endpoint(), Card(interfaces=(), boot="-"))
    assert names(guest) == ["camera", "cli", "roof", "site"]
    assert await call(guest, "roof", "who") == site.processes["roof"].pid
    assert "cli" not in names(bus)
    await guest.close()
