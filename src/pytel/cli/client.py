"""How the commands reach a running site: by its control socket, or over XMPP."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.base.errors import ConnectionLost, PytelError, Timeout
from pytel.base.unix_sockets import reachable

if TYPE_CHECKING:
    from pytel.cli.remote import Account

SOCKET = "control.sock"
PLACES = (Path(), Path("state"), Path("demo-night/state"))
"""Where a running site is looked for, unless --state or PYTEL_STATE says."""
_STRETCH = 0.25
"""Seconds of one wait for the site."""
_PIECE = 1 << 16


class NoSite(ConnectionLost):
    """No site is running where it was looked for."""


def find_socket(state: Path | None) -> Path:
    """Find the socket of a running site. Raises `NoSite`."""
    named = state or (Path(os.environ["PYTEL_STATE"]) if os.environ.get("PYTEL_STATE") else None)
    places = (named, named / "state") if named else PLACES
    for place in places:
        if (path := place / SOCKET).exists():
            return path
    where = named if named else "./state or ./demo-night"
    raise NoSite(f"no site is running in {where}: start one with 'pytel run site.yaml', or name its --state directory")


current_account: ContextVar[Account | None] = ContextVar("current_account", default=None)
"""As whom the commands go over XMPP; None: by the control socket, as the user of this machine."""


@contextlib.contextmanager
def reach_site(state: Path | None) -> Iterator[SiteClient]:
    """Reach the site: over XMPP when an account was named, else by its control socket. Raises `ConnectionLost`."""
    account = current_account.get()
    if account is not None:
        from pytel.cli.remote import connected

        with connected(account) as connection, SiteClient(connection) as client:
            yield client
    else:
        with SiteClient(_connect(find_socket(state))) as client:
            yield client


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            connection.connect(name)
    except (ConnectionRefusedError, FileNotFoundError):
        connection.close()
        raise NoSite(
            f"no site is running in {path.parent}; the last one there was killed: the same command starts it again"
        ) from None
    except OSError as error:
        connection.close()
        raise ConnectionLost(f"{path} cannot be reached: {error.strerror}") from error
    return connection


class SiteClient:
    """A connection to a running site."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._lines: deque[bytes] = deque()
        self._rest = b""
        """The line that has begun and not ended."""
        self._ids = itertools.count(1)

    def __enter__(self) -> SiteClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, params: Any = None, timeout: float = 90.0) -> Any:
        """Call `address.method` and return its result. Raises what the site answers, `Timeout`, `ConnectionLost`."""
        identity = next(self._ids)
        request = {"jsonrpc": "2.0", "id": identity, "method": method, "params": {} if params is None else params}
        self._socket.settimeout(timeout)
        self._send(request)
        for message in self._messages(timeout):
            if message.get("id") == identity and "method" not in message:
                break
        else:
            raise ConnectionLost("the site went away before it answered")
        if "error" in message:
            raise PytelError.from_wire(message["error"])
        return message.get("result")

    def news(self, topics: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """States and events as they come, until the site goes away."""
        self.call("events.subscribe", {"topics": topics})
        for message in self._messages(None):
            if "method" in message:
                yield {"kind": message["method"], **message["params"]}

    def states(self) -> list[dict[str, Any]]:
        """The last states of all modules, by address."""
        found: list[dict[str, Any]] = self.call("states.list")
        return found

    def _send(self, message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ConnectionLost(f"the site went away: {error.strerror}") from error

    def _messages(self, timeout: float | None) -> Iterator[dict[str, Any]]:
        """What comes, until the site goes away. Raises `Timeout` when nothing comes for so long."""
        while True:
            while self._lines:
                yield json.loads(self._lines.popleft())
            piece = self._receive(timeout)
            if not piece:
                return
            *lines, self._rest = (self._rest + piece).split(b"\n")
            self._lines.extend(lines)

    def _receive(self, timeout: float | None) -> bytes:
        """The next bytes; none when the site has gone away.

        It waits in short stretches: Python forgets a Ctrl-C that falls between its look for one and a wait without end.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._readable.poll(1000 * _STRETCH):
                if ends is not None and time.monotonic() > ends:
                    raise Timeout("the site does not answer")
            return self._socket.recv(_PIECE)
        except OSError as error:
            raise ConnectionLost(f"the site went away: {error.strerror}") from error
