"""A wire between this process and another network namespace, which can be cut without either end being told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pytel.base.threads import in_thread

TESTS = Path(__file__).resolve().parents[2]
_NOBODY = "02:00:00:00:00:ff"


class Wire:
    """`near` is our address, `far` that of the other end (198.18.0.0/15, RFC 2544: networks under test)."""

    def __init__(self) -> None:
        number = os.getpid() % 50_000
        self.name = f"pytel{number}"
        self.near, self.far = (f"198.18.{number // 250}.{number % 250 // 2 * 4 % 248 + last}" for last in (1, 2))
        self._inside = ("ip", "netns", "exec", self.name)

    def lay(self) -> None:
        """Make the namespace and the wire; fails the test where that is not allowed."""
        one, other = f"{self.name}a", f"{self.name}b"
        try:
            run("ip", "netns", "add", self.name)
            run("ip", "link", "add", one, "type", "veth", "peer", "name", other, "netns", self.name)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            said = getattr(error, "stderr", "") or str(error)
            pytest.fail(
                f"no network namespace can be made here ({said.strip()}): install iproute2 and run this test as root, "
                "in a container with --cap-add NET_ADMIN --cap-add SYS_ADMIN"
            )
        run("ip", "address", "add", f"{self.near}/30", "dev", one)
        run("ip", "link", "set", one, "up")
        run(*self._inside, "ip", "address", "add", f"{self.far}/30", "dev", other)
        run(*self._inside, "ip", "link", "set", other, "up")
        run(*self._inside, "ip", "link", "set", "lo", "up")

    def cut(self) -> None:
        """Send all packets, both ways, to somebody who is not there."""
        for command, address, end in self._ends():
            run(*command, "ip", "neigh", "replace", address, "lladdr", _NOBODY, "dev", end, "nud", "permanent")

    def heal(self) -> None:
        """Let packets through."""
        for command, address, end in self._ends():
            run(*command, "ip", "neigh", "del", address, "dev", end)

    def _ends(self) -> tuple[tuple[tuple[str, ...], str, str], ...]:
        return ((), self.far, f"{self.name}a"), (self._inside, self.near, f"{self.name}b")

    def remove(self) -> None:
        """Take it away."""
        subprocess.run(["ip", "link", "del", f"{self.name}a"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    async def start(self, script: str, *arguments: str) -> asyncio.subprocess.Process:
        """Run a script of the tests at the far end."""
        return await asyncio.create_subprocess_exec(
            *self._inside,
            sys.executable,
            str(TESTS / script),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            limit=1 << 24,
        )


@asynccontextmanager
async def wire() -> AsyncIterator[Wire]:
    """A wire for the length of a block."""
    one = Wire()
    await in_thread(one.remove)  # what a killed run has left
    try:
        await in_thread(one.lay)
        yield one
    finally:
        await in_thread(one.remove)


def run(*command: str) -> None:
    """Run a command; raises `CalledProcessError`."""
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
