"""The conversation of a supervisor with a module process."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from pytel.base.threads import in_thread
from pytel.base.unix_sockets import reachable
from pytel.module.process_wire import LONGEST_LINE, Report, Want

_RETRY = 0.05
_CONNECT_WITHIN = 5.0
_log = logging.getLogger("pytel.site")


class ProcessLink:
    """Hears the reports of one process and, once it has reported, tells it what is wanted."""

    def __init__(self, path: Path, want: Callable[[], Want | None], hear: Callable[[Report], None]) -> None:
        self._path, self._want, self._hear = path, want, hear
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Talk until cancelled; whoever runs this knows when the process has ended."""
        while True:
            try:
                await self._talk()
            except OSError as error:
                if self._writer is not None:  # else it does not listen yet
                    _log.warning("the conversation with %s broke: %s", self._path.parent.name, error)
            except Exception:  # noqa: BLE001 - a process must not be taken for dead because we cannot listen
                _log.exception("what %s tells cannot be understood", self._path.parent.name)
            finally:
                if self._writer is not None:
                    self._writer.transport.abort()
                    self._writer = None
            await asyncio.sleep(_RETRY)

    async def _talk(self) -> None:
        connecting = asyncio.ensure_future(in_thread(_connected, self._path))
        try:
            connected = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_hang_up)
            raise
        reader, self._writer = await asyncio.open_unix_connection(sock=connected, limit=LONGEST_LINE)
        greeted = False
        while line := await reader.readline():
            self._hear(msgspec.json.decode(line, type=Report))
            if not greeted:
                greeted = True
                self.send()

    def send(self) -> None:
        """Tell what is wanted by now."""
        want = self._want()
        if want is not None and self._writer is not None and not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(want) + b"\n")


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(_CONNECT_WITHIN)
        with reachable(path) as name:
            made.connect(name)
    except BaseException:
        made.close()
        raise
    made.setblocking(False)
    return made


def _hang_up(connecting: asyncio.Future[socket.socket]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()
