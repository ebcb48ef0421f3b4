"""How drivers reach the simulated hardware over its socket; the connection is made anew when it broke."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import msgspec

from pytel.base.errors import ConnectionLost, DeviceTimeout, PytelError
from pytel.base.unix_sockets import reachable
from pytel.devices.simulated.world.wire import LONGEST_LINE, SOCKET, Reply, Request

ANSWER_WITHIN = 10.0
"""Real seconds that a device has to answer."""
FRAME_WITHIN = 60.0
_LARGEST_FRAME = 2**30

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SocketWorld:
    """A connection to the hardware that serves a directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / SOCKET
        self._streams: Streams | None = None
        self._turn = asyncio.Lock()

    async def execute(self, device: str, command: str, /, **params: Any) -> Any:
        """Send a command to a device; a frame comes as an array of uint16 (rows, columns).

        Raises what the device says, `ConnectionLost` when the hardware is off, `DeviceTimeout` when it is mute.
        """
        within = FRAME_WITHIN if command == "read" else ANSWER_WITHIN
        async with self._turn:
            try:
                async with asyncio.timeout(within):
                    reply, pixels = await self._exchange(Request(device, command, params))
            except TimeoutError as error:
                await self.close()
                raise DeviceTimeout(
                    f"{device} did not answer to {command} within {within:.0f} s", device=device
                ) from error
            except (OSError, EOFError, msgspec.MsgspecError) as error:
                await self.close()
                raise ConnectionLost(f"{device} is off: no hardware answers at {self._path}", device=device) from error
            except BaseException:
                await self.close()  # the answer may still come, and would be taken for the next one
                raise
        if reply.error is not None:
            raise PytelError.from_wire(reply.error)  # type: ignore[arg-type]
        return _frame(reply, pixels) if reply.size is not None else reply.result

    async def _exchange(self, request: Request) -> tuple[Reply, bytes]:
        reader, writer = await self._connected()
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        reply = msgspec.json.decode(await reader.readuntil(b"\n"), type=Reply)
        if reply.size is None:
            return reply, b""
        if not 0 <= reply.size <= _LARGEST_FRAME:
            raise EOFError("a frame of an impossible size was announced")
        return reply, await reader.readexactly(reply.size)

    async def _connected(self) -> Streams:
        if self._streams is None:
            with reachable(self._path) as name:
                self._streams = await asyncio.open_unix_connection(name, limit=LONGEST_LINE * 16)
        return self._streams

    async def close(self) -> None:
        """Hang up; the next command connects anew."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _frame(reply: Reply, pixels: bytes) -> Any:
    import numpy as np

    return np.frombuffer(pixels, dtype="<u2").reshape(reply.shape or (-1,))
