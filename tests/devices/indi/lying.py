"""An INDI server that says what a test tells it, however wrong."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

Speaker = Callable[["Visit"], Awaitable[None]]
DEVICE = "Liar"
STAMP = 'timestamp="2026-11-23T00:00:00"'


class Visit:
    """One client's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()
        self._heard = b""

    async def say(self, text: str | bytes) -> None:
        """Send."""
        await self._loop.sock_sendall(self.socket, text.encode() if isinstance(text, str) else text)

    async def hear(self, pattern: str) -> re.Match[bytes]:
        """Read until the client has said this."""
        while True:
            found = re.search(pattern.encode(), self._heard, re.DOTALL)
            if found:
                self._heard = self._heard[found.end() :]
                return found
            data = await self._loop.sock_recv(self.socket, 1 << 16)
            if not data:
                raise ConnectionError("the client has gone")
            self._heard += data

    def say_with(self, text: str, descriptors: list[int]) -> None:
        """Send with descriptors (Unix socket)."""
        rights = array.array("i", descriptors)
        self.socket.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


@contextlib.asynccontextmanager
async def lying_server(speak: Speaker, path: Path | None = None) -> AsyncIterator[str]:
    """Serve; gives the address. `speak` is called for each connection, which is closed when it returns."""
    listening = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listening.setblocking(False)
    listening.bind(str(path) if path else ("127.0.0.1", 0))
    listening.listen()
    tasks: list[asyncio.Task[None]] = []

    async def visit(connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            connection.setblocking(False)
            await speak(Visit(connection))

    async def accept() -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            tasks.append(asyncio.create_task(visit(connection)))

    tasks.append(asyncio.create_task(accept()))
    try:
        yield str(path) if path else f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        listening.close()
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def number(name: str, state: str = "Idle", device: str = DEVICE, perm: str = "rw", **values: object) -> str:
    """The definition of a number vector, each member from 0 to 100."""
    members = "".join(
        f'<defNumber name="{key}" label="" format="%g" min="0" max="100" step="1">{value}</defNumber>'
        for key, value in values.items()
    )
    return (
        f'<defNumberVector device="{device}" name="{name}" label="" group="" state="{state}" perm="{perm}" '
        f'timeout="60" {STAMP}>{members}</defNumberVector>'
    )


def set_number(name: str, state: str = "Ok", device: str = DEVICE, message: str = "", **values: object) -> str:
    """New values of a number vector."""
    members = "".join(f'<oneNumber name="{key}">{value}</oneNumber>' for key, value in values.items())
    said = f' message="{message}"' if message else ""
    return (
        f'<setNumberVector device="{device}" name="{name}" state="{state}" timeout="60" {STAMP}{said}>'
        f"{members}</setNumberVector>"
    )


def switch(name: str, rule: str = "OneOfMany", device: str = DEVICE, **values: bool) -> str:
    """The definition of a switch vector."""
    members = "".join(
        f'<defSwitch name="{key}" label="">{"On" if value else "Off"}</defSwitch>' for key, value in values.items()
    )
    return (
        f'<defSwitchVector device="{device}" name="{name}" label="" group="" state="Idle" perm="rw" rule="{rule}" '
        f'timeout="60" {STAMP}>{members}</defSwitchVector>'
    )


def blob_definition(name: str = "CCD1", device: str = DEVICE) -> str:
    """The definition of a BLOB vector."""
    return (
        f'<defBLOBVector device="{device}" name="{name}" label="" group="" state="Idle" perm="ro" timeout="60" '
        f'{STAMP}><defBLOB name="{name}" label=""/></defBLOBVector>'
    )


def blob(
    content: bytes, name: str = "CCD1", *, size: object = None, form: str = ".fits", encoded: bytes | None = None
) -> bytes:
    """A BLOB as drivers send it: base64 in lines of 72 (indiserver itself writes one line)."""
    if encoded is None:
        whole = base64.b64encode(content)
        encoded = b"\n".join(whole[at : at + 72] for at in range(0, len(whole), 72))
    announced = len(content) if size is None else size
    head = (
        f'<setBLOBVector device="{DEVICE}" name="{name}" state="Ok" timeout="60" {STAMP}>\n'
        f'<oneBLOB name="{name}" size="{announced}" enclen="{len(encoded)}" format="{form}">\n'
    )
    return head.encode() + encoded + b"\n</oneBLOB>\n</setBLOBVector>\n"


def attached(size: int, name: str = "CCD1", form: str = ".fits") -> str:
    """A BLOB whose bytes come as a descriptor."""
    return (
        f'<setBLOBVector device="{DEVICE}" name="{name}" state="Ok" timeout="60" {STAMP}>\n'
        f'<oneBLOB name="{name}" size="{size}" format="{form}" attached="true"/>\n</setBLOBVector>\n'
    )


def shared_memory(content: bytes) -> int:
    """A descriptor of shared memory with this in it."""
    descriptor = os.memfd_create("blob")
    os.write(descriptor, content)
    return descriptor


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
